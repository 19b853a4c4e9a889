"""1.3, merging a pair: known mistakes and accepted variants."""

from __future__ import annotations

from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import Pair, Word


@mistake("1.3")
def overlaps_twice(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function merges overlapping occurrences both: (a, a, a) becomes two new ids, though three ids hold
    one pair and a half. After a merge, go on behind its second half.
    """
    merged: list[int] = []
    for i, one in enumerate(ids):
        if ids[i : i + 2] == pair:
            merged.append(new_id)
        elif i == 0 or ids[i - 1 : i + 1] != pair:
            merged.append(one)
    return tuple(merged)


@mistake("1.3")
def second_half_stays(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function puts the new id and keeps the second half of the pair behind it. Step over both halves:
    the index moves by two.
    """
    return tuple(new_id if ids[i : i + 2] == pair else one for i, one in enumerate(ids))


@mistake("1.3")
def from_the_right(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function merges from right to left: in (a, a, a) the last two become one. Training and encoding,
    here and in every library, agree on left to right.
    """
    merged: list[int] = []
    i = len(ids)
    while i > 0:
        is_pair = ids[max(i - 2, 0) : i] == pair
        merged.insert(0, new_id if is_pair else ids[i - 1])
        i -= 2 if is_pair else 1
    return tuple(merged)


@mistake("1.3")
def first_only(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function replaces the first occurrence and leaves the others. Go on until the end of the word."""
    for i in range(len(ids) - 1):
        if ids[i : i + 2] == pair:
            return (*ids[:i], new_id, *ids[i + 2 :])
    return ids


@mistake("1.3")
def last_id_lost(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function loses the last id of a word that does not end with the pair: the loop stops one id early.
    The last id begins no pair, and still has to be kept.
    """
    merged: list[int] = []
    i = 0
    while i < len(ids) - 1:
        merged.append(new_id if ids[i : i + 2] == pair else ids[i])
        i += 2 if ids[i : i + 2] == pair else 1
    return tuple(merged)


@mistake("1.3")
def last_pair_missed(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function does not see the pair at the very end of a word: the loop ends one place too early."""
    merged: list[int] = []
    i = 0
    while i < len(ids):
        is_pair = i < len(ids) - 2 and ids[i : i + 2] == pair
        merged.append(new_id if is_pair else ids[i])
        i += 2 if is_pair else 1
    return tuple(merged)


@mistake("1.3")
def replaced_in_a_string(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function writes the ids into a string with spaces between them and calls str.replace. "15 6" holds
    "5 6" as text, though the id 15 is not the id 5: what begins or ends within an id is replaced, too.
    """
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return tuple(map(int, text.split()))


@mistake("1.3")
def either_order(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function merges (b, a) as well as (a, b). The new token has the bytes of a, then those of b; where
    they stand the other way round, the text would change.
    """
    merged: list[int] = []
    i = 0
    while i < len(ids):
        is_pair = ids[i : i + 2] in (pair, pair[::-1])
        merged.append(new_id if is_pair else ids[i])
        i += 2 if is_pair else 1
    return tuple(merged)


@mistake("1.3")
def both_halves_anywhere(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function replaces each half wherever it stands. Only where both stand side by side, in this order,
    do they become the new id: one for the two.
    """
    merged = [new_id if one in pair else one for one in ids]
    return tuple(one for i, one in enumerate(merged) if one != new_id or i == 0 or merged[i - 1] != new_id)


@mistake("1.3")
def merged_again(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function looks at its own result again, so that a new id may be merged at once with what follows.
    One call replaces what is in the word that came in, and nothing else.
    """
    merged: list[int] = []
    for one in ids:
        merged.append(one)
        while tuple(merged[-2:]) == pair:
            merged[-2:] = [new_id]
    return tuple(merged)


@mistake("1.3")
def a_list(ids: Word, pair: Pair, new_id: int) -> Any:
    """Your function returns a list, or something else that is no tuple. Words are keys of a dict in training,
    and a list cannot be one.
    """
    merged: list[int] = []
    for one in ids:
        is_pair = bool(merged) and (merged[-1], one) == pair and merged[-1] != new_id
        merged[-1 if is_pair else len(merged) :] = [new_id if is_pair else one]
    return merged


@variant("1.3")
def by_iterator(ids: Word, pair: Pair, new_id: int) -> Any:
    """One id is kept back until the next one is known."""
    first, second = pair
    merged: list[int] = []
    kept = None
    for one in ids:
        if kept == first and one == second:
            merged.append(new_id)
            kept = None
        else:
            merged += [] if kept is None else [kept]
            kept = one
    return (*merged, *([] if kept is None else [kept]))


@variant("1.3")
def by_recursion(ids: Word, pair: Pair, new_id: int) -> Any:
    """What follows the first occurrence is merged by another call."""
    for i in range(len(ids) - 1):
        if (ids[i], ids[i + 1]) == tuple(pair):
            return (*ids[:i], new_id, *by_recursion(ids[i + 2 :], pair, new_id))
    return tuple(ids)


@variant("1.3")
def by_characters(ids: Word, pair: Pair, new_id: int) -> Any:
    """Each id as one character, so that str.replace cannot begin within an id."""
    text = "".join(map(chr, ids)).replace("".join(map(chr, pair)), chr(new_id))
    return tuple(map(ord, text))
