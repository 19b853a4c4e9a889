"""`course bench tokenizer`: the fast trainer and encoder of this step against `tokenizers` and `tiktoken`.

GPT-2's pattern, 4,096 merges, 5 MB; first on Python's standard library, then on stories. Merges and ids are
compared before anything is timed. `course evidence tokenizer` keeps the ratios for the pages that tell them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, pairwise
from typing import Any

import tiktoken
from tokenizers import Tokenizer as LibraryTokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

from coursekit import bench
from coursekit.corpora.python import python_library
from coursekit.corpora.storyworld import stories
from coursekit.registry import COURSE_ROOT
from step1_tokenizer.further_solution import encode_fast, train_bpe_fast
from step1_tokenizer.model_solution import Tokenizer, byte_characters, split_words, text_to_bytes

THREADS = 2
# GPT-2's pattern, in the form that tiktoken ships with its own GPT-2 encoding.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


@dataclass(frozen=True)
class Size:
    """How much is measured; the plain rescan, which takes a minute, is given less."""

    num_bytes: int = 5_000_000
    merges: int = 4096
    rescan_bytes: int = 500_000
    rescan_merges: int = 512
    repeats: int = 5


def library_order() -> list[int]:
    """Return the id of each byte in the order in which `tokenizers` and GPT-2 number them."""
    table = byte_characters()
    ids = [0] * 256
    for token, byte in enumerate(sorted(range(256), key=lambda byte: table[byte])):
        ids[byte] = token
    return ids


def train(texts: Sequence[str], merges: int) -> list[tuple[int, int]]:
    """Return the merges of texts: cut, count, pack words into strings, train fast."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text))
    numbers = {byte: chr(token) for byte, token in enumerate(library_order())}
    packed = {text_to_bytes(word).decode("latin-1").translate(numbers): n for word, n in counts.items()}
    return train_bpe_fast(packed, 256 + merges)


def train_library(texts: Sequence[str], merges: int) -> LibraryTokenizer:
    """Return what `tokenizers` learns from the same texts."""
    library = LibraryTokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + merges, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator(texts, trainer)
    return library


def rescan(texts: Sequence[str], merges: int) -> list[tuple[int, int]]:
    """Return the merges in the plainest way: for each, every word of the text is counted and rewritten."""
    order = library_order()
    words = [[order[byte] for byte in text_to_bytes(word)] for text in texts for word in split_words(text)]
    learned: list[tuple[int, int]] = []
    for number in range(merges):
        counts: dict[tuple[int, int], int] = {}
        for word in words:
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        learned.append(best)
        words = [_replaced(word, best, 256 + number) for word in words]
    return learned


def _replaced(word: list[int], pair: tuple[int, int], new: int) -> list[int]:
    merged, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and word[i] == pair[0] and word[i + 1] == pair[1]:
            merged.append(new)
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return merged


class Workload:
    """Texts with the tokenizers that are compared on them, trained once and found equal."""

    def __init__(self, texts: Sequence[str], merges: int) -> None:
        self.texts, self.merges = texts, merges

    @cached_property
    def library(self) -> LibraryTokenizer:
        return train_library(self.texts, self.merges)

    @cached_property
    def ours(self) -> Tokenizer:
        own = Tokenizer(train(self.texts, self.merges), byte_ids=library_order())
        vocab = self.library.get_vocab()
        table = byte_characters()
        same = all(vocab.get("".join(table[b] for b in data)) == i for i, data in enumerate(own.vocab))
        if not same or len(vocab) != len(own):
            raise RuntimeError("the merges must equal those of tokenizers before anything is timed")
        return own

    @cached_property
    def tiktoken(self) -> tiktoken.Encoding:
        ranks = {data: i for i, data in enumerate(self.ours.vocab)}
        return tiktoken.Encoding("bench", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})

    def encode(self, cache: dict[str, Sequence[int]]) -> list[list[int]]:
        """Encode every text with this cache."""
        own = self.ours
        return [encode_fast(text, own.ranks, cache, own.byte_ids) for text in self.texts]

    def compare(self) -> None:
        """Raise RuntimeError unless all three give the same ids for every text."""
        ids = self.encode({})
        if ids != [self.tiktoken.encode_ordinary(text) for text in self.texts]:
            raise RuntimeError("the ids must equal those of tiktoken before anything is timed")
        if ids != [encoded.ids for encoded in self.library.encode_batch(self.texts)]:
            raise RuntimeError("the ids must equal those of tokenizers before anything is timed")


def rows(size: Size = Size()) -> list[bench.Row]:
    """Return the rows of both tables, those on stories with "(stories)" behind their names."""
    # Read by `tokenizers` when it first computes.
    os.environ["RAYON_NUM_THREADS"] = str(THREADS)
    return [
        *_compared("python", "", size),
        *_compared("stories", " (stories)", size),
        _against_rescan(size),
    ]


