"""Texts to train on that need no network, each a list of files split into a training side and a held-out
side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

HELD_OUT_SHARE = 0.1


class MissingCorpus(Exception):
    """The text is not on this machine; the message is one sentence that says what to do about it."""


@dataclass(frozen=True)
class TextFile:
    """One file of a corpus: its name, with forward slashes on every system, and its text as UTF-8 bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Corpus:
    """A text split by file: no file, and no copy of one, stands on both sides."""

    name: str
    train: tuple[TextFile, ...]
    held_out: tuple[TextFile, ...]

    def sample(self, limit: int) -> tuple[TextFile, ...]:
        """Return whole held-out files of `limit` bytes together at most, always the same ones, in a
        mixed-up order.

        Files are taken in the order of their names' hashes, each one that still fits. Raises ValueError
        where not even the smallest fits.
        """
        chosen: list[TextFile] = []
        left = limit
        for file in sorted(self.held_out, key=lambda file: _fraction(file.name)):
            if len(file.data) <= left:
                chosen.append(file)
                left -= len(file.data)
        if not chosen:
            smallest = min(len(file.data) for file in self.held_out)
            raise ValueError(f"the sample must have room for a file of {smallest:,} bytes, got {limit:,}")
        return tuple(chosen)


def join(files: Iterable[TextFile]) -> bytes:
    """Return the files' bytes one after another."""
    return b"".join(file.data for file in files)


def split_by_file(name: str, files: Iterable[TextFile], share: float = HELD_OUT_SHARE) -> Corpus:
    """Hold out about `share` of the files, chosen by a hash of the name alone, so that the choice never
    changes.

    A file joins the same side whatever other files there are. Of files with the same content only the first
    by name is kept: a copy on the other side would be a leak. Empty files are dropped.
    """
    distinct: dict[bytes, TextFile] = {}
    for file in sorted(files, key=lambda file: file.name):
        if file.data.strip():
            distinct.setdefault(file.data, file)
    sides: tuple[list[TextFile], list[TextFile]] = ([], [])
    for file in distinct.values():
        sides[_fraction(file.name) < share].append(file)
    return Corpus(name, train=tuple(sides[0]), held_out=tuple(sides[1]))


def _fraction(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone and is equal on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
