"""Which side a document is on: a hash of its own content decides, so that no list of others is needed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from coursekit.corpora import HELD_OUT_SHARE, MissingCorpus

Side = Literal["train", "held_out"]
SIDES: tuple[Side, Side] = ("train", "held_out")


def side_of(text: str) -> Side:
    """Return the side of a document, equal on every machine, for every copy and in whatever company.

    Copies that differ in white space alone are copies: the hash is taken over the words. Nothing is
    remembered, so a corpus of any size takes no memory to split. A copy counts as often as it stands there.
    """
    words = " ".join(text.split()).encode("utf-8", "surrogatepass")
    fraction = int.from_bytes(hashlib.sha256(words).digest()[:8], "big") / 2**64
    return "held_out" if fraction < HELD_OUT_SHARE else "train"


def one_side(texts: Iterable[str], side: Side, name: str) -> Iterator[str]:
    """Yield the documents of one side, without those that are white space alone.

    Raises MissingCorpus at the end of a corpus, whichever side is asked for, where either has no document:
    what is trained on could not be measured, or the other way round.
    """
    seen: Counter[Side] = Counter()
    for text in texts:
        if text.strip():
            place = side_of(text)
            seen[place] += 1
            if place == side:
                yield text
    if len(seen) < len(SIDES):
        raise MissingCorpus(_too_few(seen, name))


def training_or_all(texts: Iterable[str], name: str) -> Iterator[str]:
    """Yield the training side; all of a corpus in which nothing is on that side, such as a single text.

    Nothing can be trained and measured on a corpus that small, but a vocabulary can be learned from it.
    Raises MissingCorpus for a corpus of white space.
    """
    waiting: list[str] = []
    has_training = False
    for text in texts:
        if side_of(text) == "train" and text.strip():
            has_training, waiting = True, []
            yield text
        elif not has_training and text.strip():
            waiting.append(text)
    if not has_training and not waiting:
        raise MissingCorpus(nothing_in(name))
    yield from waiting


def nothing_in(name: str) -> str:
    """Return the sentence for a corpus without text."""
    return f"a corpus must hold text, got nothing in {name}: name another, such as python or storyworld"


def _too_few(seen: Counter[Side], name: str) -> str:
    """Return the sentence for a corpus that cannot be split."""
    count = seen.total()
    if not count:
        return nothing_in(name)
    rule = "a corpus must have documents to train on and others to measure on"
    if count == 1:
        way_out = "add documents, or mark where one ends by a line that reads <|endoftext|>"
        return f"{rule}, got a single document in {name}: {way_out}"
    share = f"about 1 in {round(1 / HELD_OUT_SHARE)} is held out, chosen by its content"
    side = "training" if "train" in seen else "held-out"
    return f"{rule}, got {count:,} in {name}, all on the {side} side: {share}, so add more, different ones"
