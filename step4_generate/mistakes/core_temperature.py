"""4.2, sampling: known mistakes with the temperature, and accepted variants of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.model_solution import apply_temperature, greedy

Both = dict[str, Callable[..., Any]]
Temper = Callable[[Tensor, float], Tensor]


def refuse(temperature: float) -> None:
    """Raise ValueError for what is no temperature."""
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature!r}")


def held(temperature: float) -> float:
    """Return the temperature, held within what float32 can divide by."""
    return min(max(temperature, 1e-30), 1e30)


def shifted(logits: Tensor) -> Tensor:
    """Return the logits with the largest of each row at 0."""
    logits = logits.float()
    return logits - logits.amax(dim=-1, keepdim=True)


def both(temper: Temper = apply_temperature) -> Both:
    """Return both targets, the draw as it should be with this temperature."""

    def tempered(logits: Tensor, temperature: float) -> Tensor:
        refuse(temperature)
        return temper(logits, temperature)

    def sample(logits: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        if temperature == 0:
            return greedy(logits)
        probabilities = tempered(logits, temperature).softmax(dim=-1)
        return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)

    return {"apply_temperature": tempered, "sample": sample}


@mistake("4.2")
def multiplied() -> Both:
    """Your logits are multiplied by the temperature. Then a high one sharpens what it should flatten:
    divide.
    """
    return both(lambda logits, T: shifted(logits) * held(T))


@mistake("4.2")
def probabilities_divided() -> Both:
    """Your temperature divides probabilities, or their softmax is taken again. It belongs to the logits:
    their differences are what it scales.
    """
    return both(lambda logits, T: logits.float().softmax(dim=-1) / held(T))


@mistake("4.2")
def ignored() -> Both:
    """Your temperature has no effect: the logits come back as they were."""
    return both(lambda logits, T: shifted(logits))


@mistake("4.2")
def squared() -> Both:
    """Your temperature acts twice: the logits are divided by its square."""
    return both(lambda logits, T: shifted(logits) / held(T) / held(T))


@mistake("4.2")
def shifted_too_late() -> Both:
    """Your division overflows: at a small temperature large logits become infinite, and infinite minus
    infinite is NaN. Subtract the largest of each row before you divide.
    """

    def temper(logits: Tensor, T: float) -> Tensor:
        logits = logits.float() / held(T)
        return logits - logits.amax(dim=-1, keepdim=True)

    return both(temper)


@mistake("4.2")
def not_held_below() -> Both:
    """Your division is by 0 where the temperature is below what float32 can express: 0 / 0 is NaN. Hold it at
    1e-30 or above, where nothing changes any more.
    """
    return both(lambda logits, T: shifted(logits) / torch.tensor(min(T, 1e30)))


@mistake("4.2")
def not_held_above() -> Both:
    """Your division makes NaN of tokens that were cut off, at an infinite temperature: -inf / inf has no
    value. Hold it at 1e30 or below, where all others are equal already.
    """
    return both(lambda logits, T: shifted(logits) / max(T, 1e-30))


@mistake("4.2")
def held_too_narrowly() -> Both:
    """Your temperature is held between 0.01 and 100. Beyond them laws still differ: at 100 a token that is a
    hundred times as probable as another at 1 keeps an advantage of 5 %.
    """
    return both(lambda logits, T: shifted(logits) / min(max(T, 0.01), 100.0))


@mistake("4.2")
def largest_of_the_batch() -> Both:
    """Your shift takes the largest logit of the whole batch out of every row. In a row whose logits are all
    lower nothing is 0 then, and at a small temperature all of it is cut off: NaN.
    """

    def temper(logits: Tensor, T: float) -> Tensor:
        logits = logits.float()
        return (logits - logits.max()) / held(T)

    return both(temper)


@mistake("4.2")
def in_half_precision() -> Both:
    """Your division is done in the precision of the logits. In half of it two logits that differ by a
    hundredth may become one: go to float32 first.
    """

    def temper(logits: Tensor, T: float) -> Tensor:
        return (logits - logits.amax(dim=-1, keepdim=True)) / held(T)

    return both(temper)


@mistake("4.2")
def in_place() -> Both:
    """Your function writes into the logits that were passed. Whoever wants to draw from them again, at
    another temperature, finds other logits.
    """

    def temper(logits: Tensor, T: float) -> Tensor:
        return logits.float().sub_(logits.amax(dim=-1, keepdim=True).float()).div_(held(T))

    return both(temper)


@mistake("4.2")
def everything_allowed_again() -> Both:
    """Your division brings back what was cut off: -inf is replaced by a number. At a high temperature that
    number, divided, is as good as any other.
    """
    return both(lambda logits, T: shifted(logits).clamp(min=-1e20) / held(T))


@variant("4.2")
def from_log_probabilities() -> Both:
    """The logarithms of probability are logits, too; multiplied by the reciprocal."""

    def temper(logits: Tensor, T: float) -> Tensor:
        logits = logits.float()
        logits = logits - logits.max(dim=-1, keepdim=True).values
        return logits.mul(1 / held(T)).log_softmax(dim=-1)

    return both(temper)


@variant("4.2")
def in_float64() -> Both:
    """Divided in float64, in which 1e-300 is a number; what was cut off is put back."""

    def temper(logits: Tensor, T: float) -> Tensor:
        wide = logits.double()
        wide = wide - wide.amax(dim=-1, keepdim=True)
        wide = wide / T if math.isfinite(T) else torch.zeros_like(wide)
        return wide.masked_fill(logits == -math.inf, -math.inf).float()

    return both(temper)
