"""What a model loses to the floor, by kind: form, choice and recall."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from coursekit.corpora.storyworld.reading import CHOICE, FORM, RECALL, read
from coursekit.corpora.storyworld.world import DEFAULT_WORLD, World


@dataclass(frozen=True)
class Excess:
    """The surprise of a model above that of the law, in nats, over documents; two of them can be added.

    `form` is text that is certain given the grammar (the document's end included), `choice` where the
    law is free, `recall` what is certain for who remembers the facts. `by_name` splits choices and recalls
    further.
    """

    form: float = 0.0
    choice: float = 0.0
    recall: float = 0.0
    floor: float = 0.0
    num_bytes: int = 0
    num_recalls: int = 0
    by_name: dict[str, float] = field(default_factory=dict)

    def __add__(self, other: Excess) -> Excess:
        names = {**self.by_name}
        for name, nats in other.by_name.items():
            names[name] = names.get(name, 0.0) + nats
        return Excess(
            self.form + other.form,
            self.choice + other.choice,
            self.recall + other.recall,
            self.floor + other.floor,
            self.num_bytes + other.num_bytes,
            self.num_recalls + other.num_recalls,
            names,
        )

    @property
    def total(self) -> float:
        """All nats above the floor."""
        return self.form + self.choice + self.recall

    @property
    def share(self) -> float:
        """How far above the floor, as a part of it: 0.05 is five percent."""
        return self.total / self.floor

    @property
    def bits_per_byte(self) -> float:
        """The model's own loss on these documents."""
        return (self.floor + self.total) / self.num_bytes / math.log(2)

    @property
    def floor_bits_per_byte(self) -> float:
        """The law's loss on the same documents, which no model beats in the long run."""
        return self.floor / self.num_bytes / math.log(2)

    @property
    def nats_per_recall(self) -> float:
        """The mean surprise at a recalled fact: 0 for who remembers, log of the options for who guesses."""
        return self.recall / self.num_recalls


def split(text: str, pieces: Iterable[tuple[int, float]], world: World = DEFAULT_WORLD) -> Excess:
    """Split a model's surprises over one document into form, choice and recall, less what the law has there.

    `pieces` are the model's tokens in order, each its number of bytes and its surprise in nats; one of 0
    bytes at the end is the end-of-text token. A token that reaches over a border belongs to the span that has
    most of it. Raises ValueError for a text that the law cannot draw, and for pieces that do not cover it.
    """
    reading = read(text, world)
    if reading.log_prob == -math.inf:
        raise ValueError(f"a text must be a story that can be drawn, got {text[:60]!r}")
    owner = [number for number, span in enumerate(reading.spans) for _ in range(span.start, span.end)]
    excess = [span.log_prob for span in reading.spans]
    place, end = 0, 0.0
    for num_bytes, surprise in pieces:
        over = owner[place : place + num_bytes]
        place += num_bytes
        if over:
            excess[max(over, key=over.count)] += surprise
        else:
            end += surprise
    if place != len(owner):
        raise ValueError(f"the pieces must cover all {len(owner)} bytes of the text, got {place}")
    kinds = {FORM: end, CHOICE: 0.0, RECALL: 0.0}
    names: dict[str, float] = {}
    for span, nats in zip(reading.spans, excess):
        kinds[span.kind] += nats
        if span.name:
            name = f"{span.kind} of {span.name}"
            names[name] = names.get(name, 0.0) + nats
    num_recalls = sum(span.kind == RECALL for span in reading.spans)
    return Excess(
        *(kinds[FORM], kinds[CHOICE], kinds[RECALL]), -reading.log_prob, len(owner), num_recalls, names
    )
