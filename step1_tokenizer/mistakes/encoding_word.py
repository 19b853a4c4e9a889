"""1.6, encoding a word: known mistakes and accepted variants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import Pair, Word, merge_pair

Ranks = Mapping[Pair, int]


def merge_by(word: Word, ranks: Ranks, choose: Callable[[list[Pair]], Pair]) -> Word:
    """Return the ids of a word, merging the learned pair that `choose` takes, again and again."""
    while pairs := [pair for pair in pairwise(word) if pair in ranks]:
        best = choose(pairs)
        word = merge_pair(word, best, ranks[best])
    return word


def lengths(ranks: Ranks) -> dict[int, int]:
    """Return how many bytes each token has."""
    found = dict.fromkeys(range(256), 1)
    for (first, second), new in sorted(ranks.items(), key=lambda item: item[1]):
        found[new] = found[first] + found[second]
    return found


def spelled(ranks: Ranks) -> dict[Word, int]:
    """Return the id of each token by its bytes."""
    parts: dict[int, Word] = {byte: (byte,) for byte in range(256)}
    for (first, second), new in sorted(ranks.items(), key=lambda item: item[1]):
        parts[new] = parts[first] + parts[second]
    return {data: token for token, data in reversed(parts.items())}


@mistake("1.6")
def leftmost(word: Word, ranks: Ranks) -> Any:
    """Your function merges the leftmost learned pair first. The pair that was learned first comes first,
    wherever it stands: only so does a word become what training made of it.
    """
    return merge_by(word, ranks, lambda pairs: pairs[0])


@mistake("1.6")
def rightmost(word: Word, ranks: Ranks) -> Any:
    """Your function merges the rightmost learned pair first. The pair that was learned first comes first,
    wherever it stands.
    """
    return merge_by(word, ranks, lambda pairs: pairs[-1])


@mistake("1.6")
def longest_match(word: Word, ranks: Ranks) -> Any:
    """Your function takes the longest token that fits, from the left. BPE merges in the order in which it
    learned; another way to spell a word is a row of ids that a model has hardly seen.
    """
    known = spelled(ranks)
    ids: list[int] = []
    while word:
        end = next(end for end in range(len(word), 0, -1) if word[:end] in known)
        ids.append(known[word[:end]])
        word = word[end:]
    return ids


@mistake("1.6")
def longest_merge(word: Word, ranks: Ranks) -> Any:
    """Your function merges the pair that makes the longest token. The order in which merges were learned
    decides, not length.
    """
    size = lengths(ranks)
    return merge_by(word, ranks, lambda pairs: max(pairs, key=lambda p: (size[ranks[p]], -ranks[p])))


@mistake("1.6")
def learned_last(word: Word, ranks: Ranks) -> Any:
    """Your function merges the pair that was learned last: max for min. The smallest id was learned first."""
    return merge_by(word, ranks, lambda pairs: max(pairs, key=lambda pair: ranks[pair]))


@mistake("1.6")
def smallest_pair(word: Word, ranks: Ranks) -> Any:
    """Your function takes the smallest pair of ids. What counts is ranks[pair], the id of the token that it
    becomes.
    """
    return merge_by(word, ranks, min)


@mistake("1.6")
def most_frequent(word: Word, ranks: Ranks) -> Any:
    """Your function merges the pair that is most frequent in this word. Frequency decided in training, over
    the whole text; encoding only repeats the order.
    """
    return merge_by(word, ranks, lambda pairs: min(pairs, key=lambda p: (-Counter(pairs)[p], ranks[p])))


@mistake("1.6")
def order_of_the_dict(word: Word, ranks: Ranks) -> Any:
    """Your function goes through ranks in the order in which it stands there. A mapping's order says nothing;
    the ids in it do.
    """
    for pair, new in ranks.items():
        word = merge_pair(word, pair, new)
    return word


@mistake("1.6")
def one_merge(word: Word, ranks: Ranks) -> Any:
    """Your function merges one pair and stops. Go on until no pair of the word is in ranks."""
    pairs = [pair for pair in pairwise(word) if pair in ranks]
    if not pairs:
        return word
    best = min(pairs, key=lambda pair: ranks[pair])
    return merge_pair(word, best, ranks[best])


@mistake("1.6")
def one_round(word: Word, ranks: Ranks) -> Any:
    """Your function merges the pairs that the word held at the beginning, and no pair with a new token. After
    each merge, look at all pairs again.
    """
    for pair in sorted({pair for pair in pairwise(word) if pair in ranks}, key=lambda pair: ranks[pair]):
        word = merge_pair(word, pair, ranks[pair])
    return word


@mistake("1.6")
def ends_at_the_first_stranger(word: Word, ranks: Ranks) -> Any:
    """Your function stops at the first pair of the word that is not in ranks. Others further right may be."""
    while len(word) > 1 and (word[0], word[1]) in ranks:
        known = [pair for pair in pairwise(word) if pair in ranks]
        best = min(known, key=lambda pair: ranks[pair])
        word = merge_pair(word, best, ranks[best])
    return word


@mistake("1.6")
def from_the_right(word: Word, ranks: Ranks) -> Any:
    """Your function merges the right pair, and of its occurrences the rightmost first. In (a, a, a) the first
    two become one, as in training.
    """
    ids = list(word)
    while pairs := [(ranks[pair], -i) for i, pair in enumerate(pairwise(ids)) if pair in ranks]:
        new, place = min(pairs)
        ids[-place : 2 - place] = [new]
    return ids


@variant("1.6")
def place_by_place(word: Sequence[int], ranks: Ranks) -> Any:
    """One occurrence at a time, the leftmost of the pair learned first; a list comes back."""
    ids = list(word)
    while True:
        found = [(ranks[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in ranks]
        if not found:
            return ids
        new, i = min(found)
        ids[i : i + 2] = [new]


@variant("1.6")
def training_again(word: Word, ranks: Ranks) -> Any:
    """All merges in the order in which they were learned, each once."""
    for pair in sorted(ranks, key=lambda pair: ranks[pair]):
        word = merge_pair(word, pair, ranks[pair])
    return word


@variant("1.6")
def by_infinity(word: Word, ranks: Ranks) -> Any:
    """The pair with the lowest rank, infinity where there is none; recursion."""
    best = min(pairwise(word), key=lambda pair: ranks.get(pair, float("inf")), default=(-1, -1))
    return word if best not in ranks else by_infinity(merge_pair(word, best, ranks[best]), ranks)
