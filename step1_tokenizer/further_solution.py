"""What makes a tokenizer fast and fit for streaming: the same merges, ids and text for much less work.

The first function decodes while ids arrive. The second trains in seconds where counting all pairs anew would
take hours. The third encodes with a memory of words and without quadratic cost. Each gives exactly what its
slow sister in `model_solution.py` gives.
"""

from __future__ import annotations

import codecs
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import chain, pairwise

from step1_tokenizer.model_solution import Pair, split_words, text_to_bytes

MergeWord = Callable[[str, str, str], str]


def decode_stream(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Yield the text of ids as they arrive: after each id all characters that are complete, if there are any.

    `vocab[i]` holds the bytes of token i. Joined, the pieces are what decoding all ids at once gives. A
    character whose bytes are spread over tokens appears whole, with its last token; bytes that can never
    become a character appear as U+FFFD as soon as that is certain, at the latest when the ids end.

    Source: The Unicode Standard, chapter 3.9, "U+FFFD Substitution of Maximal Subparts".
    Tutorial: docs/tutorials/step1_tokenizer_further.md#19-streaming
    """
    # 1. An incremental decoder keeps the bytes that are no whole character yet.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    # 2. Hand it the bytes of each id; pass on what it can say by now.
    for token in ids:
        if text := decoder.decode(vocab[token]):
            yield text
    # 3. When the ids end, what is still incomplete stays incomplete: let the decoder say so.
    if text := decoder.decode(b"", final=True):
        yield text


def train_bpe_fast(
    word_counts: Mapping[str, int], vocab_size: int, merge_word: MergeWord = str.replace
) -> list[Pair]:
    """Return the merges of `train_bpe`, in the same order, without looking at words that do not change.

    A word is a `str` here whose characters are its ids, character i standing for id ord(character i), so that
    Python finds and replaces in C. `merge_word(word, pair, new)` replaces a pair, two characters, by one; it
    is called for every word that holds the pair, and for no other. Raises ValueError for a vocabulary without
    room for the 256 bytes.

    Tutorial: docs/tutorials/step1_tokenizer_further.md#110-training-fast
    """
    if vocab_size < 256:  # given
        raise ValueError(f"vocab_size must be at least 256, one for each byte, got {vocab_size}")  # given
    # 1. Count all pairs once, and note for each pair which words hold it.
    words, counts = list(word_counts), list(word_counts.values())
    pair_counts: defaultdict[str, int] = defaultdict(int)
    where: defaultdict[str, list[int]] = defaultdict(list)
    for i, (word, count) in enumerate(zip(words, counts)):
        for pair in map(str.__add__, word, word[1:]):
            pair_counts[pair] += count
            where[pair].append(i)
    # 2. Put every pair into a heap with its count, negative: the smallest entry comes first.
    heap = [(-count, pair) for pair, count in pair_counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while 256 + len(merges) < vocab_size and (best := pop_best(heap, pair_counts)):
        new = chr(256 + len(merges))
        merges.append((ord(best[0]), ord(best[1])))
        # 3. Merge the best pair in the words that hold it. The index may name a word twice, or one too many.
        created: defaultdict[str, int] = defaultdict(int)
        for i in dict.fromkeys(where.pop(best)):
            if best in words[i]:
                words[i] = merge_word(words[i], best, new)
                # 4. Move the counts of the pairs that changed; note where the new ones are.
                lost, gained = changed_pairs(words[i], best, new)
                for pair in lost:
                    pair_counts[pair] -= counts[i]
                for pair in gained:
                    created[pair] += counts[i]
                    where[pair].append(i)
        # 5. The best pair is gone; what came into being enters the heap.
        pair_counts[best] = 0
        for pair, count in created.items():
            pair_counts[pair] = count
            heapq.heappush(heap, (-count, pair))
    return merges


def pop_best(heap: list[tuple[int, str]], pair_counts: Mapping[str, int]) -> str | None:
    """Take the pair with the highest count, of several the smallest, off the heap, or return None if none is
    left.

    The heap holds (-count, pair) with a count that may have fallen since; `pair_counts` holds what is true. A
    pair whose count is 0 is left.

    Tutorial: docs/tutorials/step1_tokenizer_further.md#110-training-fast
    """
    # 1. Take the smallest entry; if it promised what is true, its pair is the best.
    while heap:
        promised, pair = heapq.heappop(heap)
        count = pair_counts[pair]
        if count == -promised:
            return pair
        # 2. A pair that promised too much goes back with its own count, unless that is 0.
        if count:
            heapq.heappush(heap, (-count, pair))
    return None


def changed_pairs(word: str, pair: str, new: str) -> tuple[list[str], list[str]]:
    """Return the pairs that a word lost and those that it gained when the pair became `new`, place by place.

    `word` is the word after the merge. Only neighbors of `new` changed: where x, new, y stands now, (x,
    first) and (second, y) are lost, (x, new) and (new, y) gained. The pair itself is not among the lost.

    Tutorial: docs/tutorials/step1_tokenizer_further.md#110-training-fast
    """
    first, second = pair[0], pair[1]
    lost, gained = [], []
    at = word.find(new)
    # 1. Go from one new token to the next. On its left may stand another one, which was a pair, too.
    while at >= 0:
        if at > 0:
            left = word[at - 1]
            lost.append((second if left == new else left) + first)
            gained.append(left + new)
        # 2. Where another one stands on its right, what is between them comes with that one.
        if at + 1 < len(word) and word[at + 1] != new:
            lost.append(second + word[at + 1])
            gained.append(new + word[at + 1])
        at = word.find(new, at + 1)
    return lost, gained


def encode_fast(
    text: str,
    ranks: Mapping[Pair, int],
    cache: MutableMapping[str, Sequence[int]],
    byte_ids: Sequence[int] = range(256),
) -> list[int]:
    """Return the ids of a text in which nothing is special, remembering in `cache` every word it has met.

    `ranks` is used as in `encode_word`, and nothing else knows merges: a word from the cache asks it nothing,
    and a new one what `encode_word_fast` asks. The work for a long word grows as n log n.

    Tutorial: docs/tutorials/step1_tokenizer_further.md#111-encoding-fast
    """
    # 1. Cut the text into words, and encode those that the cache does not have.
    words = split_words(text)
    for word in set(words).difference(cache):
        cache[word] = encode_word_fast([byte_ids[byte] for byte in text_to_bytes(word)], ranks)
    # 2. Put the ids of all words in a row.
    return list(chain.from_iterable(map(cache.__getitem__, words)))


def encode_word_fast(word: Sequence[int], ranks: Mapping[Pair, int]) -> list[int]:
    """Return the ids of a word as `encode_word` does, without going over the word again for every merge.

    A word of n bytes asks `ranks` at most 3n times: once for each pair that it holds, and twice for each
    merge, because a new token has two neighbors.

    Tutorial: docs/tutorials/step1_tokenizer_further.md#111-encoding-fast
    """
    # 1. Each place knows the place after it and the place before it that are still there.
    ids, end = list(word), len(word)
    after, before = list(range(1, end + 1)), list(range(-1, end - 1))
    # 2. A heap hands out pairs by the id they become, the lowest first, and at one id from left to right.
    heap = []
    for i, pair in enumerate(pairwise(ids)):
        if (new := ranks.get(pair)) is not None:
            heap.append((new, i, pair))
    heapq.heapify(heap)
    while heap:
        new, i, pair = heapq.heappop(heap)
        j = after[i]
        # 3. A pair of which one half was merged elsewhere is no longer there. Merged-away places hold -1.
        if j == end or (ids[i], ids[j]) != pair:
            continue
        # 4. The left place takes the new id, the right one is skipped from now on.
        ids[i], ids[j] = new, -1
        after[i] = k = after[j]
        if k < end:
            before[k] = i
            # 5. The new token makes a pair with each of its neighbors.
            if (higher := ranks.get((new, ids[k]))) is not None:
                heapq.heappush(heap, (higher, i, (new, ids[k])))
        if (h := before[i]) >= 0 and (higher := ranks.get((ids[h], new))) is not None:
            heapq.heappush(heap, (higher, h, (ids[h], new)))
    # 6. What was not merged away is the word.
    return [token for token in ids if token >= 0]
