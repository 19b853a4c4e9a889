"""Who answers when a story asks "which one?": one program tells all stories, and an oracle makes its choices.

The program (`plot.py`) says what is certain, chooses where it is free, and recalls what was fixed earlier;
every choice is written out at the place where it is made. So one oracle draws stories (`Drawing`), another
reads them (`reading.py`), a third lists all that a small world has (`Listing`).
"""

from __future__ import annotations

import math
import random
import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol


@dataclass(frozen=True, eq=False)
class Options:
    """Texts of which one is said, all equally likely unless `weights` says otherwise.

    No text may begin another: whoever reads knows at its end which one it is. `matters` says that the choice
    changes what happens later, and not only a name, an adjective or a turn of phrase; `classes`, a word for
    each text, that only the choice between classes does. Raises ValueError for texts that cannot be told
    apart.
    """

    kind: str
    texts: tuple[str, ...]
    weights: tuple[float, ...] = ()
    matters: bool = False
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ordered = sorted(self.texts)
        for first, second in pairwise(ordered):
            if second.startswith(first):
                raise ValueError(f"no option may begin another, got {first!r} and {second!r}")
        if self.weights and len(self.weights) != len(self.texts):
            raise ValueError(f"every option must have a weight, got {len(self.weights)} for {self.texts}")

    @cached_property
    def shares(self) -> dict[str, float]:
        """The probability of each text."""
        weights = self.weights or (1.0,) * len(self.texts)
        return {text: weight / sum(weights) for text, weight in zip(self.texts, weights)}

    @cached_property
    def steps(self) -> list[float]:
        """The sums of the first shares, for drawing."""
        return list(accumulate(self.shares.values()))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches any one of the texts."""
        return re.compile("|".join(map(re.escape, self.texts)))

    def log_share(self, text: str, without: Sequence[str] = (), only: Sequence[str] = ()) -> float:
        """Return the logarithm of a text's probability where those in `without` cannot be chosen; or, with
        `only`, none but these, all equally likely.
        """
        if text in without or (only and text not in only):
            return -math.inf
        if only:
            return -math.log(len(only))
        taken = sum(self.shares.get(other, 0.0) for other in set(without))
        return math.log(self.shares[text] / (1.0 - taken))

    def mattering(self, text: str, without: Sequence[str] = (), only: Sequence[str] = ()) -> float:
        """Return the part of the surprise at a text, in nats, that is in what changes later."""
        if not self.classes:
            return -self.log_share(text, without, only) * self.matters
        kind = dict(zip(self.texts, self.classes))
        return -math.log(sum(self.shares[other] for other in self.texts if kind[other] == kind[text]))


class Oracle(Protocol):
    """What the program of a story asks; all text passes through these three methods."""

    def say(self, text: str) -> None:
        """Say what is certain for whoever knows the grammar."""

    def choose(self, options: Options, without: Sequence[str] = (), only: Sequence[str] = ()) -> str:
        """Say one of the options and return it: none of `without`, and with `only` one of these.

        What is excluded is excluded by the story's facts, not by its grammar.
        """

    def recall(self, options: Options, true: str, is_answer: bool = False) -> str:
        """Say the one option that the story so far has fixed, and return what was said."""


class Drawing:
    """Draws every choice by lot; `parts` is what was said."""

    def __init__(self, rng: random.Random) -> None:
        self.random = rng.random
        self.parts: list[str] = []

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self.parts)

    def say(self, text: str) -> None:
        """Keep the text."""
        self.parts.append(text)

    def choose(self, options: Options, without: Sequence[str] = (), only: Sequence[str] = ()) -> str:
        """Draw until it is none of those that are taken: the others keep their proportions."""
        if only:
            chosen = only[int(self.random() * len(only))]
            self.parts.append(chosen)
            return chosen
        texts, steps = options.texts, options.steps
        last = len(texts) - 1
        chosen = texts[min(bisect(steps, self.random()), last)]
        while chosen in without:
            chosen = texts[min(bisect(steps, self.random()), last)]
        self.parts.append(chosen)
        return chosen

    def recall(self, options: Options, true: str, is_answer: bool = False) -> str:
        """Say the truth."""
        self.parts.append(true)
        return true


class Weighing(Drawing):
    """Draws, and adds up the surprise of what it draws, by kind of choice, in nats."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.surprise: dict[str, float] = {}
        self.total = 0.0
        self.mattering = 0.0

    def choose(self, options: Options, without: Sequence[str] = (), only: Sequence[str] = ()) -> str:
        """Draw, and weigh what was drawn."""
        chosen = super().choose(options, without, only)
        surprise = -options.log_share(chosen, without, only)
        self.surprise[options.kind] = self.surprise.get(options.kind, 0.0) + surprise
        self.total += surprise
        self.mattering += options.mattering(chosen, without, only)
        return chosen


class Listing:
    """Takes the choices of a script, and the first option where the script has ended."""

    def __init__(self, script: Sequence[int]) -> None:
        self.script = script
        self.taken: list[int] = []
        self.open: list[int] = []
        self.parts: list[str] = []
        self.log_prob = 0.0

    def say(self, text: str) -> None:
        """Keep the text."""
        self.parts.append(text)

    def choose(self, options: Options, without: Sequence[str] = (), only: Sequence[str] = ()) -> str:
        """Take what the script says, and note how many options there were."""
        left = list(only) or [text for text in options.texts if text not in without]
        step = len(self.taken)
        self.taken.append(self.script[step] if step < len(self.script) else 0)
        self.open.append(len(left))
        chosen = left[self.taken[step]]
        self.log_prob += options.log_share(chosen, without, only)
        self.parts.append(chosen)
        return chosen

    def recall(self, options: Options, true: str, is_answer: bool = False) -> str:
        """Say the truth."""
        self.parts.append(true)
        return true

    def next_script(self) -> list[int] | None:
        """Return the script after this one, as an odometer turns; None after the last."""
        for step in reversed(range(len(self.taken))):
            if self.taken[step] + 1 < self.open[step]:
                return [*self.taken[:step], self.taken[step] + 1]
        return None
