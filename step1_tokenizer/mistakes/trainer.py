"""Training with kept counts, an index and a heap, in parts: what the mistakes of 1.10 are made from."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from step1_tokenizer.model_solution import Pair

MergeWord = Callable[[str, str, str], str]


def pairs_of(word: str) -> list[str]:
    """Return the pairs of a word, a string of two for each place."""
    return [first + second for first, second in pairwise(word)]


class Trainer:
    """Training with kept counts, an index and a heap, in parts that a mistake may replace."""

    def __init__(self, word_counts: Mapping[str, int], merge_word: MergeWord) -> None:
        self.words, self.numbers = list(word_counts), self.weigh(word_counts)
        self.merge_word = merge_word
        self.counts: Counter[str] = Counter()
        self.where: defaultdict[str, set[int]] = defaultdict(set)
        for i, word in enumerate(self.words):
            for pair in self.places(word):
                self.counts[pair] += self.numbers[i]
                self.where[pair].add(i)
        self.heap = [self.entry(pair) for pair in self.counts]
        heapq.heapify(self.heap)

    def weigh(self, word_counts: Mapping[str, int]) -> list[int]:
        """Return what each word counts."""
        return list(word_counts.values())

    def places(self, word: str) -> Iterable[str]:
        """Return the pairs of a word, each as often as it is counted."""
        return pairs_of(word)

    def entry(self, pair: str) -> tuple[Any, ...]:
        """Return what the heap holds for a pair."""
        return -self.counts[pair], pair

    def best(self) -> str | None:
        """Return the pair to be merged, or None where none is left."""
        while self.heap:
            promised, *_, pair = heapq.heappop(self.heap)
            if self.counts[pair] == -promised and promised:
                return pair
            if self.counts[pair] > 0:
                heapq.heappush(self.heap, self.entry(pair))
        return None

    def holders(self, pair: str) -> list[int]:
        """Return which words hold a pair now."""
        return [i for i in sorted(self.where[pair]) if pair in self.words[i]]

    def merge(self, pair: str, new: str) -> None:
        """Merge a pair in the words that hold it, and keep counts, index and heap right."""
        created: set[str] = set()
        for i in self.holders(pair):
            before = self.words[i]
            self.words[i] = self.merge_word(before, pair, new)
            created |= self.recount(i, before, new)
        for one in sorted(created):
            heapq.heappush(self.heap, self.entry(one))

    def recount(self, i: int, before: str, new: str) -> set[str]:
        """Let the pairs of word i count as it is now; return those with the new token."""
        for pair in self.places(before):
            self.counts[pair] -= self.numbers[i]
        fresh = set()
        for pair in self.places(self.words[i]):
            self.counts[pair] += self.numbers[i]
            self.note(pair, i)
            if new in pair:
                fresh.add(pair)
        return fresh

    def note(self, pair: str, i: int) -> None:
        """Let the index know that word i holds the pair."""
        self.where[pair].add(i)

    def train(self, vocab_size: int) -> list[Pair]:
        """Return the merges."""
        if vocab_size < 256:
            raise ValueError(f"vocab_size must be at least 256, got {vocab_size}")
        merges: list[Pair] = []
        while 256 + len(merges) < vocab_size and (pair := self.best()):
            self.merge(pair, chr(256 + len(merges)))
            merges.append((ord(pair[0]), ord(pair[1])))
        return merges


Patches = dict[str, Callable[..., Any]]


def by(trainer: type[Trainer]) -> Patches:
    """Return the targets with training done by this kind of trainer, which needs no other function."""

    def train_bpe_fast(word_counts: Any, vocab_size: int, merge_word: MergeWord = str.replace) -> Any:
        return trainer(word_counts, merge_word).train(vocab_size)

    return {"train_bpe_fast": train_bpe_fast}
