"""3.5, the schedule: known mistakes and accepted variants."""

from __future__ import annotations

import math

import numpy as np

from coursekit.probe import mistake, variant


def rising(step: int, peak: float, warmup: int) -> float:
    """Return the rate within the warm-up."""
    return peak * (step + 1) / warmup


def way_done(step: int, warmup: int, total: int) -> float:
    """Return how much of the way down is done, from 0 to 1."""
    return min(1.0, (step - warmup) / max(1, total - warmup))


def falling(done: float, peak: float, floor: float) -> float:
    """Return the rate after so much of the way down."""
    return peak * (floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2)


@mistake("3.5")
def starts_at_zero(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your warm-up begins at 0: the first step changes nothing, and a batch is wasted. Steps count from 0, so
    that step 0 is the first of `warmup` rises: (step + 1) / warmup.
    """
    return (
        rising(step - 1, peak, warmup)
        if step < warmup
        else falling(way_done(step, warmup, total), peak, floor)
    )


@mistake("3.5")
def warms_up_once_more(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your warm-up lasts one step too long: step `warmup` is still part of it and gets more than the peak. It
    is the first step of the way down.
    """
    return (
        rising(step, peak, warmup)
        if step <= warmup and warmup
        else falling(way_done(step, warmup, total), peak, floor)
    )


@mistake("3.5")
def no_warmup(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your schedule has no warm-up: the first steps are taken at the full peak. AdamW's mean square knows one
    batch only by then, and the weights are thrown about.
    """
    return falling(max(0.0, way_done(step, warmup, total)), peak, floor)


@mistake("3.5")
def one_step_ahead(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your way down is one step ahead: it counts step + 1 where the warm-up has ended already. Step `warmup`
    still has the peak, and the floor is reached at `total`, not before.
    """
    return (
        rising(step, peak, warmup)
        if step < warmup
        else falling(way_done(step + 1, warmup, total), peak, floor)
    )


@mistake("3.5")
def counted_from_zero(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your way down counts the warm-up's steps as done: step / total. The rate jumps down where the warm-up
    ends. The way leads from `warmup` to `total`.
    """
    return rising(step, peak, warmup) if step < warmup else falling(min(1.0, step / total), peak, floor)


@mistake("3.5")
def total_without_warmup(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your way down is `total` steps long, so that it would end at warmup + total. The warm-up is part of
    `total`: it is total - warmup steps long.
    """
    return (
        rising(step, peak, warmup)
        if step < warmup
        else falling(min(1.0, (step - warmup) / total), peak, floor)
    )


@mistake("3.5")
def rises_again(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your rate rises again after `total`: the cosine goes on and comes back. A run that is resumed for a few
    more steps would be thrown out of its valley. Stop at the floor: min(1, ...).
    """
    done = (step - warmup) / max(1, total - warmup)
    return rising(step, peak, warmup) if step < warmup else falling(done, peak, floor)


@mistake("3.5")
def restarts(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your schedule starts over at `total`: the warm-up and the peak come back. These are warm restarts,
    which the source describes, too; here the rate stays at the floor.
    """
    step %= total
    return (
        rising(step, peak, warmup) if step < warmup else falling(way_done(step, warmup, total), peak, floor)
    )


@mistake("3.5")
def whole_turn(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your cosine makes a whole turn: it is down halfway and back at the peak at the end. Half a turn, π,
    leads from 1 to -1.
    """
    return (
        rising(step, peak, warmup)
        if step < warmup
        else falling(2 * way_done(step, warmup, total), peak, floor)
    )


@mistake("3.5")
def quarter_turn(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your cosine makes a quarter of a turn, from 1 to 0: it falls fastest at the end. Half a turn falls from
    1 to -1; (1 + cos) / 2 makes 1 to 0 of it.
    """
    left = math.cos(math.pi / 2 * way_done(step, warmup, total)) if step >= warmup else 0.0
    return rising(step, peak, warmup) if step < warmup else peak * (floor + (1 - floor) * left)


@mistake("3.5")
def straight_down(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your way down is a straight line. A cosine is slow at both ends: it stays near the peak for longer, and
    comes to the floor gently.
    """
    left = 1 - way_done(step, warmup, total) if step >= warmup else 0.0
    return rising(step, peak, warmup) if step < warmup else peak * (floor + (1 - floor) * left)


@mistake("3.5")
def no_floor(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your rate falls to 0: `floor` plays no part. The last steps would learn nothing. It should come down to
    floor times the peak.
    """
    return rising(step, peak, warmup) if step < warmup else falling(way_done(step, warmup, total), peak, 0.0)


@mistake("3.5")
def floor_on_top(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your floor is added on top of the whole cosine, so that the way down begins above the peak. The cosine
    has only 1 - floor of the peak to fall.
    """
    cosine = falling(way_done(step, warmup, total), peak, 0.0) if step >= warmup else 0.0
    return rising(step, peak, warmup) if step < warmup else cosine + floor * peak


@mistake("3.5")
def cut_off_at_floor(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your cosine falls toward 0 and is cut off at the floor: it arrives there early, in full fall. Let it
    fall from the peak to the floor.
    """
    cosine = falling(way_done(step, warmup, total), peak, 0.0) if step >= warmup else 0.0
    return rising(step, peak, warmup) if step < warmup else max(floor * peak, cosine)


@mistake("3.5")
def floor_is_a_rate(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Your floor is taken for a rate. It is a share of the peak: with 0.1 and a peak of 0.003 the rate would
    rise from 0.003 to 0.1.
    """
    cosine = falling(way_done(step, warmup, total), 1.0, 0.0) if step >= warmup else 0.0
    return rising(step, peak, warmup) if step < warmup else floor + (peak - floor) * cosine


@variant("3.5")
def squared_cosine(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """(1 + cos x) / 2 is cos² of x / 2."""
    if step >= warmup:
        if step >= total:
            return peak * floor if total > warmup else peak
        share = math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2
        return peak * share + peak * floor * (1 - share)
    return peak / warmup * (step + 1)


@variant("3.5")
def in_numpy(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """Both lines are drawn and interpolated."""
    if step < warmup:
        return float(np.interp(step, [-1, warmup - 1], [0.0, peak]))
    angle = np.interp(step, [warmup, max(total, warmup + 1)], [0.0, np.pi])
    low = peak * floor
    return float(low + 0.5 * (peak - low) * (1 + np.cos(angle)))


@variant("3.5")
def as_a_factor(step: int, peak: float, warmup: int, total: int, floor: float = 0.1) -> float:
    """One factor for the peak, as a scheduler of torch would take it."""

    def factor(at: int) -> float:
        if at < warmup:
            return float(at + 1) / float(warmup)
        at = min(at, max(total, warmup + 1))
        progress = float(at - warmup) / float(max(total - warmup, 1))
        return max(0.0, (1.0 + math.cos(math.pi * progress)) * (1.0 - floor) / 2.0) + floor

    return factor(step) * peak
