"""1.2, counting pairs: known mistakes and accepted variants."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import chain, pairwise
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import Pair, Word

Counts = dict[Any, int]


@mistake("1.2")
def once_per_distinct_word(word_counts: Mapping[Word, int]) -> Counts:
    """Your function counts each distinct word once, however often it occurs. A pair in a word that occurs a
    thousand times stands in the text a thousand times: each place adds the word's count.
    """
    return dict(Counter(pair for word in word_counts for pair in pairwise(word)))


@mistake("1.2")
def once_per_word(word_counts: Mapping[Word, int]) -> Counts:
    """Your function counts a pair once for each word that holds it. In (a, b, a, b) the pair (a, b) stands at
    two places, and both count.
    """
    counts: Counts = Counter()
    for word, count in word_counts.items():
        for pair in set(pairwise(word)):
            counts[pair] += count
    return counts


@mistake("1.2", called="Counts are set, not added: only the last place of a pair counts")
def last_word_only(word_counts: Mapping[Word, int]) -> Counts:
    """Your function sets a pair's count where it should add to it, so that only the last place at which the
    pair stands is counted.
    """
    return {pair: count for word, count in word_counts.items() for pair in pairwise(word)}


@mistake("1.2")
def across_words(word_counts: Mapping[Word, int]) -> Counts:
    """Your function also counts the last id of a word with the first of the next one. No token crosses from
    word to word, and the words of the mapping do not stand side by side in the text.
    """
    counts: Counts = Counter()
    ends = None
    for word, count in word_counts.items():
        for pair in pairwise(word if ends is None else (ends, *word)):
            counts[pair] += count
        ends = word[-1]
    return counts


@mistake("1.2")
def last_pair_missing(word_counts: Mapping[Word, int]) -> Counts:
    """Your function leaves out the last pair of each word: a word of n ids has n - 1 pairs."""
    counts: Counts = Counter()
    for word, count in word_counts.items():
        for i in range(len(word) - 2):
            counts[word[i], word[i + 1]] += count
    return counts


@mistake("1.2")
def every_second_place(word_counts: Mapping[Word, int]) -> Counts:
    """Your function cuts words into pairs side by side, so that the pair at places 1 and 2 is never seen.
    Pairs overlap: each id but the last begins one.
    """
    counts: Counts = Counter()
    for word, count in word_counts.items():
        for pair in zip(word[::2], word[1::2]):
            counts[pair] += count
    return counts


@mistake("1.2")
def without_overlaps(word_counts: Mapping[Word, int]) -> Counts:
    """Your function skips a place where a pair of equal ids overlaps itself: in (a, a, a) it sees (a, a)
    once. As it is counted here, it stands there twice; how many of them can be merged is another question.
    """
    counts: Counts = Counter()
    for word, count in word_counts.items():
        i = 0
        while i + 1 < len(word):
            counts[word[i], word[i + 1]] += count
            is_overlap = word[i : i + 3] == (word[i],) * 3
            i += 2 if is_overlap else 1
    return counts


@mistake("1.2")
def either_order(word_counts: Mapping[Word, int]) -> Counts:
    """Your function counts (b, a) and (a, b) as one pair: it sorts them, or keeps them in a set. They become
    different tokens, with different bytes.
    """
    counts: Counts = Counter()
    for word, count in word_counts.items():
        for first, second in pairwise(word):
            counts[min(first, second), max(first, second)] += count
    return counts


@mistake("1.2")
def not_only_neighbors(word_counts: Mapping[Word, int]) -> Counts:
    """Your function counts ids that stand apart as pairs, too. Only two ids side by side can become one
    token.
    """
    counts: Counts = Counter()
    for word, count in word_counts.items():
        for i, first in enumerate(word):
            for second in word[i + 1 :]:
                counts[first, second] += count
    return counts


@mistake("1.2")
def single_ids(word_counts: Mapping[Word, int]) -> Counts:
    """Your function counts single ids, not pairs of neighbors."""
    counts: Counts = Counter()
    for word, count in word_counts.items():
        for one in word:
            counts[one] += count
    return counts


@variant("1.2")
def by_counter(word_counts: Mapping[Word, int]) -> Counts:
    """A Counter, itertools.pairwise."""
    counts: Counter[Pair] = Counter()
    for word, count in word_counts.items():
        for pair in pairwise(word):
            counts[pair] += count
    return counts


@variant("1.2")
def by_index(word_counts: Mapping[Word, int]) -> Counts:
    """A defaultdict, places by number."""
    counts: defaultdict[Pair, int] = defaultdict(int)
    for word in word_counts:
        for i in range(1, len(word)):
            counts[word[i - 1], word[i]] += word_counts[word]
    return counts


@variant("1.2")
def repeated(word_counts: Mapping[Word, int]) -> Counts:
    """Every pair written out as often as it occurs, then counted."""
    places = ([pair] * count for word, count in word_counts.items() for pair in pairwise(word))
    return dict(Counter(chain.from_iterable(places)))
