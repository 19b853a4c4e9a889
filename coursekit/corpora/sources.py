"""Corpora by name, as commands take them: `python`, `storyworld`, `file:PATH`, `hub:NAME`.

Each is a stream of documents, never held in memory as a whole, and each has two sides that share no document.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import get_args

from coursekit.corpora import MissingCorpus
from coursekit.corpora.files import file_documents, path_and_field, states_of
from coursekit.corpora.hub import hub_documents, parts_of
from coursekit.corpora.python import python_library
from coursekit.corpora.splits import Side, one_side, training_or_all
from coursekit.corpora.storyworld import stories

NAMES = ("python", "storyworld", "file:PATH", "hub:NAME")
FILE, HUB = "file:", "hub:"
# A story has about 400 bytes, so this is some 8 MB, as much as the standard library.
NUM_STORIES = 20_000


def documents(name: str, split: Side, *, seed: int = 0, limit: int | None = None) -> Iterator[str]:
    """Yield the documents of one side of a corpus, at most `limit` of them, one at a time.

    A hash of its own content puts a document on its side, `splits.side_of`; `python` is split by the names
    of its files after copies were dropped, as everywhere in the course. `seed` chooses the stories of
    `storyworld`, which has no end; the other corpora are what they are. Raises ValueError for a side that
    there is not and a limit below 1, MissingCorpus, in one sentence, for a corpus that cannot be had, is
    broken, or has too few documents for two sides: at once where a look tells it, else as it shows.
    """
    if split not in get_args(Side):
        raise ValueError(f"split must be one of {', '.join(get_args(Side))}, got {split!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if name == "python":
        library = python_library()
        files = library.train if split == "train" else library.held_out
        return islice((file.data.decode("utf-8") for file in files), limit)
    return islice(one_side(_texts(name, seed), split, name), limit)


def open_corpus(name: str) -> Iterator[str]:
    """Return what a vocabulary is learned from: a corpus's training side, of `storyworld` 20,000 stories.

    A corpus too small for two sides is taken whole. Raises MissingCorpus as `documents` does.
    """
    if name in ("python", "storyworld"):
        return documents(name, "train", limit=NUM_STORIES)
    return training_or_all(_texts(name, seed=0), name)


def is_endless(name: str) -> bool:
    """Return whether a corpus has no last document, so that a limit is needed."""
    return name == "storyworld"


def state_of(name: str, seed: int = 0) -> str:
    """Return a fingerprint that changes when what a name stands for does: an edited file, another Python.

    Files are told by name, size and time of change, not read. Of a data set on the hub nothing but its name
    is known here.
    """
    if name == "python":
        return sys.version
    if name == "storyworld":
        return _digest(islice(stories(seed), 16))
    path = None
    if name.startswith(FILE):
        path, _ = path_and_field(name.removeprefix(FILE))
    elif name.startswith(HUB):
        path = Path(parts_of(name.removeprefix(HUB))[0])
    if path is None or (name.startswith(HUB) and not path.exists()):
        return ""
    return _digest(f"{file} {size} {changed}" for file, size, changed in states_of(path))


def _texts(name: str, seed: int) -> Iterator[str]:
    """Return all documents of a corpus that is split by content."""
    if name == "storyworld":
        return stories(seed)
    for prefix, read in ((FILE, file_documents), (HUB, hub_documents)):
        if name.startswith(prefix) and len(name) > len(prefix):
            return read(name.removeprefix(prefix))
    raise MissingCorpus(f"a corpus must be one of {', '.join(NAMES)}, got {name!r}")


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)} {part}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
