"""The index of a folder of shards: what is in it, whose tokens they are, and whether all of it is there."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.corpora import MissingCorpus

FORMAT = 1
INDEX = "index.json"
# Two numbers for each document and one more pair for the end: tokens and bytes of text before it.
DOCUMENTS = "documents.bin"
LARGEST_VOCABULARY = 2**32
OFFSET = np.dtype("<i8")
WAY_OUT = "delete the folder, and it is written anew"


class BrokenShards(MissingCorpus):
    """A folder of shards is not whole, or not of this tokenizer; the message is one sentence."""


@dataclass(frozen=True)
class Index:
    """What `index.json` holds: counts over all shards and for each, and what the tokens were made from.

    All shards but the last have `shard_tokens` tokens, so that a token's shard follows from its number.
    `shard_documents` counts the documents that begin in each. `num_bytes` counts the text as UTF-8, without
    the tokens that end documents. `meta` says where the text came from: corpus, side, seed, limit.
    """

    dtype: str
    vocab_size: int
    end_of_text: int
    tokenizer: str
    shard_tokens: int
    num_tokens: int
    num_documents: int
    num_bytes: int
    shard_documents: list[int]
    meta: dict[str, Any]
    format: int = FORMAT

    @property
    def num_shards(self) -> int:
        """The number of files with tokens."""
        return len(self.shard_documents)

    def tokens_of(self, shard: int) -> int:
        """Return how many tokens a shard has."""
        return min(self.shard_tokens, self.num_tokens - shard * self.shard_tokens)

    def write(self, folder: Path) -> None:
        """Write `index.json`; it is the last file of a set, and on the disk when this returns."""
        with (folder / INDEX).open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())


def shard_name(shard: int) -> str:
    """Return the name of a shard's file; names sort in the order of the tokens."""
    return f"tokens-{shard:05}.bin"


def dtype_for(vocab_size: int) -> np.dtype[Any]:
    """Return the smallest type that holds every id: 2 bytes up to 65,536 tokens, 4 above; little-endian."""
    if not 1 <= vocab_size <= LARGEST_VOCABULARY:
        raise ValueError(f"vocab_size must be from 1 to {LARGEST_VOCABULARY:,}, got {vocab_size:,}")
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def fingerprint(value: object) -> str:
    """Return 16 hexadecimal digits of a value that JSON can write, equal on every machine.

    For a tokenizer: its merges and its special tokens, which are all that its ids depend on.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_index(folder: Path, tokenizer: str | None = None) -> Index:
    """Return the index of a folder whose files are all there in their full size.

    Raises BrokenShards, in one sentence, where they are not, and where `tokenizer`, a fingerprint, is given
    and another one made the ids.
    """
    index = _parsed(folder)
    if tokenizer is not None and tokenizer != index.tokenizer:
        raise BrokenShards(
            f"shards must be read with the tokenizer that wrote them, got the tokenizer {tokenizer} for "
            f"{folder}, which {index.tokenizer} wrote: open that tokenizer, or encode the corpus anew"
        )
    token_bytes = np.dtype(index.dtype).itemsize
    sizes = {shard_name(n): token_bytes * index.tokens_of(n) for n in range(index.num_shards)}
    sizes[DOCUMENTS] = 2 * OFFSET.itemsize * (index.num_documents + 1)
    for name, wanted in sizes.items():
        path = folder / name
        if not path.is_file():
            raise BrokenShards(f"a set of shards must be whole, and {path} is missing: {WAY_OUT}")
        if (size := path.stat().st_size) != wanted:
            rule = f"{path} must have {wanted:,} bytes, as its index says"
            raise BrokenShards(f"{rule}, got {size:,}: {WAY_OUT}")
    return index


def _parsed(folder: Path) -> Index:
    path = folder / INDEX
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BrokenShards(f"a folder of shards must hold {INDEX}, got {folder} without it") from None
    except OSError as error:
        raise BrokenShards(f"{path} must be readable, got: {error.strerror or error}") from None
    except ValueError:
        raise BrokenShards(f"{path} must be JSON, and it is not: {WAY_OUT}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        got = found.get("format") if isinstance(found, dict) else type(found).__name__
        raise BrokenShards(f"{path} must have the format {FORMAT}, got {got}: {WAY_OUT}")
    types = {field.name: field.type for field in fields(Index)}
    if types.keys() != found.keys() or not _is_consistent(index := Index(**found)):
        raise BrokenShards(f"{path} must hold counts that agree with each other, and does not: {WAY_OUT}")
    return index


def _is_consistent(index: Index) -> bool:
    """Return whether an index can be true: counts of the right type that add up."""
    counts = (index.vocab_size, index.shard_tokens, index.num_tokens, index.num_documents)
    if not all(isinstance(count, int) and count > 0 for count in counts):
        return False
    if not isinstance(index.num_bytes, int):
        return False
    if index.vocab_size > LARGEST_VOCABULARY or index.dtype != dtype_for(index.vocab_size).str:
        return False
    shards = -(-index.num_tokens // index.shard_tokens)
    each = index.shard_documents
    if not isinstance(each, list) or not all(isinstance(count, int) for count in each):
        return False
    return len(each) == shards and sum(each) == index.num_documents
