"""How long a training cell may take: one place that notebooks, the terminal, evidence and tests all read."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

VARIABLE = "COURSE_BUDGET"


@dataclass(frozen=True)
class Budget:
    """The most that a training may use: seconds by the clock, optimizer steps, and held-out bytes to
    measure on.

    Whichever of seconds and steps is used up first ends the training. Raises ValueError for a budget of
    nothing.
    """

    seconds: float = math.inf
    steps: int = 1_000_000
    held_out_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("seconds", "steps", "held_out_bytes"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be above 0, got {value!r}")

    def used(self, seconds: float, steps: int) -> float:
        """Return the fraction of the budget that is used up, between 0 and 1: the larger of the two."""
        return min(1.0, max(seconds / self.seconds, steps / self.steps))

    def within_environment(self, environ: Mapping[str, str] = os.environ) -> Budget:
        """Return this budget cut down to what COURSE_BUDGET allows, as in
        COURSE_BUDGET="seconds=5,steps=20,bytes=20000".

        The variable only ever reduces: a value above the budget's own changes nothing. Raises ValueError
        where it cannot be read.
        """
        wanted = environ.get(VARIABLE, "").strip()
        cut = self
        for part in filter(None, (part.strip() for part in wanted.split(","))):
            key, _, text = part.partition("=")
            name = "held_out_bytes" if key == "bytes" else key
            if name not in ("seconds", "steps", "held_out_bytes"):
                raise ValueError(f"{VARIABLE} must name seconds, steps or bytes, got {part!r}")
            try:
                limit = float(text) if name == "seconds" else int(text)
            except ValueError:
                raise ValueError(f"{VARIABLE} must give {key} a number, got {part!r}") from None
            cut = replace(cut, **{name: min(limit, getattr(self, name))})
        return cut
