"""2.14b, YaRN: known mistakes about who is slowed down, and how much cos and sin grow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step2_model.further_solution import yarn_mscale

Ends = tuple[float, float]


def pair_with(turns: float, dim: int, theta: float, length: float) -> float:
    """Return which pair, as a fraction, makes so many turns over `length` positions."""
    return dim * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))


def ends(dim: int, theta: float, yarn: Any, length: float = 0) -> Ends:
    """Return where the ramp begins and ends, of `length` positions or those of the training."""
    length = length or yarn.original_max_seq_len
    low, high = (pair_with(turns, dim, theta, length) for turns in (yarn.beta_fast, yarn.beta_slow))
    return max(math.floor(low), 0), min(math.ceil(high), dim - 1)


def rise(dim: int, theta: float, yarn: Any, found: Ends) -> Tensor:
    """Return the ramp, 0 where a pair is left alone and 1 where it is slowed."""
    low, high = found
    return ((torch.arange(dim // 2) - low) / max(high - low, 0.001)).clamp(0, 1)


def growth(yarn: Any) -> float:
    """Return how much cos and sin grow."""
    if yarn.mscale and yarn.mscale_all_dim:
        return yarn_mscale(yarn.factor, yarn.mscale) / yarn_mscale(yarn.factor, yarn.mscale_all_dim)
    return yarn_mscale(yarn.factor)


def plain(dim: int, theta: float) -> Tensor:
    """Return the frequencies of an ordinary RoPE."""
    return theta ** -(torch.arange(0, dim, 2, dtype=torch.float32) / dim)


def stretched(
    dim: int,
    theta: float,
    yarn: Any,
    ends: Callable[..., Ends] = ends,
    rise: Callable[..., Tensor] = rise,
    growth: Callable[[Any], float] = growth,
) -> tuple[Tensor, float]:
    """Return what `yarn_frequencies` returns, with one of its parts replaced."""
    ramp = rise(dim, theta, yarn, ends(dim, theta, yarn))
    frequencies = plain(dim, theta)
    return frequencies * (1 - ramp) + frequencies / yarn.factor * ramp, growth(yarn)


@mistake("2.14b", called="The direction is reversed: fast pairs are slowed, slow ones left alone")
def reversed_direction(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your YaRN is reversed: it slows the fast pairs and leaves the slow ones alone. Fast pairs tell
    neighbors apart and come around many times in training; it is the slow ones whose angles would be new.
    """
    return stretched(dim, theta, yarn, rise=lambda *given: 1 - rise(*given))


