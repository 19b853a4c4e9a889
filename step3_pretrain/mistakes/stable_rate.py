"""3.13, warm-up, stable, decay: known mistakes with where it begins and ends, and accepted variants."""

from __future__ import annotations

import math

from coursekit.probe import mistake, variant
from step3_pretrain.further_solution import stable_learning_rate


def rising(step: int, peak: float, warmup: int) -> float:
    """Return the rate of the warm-up, at most the peak."""
    return peak * min(1.0, (step + 1) / warmup) if warmup else peak


def left(step: int, decay: int, total: int) -> float:
    """Return the share of the decay that is left, from 1 to 0."""
    return min(1.0, max(0, total - step) / max(1, decay))


@mistake("3.13")
def cosine(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your decay follows half a turn of the cosine. Here it is a straight line."""
    share = left(step, decay, total)
    return rising(step, peak, warmup) * (1 - math.cos(math.pi * share)) / 2


@mistake("3.13", called="The rate falls from the end of the warm-up on: nothing is level")
def falls_from_warmup(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your rate falls all the way from the warm-up to the end. It stays at the peak until only `decay` steps
    are left.
    """
    return stable_learning_rate(step, peak, warmup, max(1, total - warmup), total)


@mistake("3.13", called="The decay begins `decay` steps after the warm-up")
def decay_from_the_beginning(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your decay is counted from the beginning: it starts at step warmup + decay and lasts to the end. It is
    the number of the last steps in which the rate falls.
    """
    start = warmup + decay
    return rising(step, peak, warmup) * left(step, max(1, total - start), total)


@mistake("3.13")
def never_decays(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your rate never falls: behind the warm-up it stays at the peak. Most of what is gained at last is
    gained in the decay.
    """
    return rising(step, peak, warmup)


@mistake("3.13")
def begins_at_zero(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your warm-up begins at 0: the first step has a rate of 0 and is lost. Step 0 has peak/warmup."""
    if step < warmup:
        return peak * step / warmup
    return peak * left(step, decay, total)


@mistake("3.13", called="There is no warm-up")
def no_warmup(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your rate is the peak from the first step on: the warm-up is missing."""
    return peak * left(step, decay, total)


@mistake("3.13", called="The rate is 0 one step too early")
def ends_too_early(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your decay ends one step too early: step total - 1, the last one of the run, has a rate of 0."""
    return rising(step, peak, warmup) * left(step + 1, decay, total)


@mistake("3.13", called="The decay begins and ends one step too late")
def ends_too_late(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your decay comes one step too late: at step total the rate is not 0 yet."""
    return rising(step, peak, warmup) * left(step - 1, decay, total)


@mistake("3.13", called="The decay ends at a tenth of the peak")
def floor(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your decay ends at a tenth of the peak, as the cosine of 3.5 did. Here it ends at 0."""
    return rising(step, peak, warmup) * (0.1 + 0.9 * left(step, decay, total))


@mistake("3.13")
def below_zero(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your rate is below 0 after step total: the line goes on, and the model would climb. It stays at 0."""
    return rising(step, peak, warmup) * min(1.0, (total - step) / max(1, decay))


@mistake("3.13")
def divides_by_decay(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your function divides by `decay`, which may be 0: a run that is to go on has none yet."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * min(1.0, max(0, total - step) / decay)


@mistake("3.13", called="The warm-up comes again: steps are counted anew behind it")
def warmup_counted_twice(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your steps are counted anew behind the warm-up, but `total` counts all of them: the decay comes
    `warmup` steps too late.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * left(step - warmup, decay, total)


@mistake("3.13")
def restarts(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Your warm-up starts once more where the decay begins: the rate falls from a fraction of itself. It
    comes once, at the beginning.
    """
    start = total - decay
    again = step - start if step >= start else step
    return rising(again, peak, warmup) * left(step, decay, total)


@variant("3.13")
def least_of_three(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """The least of three lines."""
    up = (step + 1) / warmup if warmup else 1.0
    down = (total - step) / decay if decay else float(step < total)
    return peak * max(0.0, min(up, 1.0, down))


@variant("3.13")
def by_cases(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Four cases, one after another."""
    if step < warmup:
        return peak / warmup * (step + 1)
    if step >= total:
        return 0.0
    if step <= total - decay:
        return peak
    return peak - peak * (step - (total - decay)) / decay


@variant("3.13")
def as_whole_numbers(step: int, peak: float, warmup: int, decay: int, total: int) -> float:
    """Numerator and denominator chosen first, divided last."""
    above, below = 1, 1
    if step + 1 < warmup:
        above, below = step + 1, warmup
    elif step > total - decay or step >= total:
        above, below = max(total - step, 0), max(decay, 1)
    return peak * above / below
