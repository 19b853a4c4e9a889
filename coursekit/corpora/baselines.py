"""What a language model has to beat: byte statistics and gzip, in bits per byte over the same bytes."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np

from coursekit.corpora import TextFile, join

# How many imagined observations back the smoother estimate: small against the thousands behind a common byte.
STRENGTH = 1.0


def unigram(train: bytes) -> np.ndarray:
    """Return p(byte), shape (256,), from the counts in `train` with one added to each, so that no byte
    is impossible.
    """
    counts = np.bincount(_ids(train), minlength=256) + 1.0
    return counts / counts.sum()


def bigram(train: bytes) -> np.ndarray:
    """Return p(next | byte), shape (256, 256), from the pairs in `train`, smoothed toward the unigram.

    p(b | a) = (count(a b) + p(b)) / (count(a) + 1): a byte never seen before gets the unigram's distribution.
    """
    ids = _ids(train)
    pairs = np.bincount(256 * ids[:-1] + ids[1:], minlength=256 * 256).reshape(256, 256)
    return (pairs + STRENGTH * unigram(train)) / (pairs.sum(axis=1, keepdims=True) + STRENGTH)


def unigram_bits(text: bytes, train: bytes) -> float:
    """Return the unigram's bits per byte over `text`, fitted on `train`."""
    return float(-np.log2(unigram(train)[_ids(text)]).mean())


def bigram_bits(text: bytes, train: bytes, before: bytes) -> float:
    """Return the bigram's bits per byte over `text`, fitted on `train`; the last byte of `before`
    precedes the first.
    """
    ids = _ids(before[-1:] + text)
    return float(-np.log2(bigram(train)[ids[:-1], ids[1:]]).mean())


def gzip_bits(files: Sequence[TextFile]) -> float:
    """Return the bits per byte of `gzip -9` over the files joined into one stream, its header included."""
    return _gzip_bits([join(files)])


def gzip_bits_by_file(files: Sequence[TextFile]) -> float:
    """Return the bits per byte of `gzip -9` over each file on its own: every file starts without a past."""
    return _gzip_bits([file.data for file in files])


def _gzip_bits(streams: Sequence[bytes]) -> float:
    packed = sum(len(gzip.compress(stream, compresslevel=9, mtime=0)) for stream in streams)
    return 8 * packed / sum(len(stream) for stream in streams)


def _ids(text: bytes) -> np.ndarray:
    return np.frombuffer(text, dtype=np.uint8).astype(np.int64)
