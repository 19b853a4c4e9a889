"""How long a run is and where it stands: a number of steps, or minutes by the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.options import DEFAULT_STEPS, Options

# Shares of a run: the warm-up (of a run in steps at most LONGEST_WARMUP steps), and the fall of a stable
# schedule at its end.
WARMUP_SHARE, LONGEST_WARMUP = 0.05, 200
DECAY_SHARE = 0.2
# Where the cosine ends, as a share of the peak: a short run gains by a rate that goes down to nothing.
LOWEST = 0.0
# Evaluations and checkpoints that a run has where nothing else is said.
EVENTS = 10


@dataclass(frozen=True)
class Plan:
    """The length of a run. Its unit is a step, or, for a run in minutes, a millisecond of training.

    A run in steps is the same run on every machine. One in minutes follows the clock, its learning rate
    with it: it always ends with the whole fall of the schedule, and no two are equal.
    """

    total: int
    warmup: int
    schedule: str
    by_clock: bool

    def at(self, step: int, seconds: float) -> int:
        """Return where the run stands, in units, when `step` steps are done after `seconds`."""
        return round(1000 * seconds) if self.by_clock else step

    def fraction(self, step: int, seconds: float) -> float:
        """Return which share of the run is done."""
        return min(1.0, self.at(step, seconds) / self.total)

    def rate(self, chain: Chain, step: int, seconds: float, peak: float) -> float:
        """Return the learning rate of the step that comes after `step` others."""
        at = self.at(step, seconds)
        if self.schedule == "stable":
            decay = round(DECAY_SHARE * self.total)
            found = chain.further.stable_learning_rate(at, peak, self.warmup, decay, self.total)
        else:
            found = chain.core.learning_rate(at, peak, self.warmup, self.total, LOWEST)
        return float(found)

    def left(self, step: int, seconds: float, pace: float) -> float:
        """Return how many seconds are left, at `pace` seconds a step."""
        return max(0.0, self.total / 1000 - seconds if self.by_clock else (self.total - step) * pace)

    def is_due(self, every: int | None, before: tuple[int, float], now: tuple[int, float]) -> bool:
        """Return whether something is due after a step: every so many steps, or ten times in a run.

        `before` and `now` are steps and seconds before and after the step.
        """
        if every is not None:
            return now[0] % every == 0
        first, last = (math.floor(EVENTS * self.fraction(*moment) + 1e-9) for moment in (before, now))
        return first < last


def plan(options: Options, num_tokens: float, tokens_a_step: float) -> Plan:
    """Return the plan of a run over a stream of this many tokens; an epoch is as many tokens as it has."""
    if options.minutes is not None:
        total = max(1, round(60_000 * options.minutes))
        return Plan(total, round(WARMUP_SHARE * total), options.schedule, by_clock=True)
    steps = options.steps or DEFAULT_STEPS
    if options.epochs is not None:
        steps = max(1, math.ceil(options.epochs * num_tokens / tokens_a_step))
    warmup = min(LONGEST_WARMUP, round(WARMUP_SHARE * steps)) if options.warmup is None else options.warmup
    return Plan(steps, warmup, options.schedule, by_clock=False)
