"""1.4, training: known mistakes and accepted variants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import Pair, Word, count_pairs, merge_pair

Counts = Mapping[Pair, int]
Choose = Callable[[Counts], Pair]


def smallest_of_the_most_frequent(counts: Counts) -> Pair:
    """Return the pair that is right."""
    return min(counts, key=lambda pair: (-counts[pair], pair))


def train(
    word_counts: Mapping[Word, int],
    vocab_size: int,
    choose: Choose = smallest_of_the_most_frequent,
    count: Callable[[Mapping[Word, int]], Counts] = count_pairs,
    first_id: int = 256,
) -> list[Pair]:
    """Return merges as the solution does, with its parts to be exchanged."""
    if vocab_size < 256:
        raise ValueError(f"vocab_size must be at least 256, got {vocab_size}")
    words = dict(word_counts)
    merges: list[Pair] = []
    while 256 + len(merges) < vocab_size and (counts := count(words)):
        best = choose(counts)
        new_id = first_id + len(merges)
        words = {merge_pair(word, best, new_id): number for word, number in words.items()}
        merges.append(best)
    return merges


@mistake("1.4", called="In a tie, the pair met first is merged")
def ties_by_first_seen(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Of several pairs with the highest count, yours is the one met first (max over the counts alone). It
    depends on the order of the words; take the smallest pair.
    """
    return train(word_counts, vocab_size, lambda counts: max(counts, key=lambda pair: counts[pair]))


