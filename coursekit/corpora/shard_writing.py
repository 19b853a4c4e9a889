"""How a folder of shards is written: beside its place, under another name, and renamed when it is whole."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from coursekit.corpora.shard_index import DOCUMENTS, OFFSET, Index, dtype_for, shard_name

# 128 MB of 2-byte ids in a file.
SHARD_TOKENS = 2**26
# What a killed writer left is taken away once nothing was written to it for so long, in seconds.
ABANDONED = 3600

Encode = Callable[[str], Sequence[int] | np.ndarray]
Progress = Callable[[int, int], object]


def write_folder(
    folder: Path,
    documents: Iterable[str],
    encode: Encode,
    end_of_text: int,
    vocab_size: int,
    tokenizer: str,
    meta: dict[str, Any],
    shard_tokens: int,
    progress: Progress | None,
) -> None:
    """Write a whole folder of shards, or nothing; `shards.write_shards` says what is asked of the rest."""
    dtype = dtype_for(vocab_size)
    if shard_tokens < 1:
        raise ValueError(f"shard_tokens must be at least 1, got {shard_tokens}")
    if not 0 <= end_of_text < vocab_size:
        raise ValueError(f"end_of_text must be from 0 to {vocab_size - 1:,}, got {end_of_text}")
    with _whole_or_nothing(folder) as draft:
        with _Writer(draft, dtype, shard_tokens) as writer:
            for number, text in enumerate(documents):
                ids = _checked(encode(text), vocab_size, number)
                size = len(text.encode("utf-8", "surrogatepass"))
                writer.add(np.append(ids, end_of_text).astype(dtype), size)
                if progress is not None:
                    progress(number + 1, writer.num_tokens)
            counts = writer.finish()
        Index(dtype.str, vocab_size, end_of_text, tokenizer, shard_tokens, **counts, meta=meta).write(draft)


def _checked(ids: Sequence[int] | np.ndarray, vocab_size: int, number: int) -> np.ndarray:
    """Return the ids of a document as an array. Raises ValueError for one that is no token."""
    array = np.asarray(ids, dtype=np.int64) if len(ids) else np.empty(0, np.int64)
    if len(array) and not (array.min() >= 0 and array.max() < vocab_size):
        wrong = array.min() if array.min() < 0 else array.max()
        rule = f"ids must be from 0 to {vocab_size - 1:,}"
        raise ValueError(f"{rule}, got {wrong:,} in document {number:,}")
    return array


class _Writer:
    """Appends documents to files of at most `shard_tokens` tokens; a document may go on in the next file."""

    def __init__(self, folder: Path, dtype: np.dtype[Any], shard_tokens: int) -> None:
        self.folder, self.dtype, self.shard_tokens = folder, dtype, shard_tokens
        self.num_tokens = self.num_bytes = 0
        self.shard_documents: list[int] = []
        self.shard: BinaryIO | None = None
        self.offsets = (folder / DOCUMENTS).open("wb")

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self.shard, self.offsets):
            if file is not None:
                file.close()

    def add(self, ids: np.ndarray, num_bytes: int) -> None:
        """Append a document's ids, its end token last."""
        self._mark()
        room = self._room()
        self.shard_documents[-1] += 1
        while len(ids):
            assert self.shard is not None
            self.shard.write(ids[:room].tobytes())
            self.num_tokens += len(ids[:room])
            ids = ids[room:]
            room = self._room() if len(ids) else 0
        self.num_bytes += num_bytes

    def finish(self) -> dict[str, Any]:
        """Bring all to the disk and return the counts of an index. Raises ValueError for no documents."""
        if self.shard is None:
            raise ValueError("documents must be at least one, got none")
        self._mark()
        for file in (self.shard, self.offsets):
            _sync(file)
        return {
            "num_tokens": self.num_tokens,
            "num_documents": sum(self.shard_documents),
            "num_bytes": self.num_bytes,
            "shard_documents": self.shard_documents,
        }

    def _mark(self) -> None:
        self.offsets.write(np.array([self.num_tokens, self.num_bytes], dtype=OFFSET).tobytes())

    def _room(self) -> int:
        """Return how many tokens the open shard still takes, at least one: a full one is closed before."""
        shard, used = divmod(self.num_tokens, self.shard_tokens)
        if shard == len(self.shard_documents):
            if self.shard is not None:
                _sync(self.shard)
                self.shard.close()
            self.shard = (self.folder / shard_name(shard)).open("wb")
            self.shard_documents.append(0)
        return self.shard_tokens - used


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _whole_or_nothing(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder` that takes its name at the end; after an exception it is taken away."""
    if folder.exists():
        raise FileExistsError(f"a folder to write shards to must not be there yet, got {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    draft = folder.parent / f"{_prefix(folder)}{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        yield draft
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _prefix(folder: Path) -> str:
    return f".{folder.name}.writing-"


def _sweep(folder: Path) -> None:
    """Take away what writers of this folder left that were killed long ago."""
    for left in folder.parent.glob(f"{_prefix(folder)}*"):
        times = [path.stat().st_mtime for path in (left, *left.glob("*"))]
        if max(times) < time.time() - ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
