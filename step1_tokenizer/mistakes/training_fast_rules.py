"""1.10, training, fast: known mistakes with calls, counts and ties, and accepted variants."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.mistakes.trainer import MergeWord, Patches, Trainer, by, pairs_of
from step1_tokenizer.model_solution import Pair


@mistake("1.10")
def all_words_rewritten() -> Patches:
    """Your function calls merge_word for every word at every merge. Most words do not hold the pair; an index
    from pair to words says which do.
    """

    class Everywhere(Trainer):
        def holders(self, pair: str) -> list[int]:
            return list(range(len(self.words)))

    return by(Everywhere)


@mistake("1.10")
def index_believed() -> Patches:
    """Your function calls merge_word for words that have lost the pair to another merge. The index may know
    too many: ask whether the pair is in the word.
    """

    class Trusting(Trainer):
        def holders(self, pair: str) -> list[int]:
            return sorted(self.where[pair])

    return by(Trusting)


@mistake("1.10")
def merge_word_not_called() -> Patches:
    """Your function merges words by itself and never calls merge_word. The caller hands one in to see, and to
    decide, how words are rewritten.
    """

    class Alone(Trainer):
        def __init__(self, word_counts: Mapping[str, int], merge_word: MergeWord) -> None:
            super().__init__(word_counts, str.replace)

    return by(Alone)


@mistake("1.10")
def distinct_words() -> Patches:
    """Your function counts each distinct word once. A word that occurs a thousand times counts a thousand
    times.
    """

    class Equal(Trainer):
        def weigh(self, word_counts: Mapping[str, int]) -> list[int]:
            return [1] * len(word_counts)

    return by(Equal)


@mistake("1.10")
def once_per_word() -> Patches:
    """Your function counts a pair once for each word that holds it. In "abab" the pair "ab" stands at two
    places, and both count.
    """

    class Sets(Trainer):
        def places(self, word: str) -> Iterable[str]:
            return dict.fromkeys(pairs_of(word))

    return by(Sets)


@mistake("1.10", called="In a tie, the pair that entered the heap first is merged")
def ties_by_order() -> Patches:
    """Of several pairs with the highest count, yours is the one that entered the heap first. Take the
    smallest: the heap compares (-count, pair) by itself.
    """

    class Queue(Trainer):
        def entry(self, pair: str) -> tuple[Any, ...]:
            self.number = getattr(self, "number", 0) + 1
            return -self.counts[pair], self.number, pair

    return by(Queue)


@mistake("1.10", called="In a tie, the largest pair is merged")
def ties_by_largest() -> Patches:
    """Of several pairs with the highest count, yours is the largest. Take the smallest."""

    class Largest(Trainer):
        def entry(self, pair: str) -> tuple[Any, ...]:
            return -self.counts[pair], *(-ord(one) for one in pair), pair

    return by(Largest)


@mistake("1.10")
def one_too_many() -> Patches:
    """Your function learns one merge too many: 256 bytes and the merges together are vocab_size tokens."""

    class Greedy(Trainer):
        def train(self, vocab_size: int) -> list[Pair]:
            return super().train(vocab_size + 1)

    return by(Greedy)


@mistake("1.10")
def does_not_stop() -> Patches:
    """Your function raises IndexError when the heap is empty. Training stops there: a small text fills only a
    small vocabulary.
    """

    class Endless(Trainer):
        def best(self) -> str | None:
            return super().best() or heapq.heappop(self.heap)[-1]

    return by(Endless)


@variant("1.10")
def in_parts() -> Patches:
    """Each word that changes is counted out and in again; an index of sets."""
    return by(Trainer)


@variant("1.10")
def before_and_after() -> Patches:
    """Pairs of the word before are found by putting the pair back; the heap's first entry is replaced in
    place.
    """

    def changed(word: str, pair: str, new: str) -> Any:
        gained = Counter(pairs_of(word))
        lost = Counter(pairs_of(word.replace(new, pair)))
        both = gained & lost
        lost = lost - both
        del lost[pair]
        return (*lost.elements(),), (*(gained - both).elements(),)

    def pop(heap: Any, pair_counts: Any) -> Any:
        while heap and heap[0][0] != -pair_counts[heap[0][1]]:
            pair = heap[0][1]
            heapq.heapreplace(heap, (-pair_counts[pair], pair))
        return heapq.heappop(heap)[1] if heap and heap[0][0] else None

    return {"changed_pairs": changed, "pop_best": pop}


@variant("1.10")
def without_a_heap() -> Patches:
    """The best pair is searched among all kept counts; the words are gone through for those that hold it."""
    return {"train_bpe_fast": searching}


def searching(word_counts: Any, vocab_size: int, merge_word: MergeWord = str.replace) -> Any:
    """Return the merges, as lists of two."""
    if vocab_size < 256:
        raise ValueError("too small")
    words = [[word, count] for word, count in word_counts.items()]
    counts: Counter[str] = Counter()
    for word, count in words:
        for pair in pairs_of(word):
            counts[pair] += count
    merges: list[list[int]] = []
    while counts and len(merges) < vocab_size - 256:
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append([ord(one) for one in best])
        for entry in words:
            word, count = entry
            if best in word:
                entry[0] = merge_word(word, best, chr(255 + len(merges)))
                counts.subtract(pairs_of(word) * count)
                counts.update(pairs_of(entry[0]) * count)
        counts = +counts
    return merges
