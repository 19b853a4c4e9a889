"""A corpus as shards, encoded once: the same text with the same tokenizer is found again by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.corpora import MissingCorpus
from coursekit.corpora.shard_index import FORMAT
from coursekit.corpora.shards import SHARD_TOKENS, Shards, fingerprint, write_shards
from coursekit.corpora.sources import documents, is_endless, state_of
from coursekit.corpora.splits import Side


@dataclass(frozen=True)
class Encoding:
    """What turns a text into ids: the function, its vocabulary, and the `fingerprint` of both."""

    encode: Callable[[str], Sequence[int] | np.ndarray]
    end_of_text: int
    vocab_size: int
    tokenizer: str


def prepare(
    root: Path,
    name: str,
    split: Side,
    encoding: Encoding,
    *,
    seed: int = 0,
    limit: int | None = None,
    shard_tokens: int = SHARD_TOKENS,
    progress: Callable[[int, int], object] | None = None,
) -> Shards:
    """Return one side of a corpus as shards below `root`: opened if they are there, else written now.

    An edited file, another limit, seed, tokenizer or Python (for `python`) makes other shards; a `hub:` data
    set that changed on the hub does not, since asking would need the network. Two processes may prepare the
    same at once. Raises ValueError for `storyworld` without a limit; MissingCorpus as `documents` does.
    """
    if is_endless(name) and limit is None:
        raise ValueError(f"limit must be given for {name}, which has no end, got None")
    meta = {"corpus": name, "split": split, "seed": seed, "limit": limit}
    folder = Path(root) / folder_name(meta, encoding, shard_tokens)
    if folder.exists():
        return Shards.open(folder, encoding.tokenizer)
    texts = documents(name, split, seed=seed, limit=limit)
    try:
        return write_shards(
            folder,
            texts,
            encoding.encode,
            encoding.end_of_text,
            vocab_size=encoding.vocab_size,
            tokenizer=encoding.tokenizer,
            meta=meta,
            shard_tokens=shard_tokens,
            progress=progress,
        )
    except OSError as error:
        if folder.exists():  # another process was first
            return Shards.open(folder, encoding.tokenizer)
        why = error.strerror or error
        way_out = "make room, name another folder, or set a limit"
        raise MissingCorpus(f"{folder} must be writable with room for the tokens: {why}; {way_out}") from None


def folder_name(meta: dict[str, Any], encoding: Encoding, shard_tokens: int) -> str:
    """Return a folder's name: what a person recognizes, and a fingerprint of all that the ids depend on."""
    state = state_of(meta["corpus"], meta["seed"])
    parts = [FORMAT, meta, state, encoding.tokenizer, encoding.vocab_size, encoding.end_of_text, shard_tokens]
    corpus = re.sub(r"[^A-Za-z0-9]+", "-", meta["corpus"]).strip("-")[-40:]
    return f"{corpus}-{meta['split']}-{fingerprint(parts)}"