@mistake("1.4", called="In a tie, the pair met last is merged")
def ties_by_last_seen(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Of several pairs with the highest count, yours is the one met last (>= in the search). It depends on
    the order of the words; take the smallest pair.
    """
    return train(word_counts, vocab_size, lambda counts: max(reversed(list(counts)), key=lambda p: counts[p]))


@mistake("1.4", called="In a tie, the largest pair is merged")
def ties_by_largest(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Of several pairs with the highest count, yours is the largest: max over (count, pair) compares pairs
    with max, too. Take the smallest; -count lets min do both.
    """
    return train(word_counts, vocab_size, lambda counts: max(counts, key=lambda pair: (counts[pair], pair)))


@mistake("1.4", called="In a tie, the pair with the smallest second id is merged")
def ties_by_second_id(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Of several pairs with the highest count, yours has the smallest second id. Compare the first ids, and
    the second ones only where the first are equal, as Python compares tuples.
    """
    return train(word_counts, vocab_size, lambda counts: min(counts, key=lambda p: (-counts[p], p[1], p[0])))


@mistake("1.4", called="In a tie, the pair whose bytes come first is merged")
def ties_by_bytes(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Of several pairs with the highest count, yours is the first by the bytes behind it. A new token has the
    largest id so far, whatever its bytes: compare ids.
    """
    spelled = [bytes([byte]) for byte in range(256)]

    def choose(counts: Counts) -> Pair:
        best = min(counts, key=lambda p: (-counts[p], spelled[p[0]], spelled[p[1]]))
        spelled.append(spelled[best[0]] + spelled[best[1]])
        return best

    return train(word_counts, vocab_size, choose)


@mistake("1.4")
def counted_once(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function counts pairs once, before the first merge, and takes them in the order of these counts.
    Every merge changes the counts, and pairs with new tokens come into being.
    """
    counts = count_pairs(word_counts)
    return (
        sorted(counts, key=lambda pair: (-counts[pair], pair))[: vocab_size - 256] if vocab_size > 255 else []
    )


@mistake("1.4")
def words_not_merged(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your words stay as they were: the result of merge_pair is not kept, so that every round finds the same
    pair. merge_pair returns a new word.
    """
    counts = count_pairs(word_counts)
    return [smallest_of_the_most_frequent(counts)] * (vocab_size - 256) if counts else []


@mistake("1.4")
def distinct_words(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function counts each distinct word once. A word that occurs a thousand times counts a thousand
    times.
    """
    return train(word_counts, vocab_size, count=lambda words: count_pairs(dict.fromkeys(words, 1)))


@mistake("1.4")
def counts_lost_by_merging(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your words lose their counts with the first merge that changes them: from then on each counts once. A
    merged word occurs as often as it did before.
    """
    given = dict(word_counts)
    return train(
        word_counts, vocab_size, count=lambda words: count_pairs({w: given.get(w, 1) for w in words})
    )


@mistake("1.4")
def one_too_many(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function learns one merge too many: the vocabulary would be larger than was asked for. 256 bytes
    and the merges together are vocab_size tokens.
    """
    return train(word_counts, vocab_size + 1)


@mistake("1.4")
def one_too_few(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function learns one merge too few: the vocabulary would be smaller than was asked for. 256 bytes
    and the merges together are vocab_size tokens.
    """
    return train(word_counts, max(vocab_size - 1, 256))


@mistake("1.4")
def bytes_not_counted(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function learns vocab_size merges. The 256 bytes are part of the vocabulary: vocab_size - 256 are
    left for merges.
    """
    return train(word_counts, vocab_size + 256)


@mistake("1.4")
def ids_from_257(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your first new token has the id 257. Bytes are 0 to 255, so the first merge makes 256."""
    return train(word_counts, vocab_size, first_id=257)


@mistake("1.4")
def does_not_stop(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function raises ValueError when no pair is left, because it asks for the best of none. Training
    stops there: a small text fills only a small vocabulary.
    """
    words = dict(word_counts)
    merges: list[Pair] = []
    while 256 + len(merges) < vocab_size:
        best = smallest_of_the_most_frequent(count_pairs(words))
        words = {merge_pair(word, best, 256 + len(merges)): number for word, number in words.items()}
        merges.append(best)
    return merges


@mistake("1.4")
def stops_at_one(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function stops when the best pair occurs only once. The rule is to go on while there is a pair and
    room for it.
    """
    return train(
        word_counts,
        vocab_size,
        count=lambda w: c if max((c := count_pairs(w)).values(), default=0) > 1 else {},
    )


@mistake("1.4")
def one_long_text(word_counts: Mapping[Word, int], vocab_size: int) -> list[Pair]:
    """Your function puts all words in a row and counts pairs across their borders. Tokens never cross from
    word to word.
    """
    row = tuple(one for word, count in word_counts.items() for _ in range(count) for one in word)
    return train({row: 1}, vocab_size)


@mistake("1.4")
def argument_changed(word_counts: dict[Word, int], vocab_size: int) -> list[Pair]:
    """Your function changes the dict that it was given. The caller may want to train again, with another
    size: work on a copy.
    """
    merges = train(word_counts, vocab_size)
    for i, pair in enumerate(merges):
        for word in list(word_counts):
            word_counts[merge_pair(word, pair, 256 + i)] = word_counts.pop(word)
    return merges


@variant("1.4")
def by_sorting(word_counts: Mapping[Word, int], vocab_size: int) -> Any:
    """Words and counts in lists, pairs sorted, a for loop that breaks; a tuple comes back."""
    if vocab_size < 256:
        raise ValueError("too small")
    words, counts = [list(word) for word in word_counts], list(word_counts.values())
    merges: list[Pair] = []
    for new_id in range(256, vocab_size):
        seen: Counter[Pair] = Counter()
        for word, count in zip(words, counts):
            for i in range(len(word) - 1):
                seen[word[i], word[i + 1]] += count
        if not seen:
            break
        best = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[0][0]
        words = [list(merge_pair(tuple(word), best, new_id)) for word in words]
        merges.append(best)
    return tuple(merges)


@variant("1.4")
def in_two_steps(word_counts: Mapping[Word, int], vocab_size: int) -> Any:
    """The highest count first, then the smallest of the pairs that have it; merges as lists of two."""
    if vocab_size < 256:
        raise ValueError("too small")

    def choose(counts: Counts) -> Pair:
        highest = max(counts.values())
        return min(pair for pair, count in counts.items() if count == highest)

    return [list(pair) for pair in train(word_counts, vocab_size, choose)]