@mistake("2.14b", called="Every pair is slowed by the whole factor")
def linear_interpolation(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your function divides every frequency by factor. That is position interpolation, from before YaRN: it
    makes neighbors factor times harder to tell apart.
    """
    return stretched(dim, theta, yarn, rise=lambda *given: torch.ones(dim // 2))


@mistake("2.14b", called="No pair is slowed at all")
def nothing_slowed(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your function leaves every frequency as it was. Behind the trained length the slow pairs come to
    angles that the model has never seen.
    """
    return stretched(dim, theta, yarn, rise=lambda *given: torch.zeros(dim // 2))


@mistake("2.14b", called="The base theta is raised (NTK-aware) in place of a ramp")
def raised_base(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your function raises theta to theta · factor^(dim/(dim - 2)), the "NTK-aware" stretching. It slows
    every pair but the first a little; YaRN leaves those that turn often exactly as they were.
    """
    base = theta * yarn.factor ** (dim / max(dim - 2, 1))
    return plain(dim, base), growth(yarn)


@mistake("2.14b", called="There is no ramp: at the pair of beta_fast all the slowing begins at once")
def step_at_fast(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your frequencies have no ramp: behind the pair of beta_fast every one is divided by the whole factor.
    Between the two betas the share of the original frequency falls step by step.
    """
    return stretched(dim, theta, yarn, rise=lambda d, t, y, found: (torch.arange(d // 2) > found[0]).float())


@mistake("2.14b", called="There is no ramp: up to the pair of beta_slow nothing is slowed")
def step_at_slow(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your frequencies have no ramp: up to the pair of beta_slow every one is left alone, from there on it is
    divided by the whole factor. Between the two betas the share falls step by step.
    """
    return stretched(dim, theta, yarn, rise=lambda d, t, y, found: (torch.arange(d // 2) >= found[1]).float())


@mistake("2.14b", called="The ramp runs over frequencies, not over the numbers of the pairs")
def ramp_over_frequencies(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp is linear in the frequency. Frequencies fall so fast that nearly all of the ramp would lie at
    its slow end; it is linear in the number of the pair.
    """

    def over(d: int, t: float, y: Any, found: Ends) -> Tensor:
        fast, slow = (t ** (-2 * end / d) for end in found)
        return ((fast - plain(d, t)) / max(fast - slow, 1e-9)).clamp(0, 1)

    return stretched(dim, theta, yarn, rise=over)


@mistake("2.14b", called="The ramp is linear in the turns, as in the paper's formula")
def ramp_over_turns(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp is linear in the number of turns. The paper's formula reads so; its published code, with
    which the models were made, is linear in the number of the pair, between two whole pairs.
    """
    turns = yarn.original_max_seq_len * plain(dim, theta) / (2 * math.pi)
    kept = ((turns - yarn.beta_slow) / (yarn.beta_fast - yarn.beta_slow)).clamp(0, 1)
    return plain(dim, theta) * (kept + (1 - kept) / yarn.factor), growth(yarn)


@mistake("2.14b", called="The ramp counts features, two for each pair")
def ramp_over_features(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp counts features, 0, 2, 4, ..., where it should count pairs: 0, 1, 2, .... It begins and ends
    twice too early.
    """

    def over(d: int, t: float, y: Any, found: Ends) -> Tensor:
        return ((torch.arange(0, d, 2) - found[0]) / max(found[1] - found[0], 0.001)).clamp(0, 1)

    return stretched(dim, theta, yarn, rise=over)


@mistake("2.14b")
def never_grows(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your cos and sin never grow: the factor that you return is 1. Over a longer context attention spreads
    out more; YaRN sharpens it by 0.1 · ln(factor) + 1.
    """
    return stretched(dim, theta, yarn, growth=lambda y: 1.0)


@mistake("2.14b")
def growth_squared(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your factor for cos and sin is squared. It multiplies queries and keys alike, so that scores get the
    square by themselves.
    """
    return stretched(dim, theta, yarn, growth=lambda y: growth(y) ** 2)


@mistake("2.14b")
def growth_log2(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your growth takes the logarithm to base 2. The 0.1 belongs to the natural logarithm, math.log."""
    return stretched(dim, theta, yarn, growth=lambda y: 1 + (growth(y) - 1) / math.log(2))


@mistake("2.14b")
def growth_log10(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your growth takes the logarithm to base 10. The 0.1 belongs to the natural logarithm, math.log."""
    return stretched(dim, theta, yarn, growth=lambda y: 1 + (growth(y) - 1) / math.log(10))


@mistake("2.14b")
def growth_inverted(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your factor for cos and sin is the inverse of what it should be: they would shrink, and attention would
    become flatter still.
    """
    return stretched(dim, theta, yarn, growth=lambda y: 1 / growth(y))


@mistake("2.14b")
def mscales_ignored(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your growth ignores the two mscales. Where both are given it is the ratio of yarn_mscale(factor,
    mscale) and yarn_mscale(factor, mscale_all_dim): 1 in DeepSeek-V3, where the two are equal.
    """
    return stretched(dim, theta, yarn, growth=lambda y: yarn_mscale(y.factor))


@mistake("2.14b")
def one_mscale_used(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your growth is yarn_mscale(factor, mscale) and leaves mscale_all_dim out. Where both are given it is
    divided by yarn_mscale(factor, mscale_all_dim).
    """
    return stretched(dim, theta, yarn, growth=lambda y: yarn_mscale(y.factor, y.mscale or 1.0))


@mistake("2.14b")
def either_mscale_used(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your growth uses an mscale where only one of the two is given. It counts with both alone; 0 stands for
    "not used".
    """

    def either(y: Any) -> float:
        if not (y.mscale or y.mscale_all_dim):
            return yarn_mscale(y.factor)
        return yarn_mscale(y.factor, y.mscale) / yarn_mscale(y.factor, y.mscale_all_dim)

    return stretched(dim, theta, yarn, growth=either)
