"""Token ids on disk as one long stream: files of equal size, mapped into memory, with an index.

| file | what it holds |
|---|---|
| `index.json` | counts, the tokenizer's fingerprint, where the text came from |
| `documents.bin` | where each document begins: tokens and bytes before it, pairs of 8-byte integers |
| `tokens-00000.bin`, ... | ids of 2 or 4 bytes, little-endian, each document followed by its end token |
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.corpora.shard_index import (
    DOCUMENTS,
    OFFSET,
    WAY_OUT,
    BrokenShards,
    Index,
    fingerprint,
    read_index,
    shard_name,
)
from coursekit.corpora.shard_writing import SHARD_TOKENS, write_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

__all__ = ["SHARD_TOKENS", "BrokenShards", "Shards", "fingerprint", "write_shards"]


def write_shards(
    folder: Path,
    documents: Iterable[str],
    encode: Callable[[str], Sequence[int] | np.ndarray],
    end_of_text: int,
    *,
    vocab_size: int,
    tokenizer: str,
    meta: Mapping[str, Any] | None = None,
    shard_tokens: int = SHARD_TOKENS,
    progress: Callable[[int, int], object] | None = None,
) -> Shards:
    """Encode documents, one at a time, into a folder of shards, and open it.

    Whenever it is interrupted, `folder` is either whole or not there. `encode` returns the ids of one text,
    as a list or an array; `tokenizer` is a `fingerprint` of what it depends on; `progress` is called with
    the documents and the tokens so far, after each document. Raises ValueError for an id outside the
    vocabulary and for no documents, FileExistsError for a folder that is there already.
    """
    write_folder(Path(folder), documents, encode, end_of_text, vocab_size, tokenizer,
                 dict(meta or {}), shard_tokens, progress)  # fmt: skip
    return Shards.open(folder)


class Shards:
    """A stream of token ids on disk that is indexed like a tensor of shape (num_tokens,).

    `len(shards)`, `shards[5]`, `shards[10:20]` and `shards[positions]`, where `positions` is an integer
    tensor of any shape, return int64 tensors, whatever files the ids lie in. Only what is asked for is read.
    A pickled copy, as in a worker of a data loader, opens the folder again.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = Path(folder), index
        self._shards = [
            np.memmap(self.folder / shard_name(shard), dtype=index.dtype, mode="r")
            for shard in range(index.num_shards)
        ]
        self._before = np.memmap(self.folder / DOCUMENTS, dtype=OFFSET, mode="r").reshape(-1, 2)

    @classmethod
    def open(cls, folder: str | Path, tokenizer: str | None = None) -> Shards:
        """Open a folder; `tokenizer`, if given, must be the fingerprint that it was written with.

        Raises BrokenShards, in one sentence, for a folder that is not whole or another tokenizer's.
        """
        index = read_index(Path(folder), tokenizer)
        try:
            shards = cls(Path(folder), index)
        except OSError as error:
            raise BrokenShards(f"{folder} must be readable, got: {error.strerror or error}") from None
        ends = shards._before[0].tolist(), shards._before[-1].tolist()
        if ends != ([0, 0], [index.num_tokens, index.num_bytes]):
            path = shards.folder / DOCUMENTS
            raise BrokenShards(f"{path} must begin at 0 and end where its index says, got {ends}: {WAY_OUT}")
        return shards

    def __reduce__(self) -> tuple[Any, ...]:
        return Shards.open, (self.folder.absolute(),)

    def __len__(self) -> int:
        return self.index.num_tokens

    @property
    def num_documents(self) -> int:
        """The number of documents."""
        return self.index.num_documents

    @property
    def num_bytes(self) -> int:
        """The bytes of all documents' texts in UTF-8; end tokens stand for none."""
        return self.index.num_bytes

    def __getitem__(self, where: int | slice | Tensor) -> Tensor:
        """Return the ids at positions, as int64, in the shape of `where`.

        Raises IndexError outside the stream, TypeError for what is no integer, slice or integer tensor.
        """
        import torch

        if isinstance(where, slice):
            first, last, step = where.indices(len(self))
            if step < 1:
                raise ValueError(f"a slice of shards must have a step of at least 1, got {step}")
            return torch.from_numpy(self._read(first, last)[::step])
        if isinstance(where, int):
            where = torch.tensor(where)
        if not isinstance(where, torch.Tensor) or where.dtype not in (torch.int64, torch.int32):
            got = getattr(where, "dtype", type(where).__name__)
            raise TypeError(f"shards are indexed by an integer, a slice or an integer tensor, got {got}")
        return torch.from_numpy(self._gather(where.cpu().numpy().astype(np.int64)))

    def document(self, number: int) -> Tensor:
        """Return the ids of a document, without the token that ends it."""
        first, last = self._span(number)[:, 0].tolist()
        return self[first : last - 1]

    def document_bytes(self, number: int) -> int:
        """Return the bytes of a document's text in UTF-8."""
        first, last = self._span(number)[:, 1].tolist()
        return int(last - first)

    def _span(self, number: int) -> np.ndarray:
        if not 0 <= number < self.num_documents:
            raise IndexError(f"a document must be from 0 to {self.num_documents - 1:,}, got {number:,}")
        return self._before[number : number + 2]

    def _read(self, first: int, last: int) -> np.ndarray:
        """Return the ids of a range, from as many shards as it touches."""
        ids = np.empty(max(0, last - first), dtype=np.int64)
        done = 0
        while done < len(ids):
            shard, start = divmod(first + done, self.index.shard_tokens)
            part = self._shards[shard][start : start + len(ids) - done]
            ids[done : done + len(part)] = part
            done += len(part)
        return ids

    def _gather(self, positions: np.ndarray) -> np.ndarray:
        """Return the ids at positions of any shape, shard by shard."""
        size = len(self)
        if positions.size and not (-size <= positions.min() and positions.max() < size):
            wrong = positions.min() if positions.min() < -size else positions.max()
            raise IndexError(f"a position must be from {-size:,} to {size - 1:,}, got {wrong:,}")
        shard, start = np.divmod(
            np.where(positions < 0, positions + size, positions), self.index.shard_tokens
        )
        ids = np.empty(positions.shape, dtype=np.int64)
        for one in np.unique(shard).tolist():
            here = shard == one
            ids[here] = self._shards[one][start[here]]
        return ids
