"""1.11, encoding, fast: known mistakes of the part that encodes a long word, and accepted variants."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.further_solution import encode_word_fast
from step1_tokenizer.mistakes.encoding_fast import Both, Cache, both, start, with_word
from step1_tokenizer.model_solution import Pair, encode_word, split_words


@mistake("1.11")
def looked_at_anew() -> Both:
    """Your encode_word_fast looks up all pairs of the word again for every merge: n looks for n merges, which
    a long word makes slow. A merge makes two new pairs at most; only these have to be asked for.
    """
    return with_word(lambda word, ranks: list(encode_word(tuple(word), ranks)))


@mistake("1.11")
def ranks_copied() -> Both:
    """Your encode_word_fast goes through all of ranks, or copies it, for every word. A vocabulary has tens of
    thousands of merges and a word a few pairs: ask for these.
    """
    return with_word(lambda word, ranks: encode_word_fast(word, dict(ranks)))


def linked(
    word: Sequence[int],
    ranks: Mapping[Pair, int],
    entry: Callable[[int, int], tuple[int, ...]] = lambda new, i: (new, i),
    believes: bool = False,
    links_back: bool = True,
    sides: str = "left right",
) -> list[int]:
    """Return the ids of a word by a heap and links, with parts that may be wrong."""
    ids, end = list(word), len(word)
    after, before = list(range(1, end + 1)), list(range(-1, end - 1))
    heap: list[Any] = []

    def offer(i: int, j: int) -> None:
        if (new := ranks.get((ids[i], ids[j]))) is not None:
            heapq.heappush(heap, (entry(new, i), new, i, (ids[i], ids[j])))

    for i in range(end - 1):
        offer(i, i + 1)
    while heap:
        _, new, i, pair = heapq.heappop(heap)
        j = after[i]
        if j == end or (not believes and (ids[i], ids[j]) != pair):
            continue
        ids[i], ids[j] = new, -1
        after[i] = after[j]
        if after[i] < end:
            if links_back:
                before[after[i]] = i
            if "right" in sides:
                offer(i, after[i])
        if before[i] >= 0 and "left" in sides:
            offer(before[i], i)
    return [token for token in ids if token >= 0]


@mistake("1.11")
def stale_pairs_believed() -> Both:
    """Your encode_word_fast merges what its heap hands out, though one half may have been merged with its
    other neighbor. Compare with the ids that stand there now.
    """
    return with_word(lambda word, ranks: linked(word, ranks, believes=True))


@mistake("1.11")
def left_neighbor_forgotten() -> Both:
    """Your encode_word_fast offers a new token to its right neighbor only. The one to its left may merge with
    it, too.
    """
    return with_word(lambda word, ranks: linked(word, ranks, sides="right"))


@mistake("1.11")
def right_neighbor_forgotten() -> Both:
    """Your encode_word_fast offers a new token to its left neighbor only. The one to its right may merge with
    it, too.
    """
    return with_word(lambda word, ranks: linked(word, ranks, sides="left"))


@mistake("1.11", called="Links lead back to places that were merged away")
def links_lead_back_to_the_dead() -> Both:
    """Your encode_word_fast does not tell the next place who stands before it now, so that its link leads
    back to a place that was merged away.
    """
    return with_word(lambda word, ranks: linked(word, ranks, links_back=False))


@mistake("1.11")
def leftmost_first() -> Both:
    """Your heap hands out pairs by place. The pair that was learned first comes first: the lowest id, and
    only within one id the place.
    """
    return with_word(lambda word, ranks: linked(word, ranks, entry=lambda new, i: (i, new)))


@mistake("1.11")
def learned_last_first() -> Both:
    """Your heap hands out the pair that was learned last. The lowest id was learned first."""
    return with_word(lambda word, ranks: linked(word, ranks, entry=lambda new, i: (-new, i)))


@mistake("1.11", called="Of several places with the same pair, the last comes first")
def rightmost_of_equals() -> Both:
    """Of several places with the same pair, yours is the last one first. In "aaa" the first two become one:
    put the place into the heap behind the id.
    """
    return with_word(lambda word, ranks: linked(word, ranks, entry=lambda new, i: (new, -i)))


@variant("1.11")
def word_by_word() -> Both:
    """The cache is asked word by word; a heap with functions around it; a tuple comes back."""
    pair = with_word(lambda word, ranks: tuple(linked(word, ranks)))
    return both(lambda *arguments: tuple(pair["encode_fast"](*arguments)), pair["encode_word_fast"])


def with_kept_ranks(word: Sequence[int], ranks: Mapping[Pair, int]) -> list[int]:
    """Return the ids of a word; beside each id stands what it would become with the next one."""
    ids = list(word)

    def rank(i: int) -> float:
        pair = ids[i], ids[i + 1]
        return ranks[pair] if pair in ranks else float("inf")

    found = [rank(i) for i in range(len(ids) - 1)]
    while found and (best := min(found)) < float("inf"):
        i = found.index(best)
        ids[i : i + 2] = [int(best)]
        del found[i]
        for near in (i - 1, i):
            if 0 <= near < len(ids) - 1:
                found[near] = rank(near)
    return ids


@variant("1.11")
def ranks_beside_ids() -> Both:
    """Ranks kept in a list beside the ids, as tiktoken does; `in`, then []."""
    return with_word(with_kept_ranks)


@variant("1.11")
def missing_first() -> Both:
    """All new words first, sorted; pairs by itertools."""

    def encode(text: str, ranks: Any, cache: Cache, byte_ids: Sequence[int] = range(256)) -> list[int]:
        words = split_words(text)
        for word in sorted(set(words) - set(cache)):
            cache[word] = tuple(linked(start(word, byte_ids), ranks))
        assert all(len(cache[a]) + len(cache[b]) > 0 for a, b in pairwise(words))
        return [token for word in words for token in cache[word]]

    return both(encode, linked)