def evidence(size: Size = Size()) -> dict[str, Any]:
    """Return the rows with what the pages of this step say of them, as `course evidence tokenizer` keeps
    them.
    """
    measured = rows(size)
    ratio = {row.what: row.ratio or 0 for row in measured}
    claims = {
        "fast training is hundreds of times faster than the plain rescan": ratio["train vs plain rescan"]
        >= 200,
        "warm encoding is faster than tokenizers": ratio["encode warm vs tokenizers"] > 1,
    }
    return {"rows": [row.to_json() for row in measured], "claims": claims}


def texts_of(corpus: str, num_bytes: int) -> list[str]:
    """Return whole files or stories, together about `num_bytes`."""
    if corpus == "python":
        library = python_library()
        source = (file.data.decode("utf-8") for file in (*library.train, *library.held_out))
    else:
        # A thousand stories to a document, about as long as a file of the library.
        source = ("".join(islice(stories(seed), 1000)) for seed in range(sys.maxsize))
    chosen, size = [], 0
    for text in source:
        chosen.append(text)
        size += len(text.encode())
        if size >= num_bytes:
            break
    return chosen


def _compared(corpus: str, mark: str, size: Size) -> list[bench.Row]:
    work = Workload(texts_of(corpus, size.num_bytes), size.merges)
    work.compare()
    cache: dict[str, Sequence[int]] = {}
    work.encode(cache)
    runs: dict[str, Callable[[], object]] = {
        "train": lambda: train(work.texts, size.merges),
        "train, tokenizers": lambda: train_library(work.texts, size.merges),
        "warm": lambda: work.encode(cache),
        "cold": lambda: work.encode({}),
        "tiktoken": lambda: [work.tiktoken.encode_ordinary(text) for text in work.texts],
        "tokenizers": lambda: [work.library.encode(text).ids for text in work.texts],
        "tokenizers, batch": lambda: [encoded.ids for encoded in work.library.encode_batch(work.texts)],
    }
    seconds = bench.medians(bench.interleaved(runs, size.repeats))
    told: dict[str, Any] = {
        "corpus": corpus,
        "bytes": sum(len(text.encode()) for text in work.texts),
        "merges": size.merges,
        "threads": THREADS,
        "repeats": size.repeats,
    }
    memory: dict[str, Any] = {
        "ours_peak_mb": _peak("train", corpus, size),
        "peer_peak_mb": _peak("train_library", corpus, size),
    }
    row = bench.lower_is_better
    warm, cold = seconds["warm"], seconds["cold"]
    return [
        row(f"train{mark}", seconds["train"], seconds["train, tokenizers"], "tokenizers", **memory, **told),
        row(f"encode warm{mark}", warm, seconds["tiktoken"], "tiktoken", **told),
        row(f"encode warm vs tokenizers{mark}", warm, seconds["tokenizers"], "tokenizers", **told),
        row(f"encode batch vs tokenizers{mark}", warm, seconds["tokenizers, batch"], "tokenizers", **told),
        row(f"encode cold{mark}", cold, seconds["tiktoken"], "tiktoken", **told),
    ]


def _against_rescan(size: Size) -> bench.Row:
    """Return the row against counting everything anew: once, as it takes about a minute."""
    texts, merges = texts_of("python", size.rescan_bytes), size.rescan_merges
    if train(texts, merges // 8) != rescan(texts, merges // 8):
        raise RuntimeError("both ways must learn the same merges before anything is timed")
    fast = bench.medians(bench.interleaved({"fast": partial(train, texts, merges)}, size.repeats))["fast"]
    plain = bench.once(partial(rescan, texts, merges))
    told: dict[str, Any] = {"bytes": sum(len(t.encode()) for t in texts), "merges": merges}
    return bench.lower_is_better("train vs plain rescan", fast, plain, "plain rescan, once", **told)


def _peak(what: str, corpus: str, size: Size) -> float | None:
    """Return the megabytes that training adds to a fresh process at its peak; None where no system tells."""
    code = (
        "from pathlib import Path; from step1_tokenizer import bench as b; "
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]); "
        f"texts = b.texts_of({corpus!r}, {size.num_bytes}); before = peak(); "
        f"b.{what}(texts, {size.merges}); print((peak() - before) / 1024)"
    )
    if sys.platform != "linux":
        return None
    done = subprocess.run([sys.executable, "-c", code], cwd=COURSE_ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring memory must end with 0, got {done.returncode}:\n{done.stderr}")
    return round(float(done.stdout), 1)
