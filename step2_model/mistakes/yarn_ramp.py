"""2.14b, YaRN: known mistakes about where the ramp begins and ends, and accepted variants."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.further_solution import yarn_mscale
from step2_model.mistakes.yarn import Ends, ends, growth, pair_with, plain, stretched


def fractions(dim: int, theta: float, yarn: Any, length: float = 0) -> Ends:
    """Return where the ramp begins and ends, neither rounded nor bounded."""
    length = length or yarn.original_max_seq_len
    return pair_with(yarn.beta_fast, dim, theta, length), pair_with(yarn.beta_slow, dim, theta, length)


@mistake("2.14b")
def stretched_length(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your turns are counted over the stretched context, original_max_seq_len · factor. What counts is what
    the model has seen in training: the original length alone.
    """
    return stretched(
        dim, theta, yarn, lambda d, t, y: ends(d, t, y, length=y.original_max_seq_len * y.factor)
    )


@mistake("2.14b", called="The two betas are swapped: all the slowing begins at one pair")
def betas_swapped(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your betas are swapped: the ramp should begin at the pair of beta_fast, which comes first, and end at
    that of beta_slow. Yours ends before it begins, and becomes a step.
    """

    def found(d: int, t: float, y: Any) -> Ends:
        first, last = fractions(d, t, y)
        return max(math.floor(last), 0), min(math.ceil(first), d - 1)

    return stretched(dim, theta, yarn, found)


@mistake("2.14b", called="The two betas are swapped: the slow pairs keep their frequency")
def betas_swapped_reversed(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your betas are swapped: your ramp begins at the pair of beta_slow and runs backward to that of
    beta_fast, so that the fast pairs are slowed and the slow ones left alone.
    """
    first, last = fractions(dim, theta, yarn)
    low, high = max(math.floor(last), 0), min(math.ceil(first), dim - 1)
    ramp = ((torch.arange(dim // 2) - low) / ((high - low) or 0.001)).clamp(0, 1)
    return plain(dim, theta) * (1 - ramp + ramp / yarn.factor), growth(yarn)


@mistake("2.14b", called="The ends of the ramp are not rounded")
def not_rounded(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp begins and ends between two pairs: the pair of beta_fast is rounded down, that of beta_slow
    up. Without it the frequencies of published models come out slightly different.
    """

    def found(d: int, t: float, y: Any) -> Ends:
        first, last = fractions(d, t, y)
        return max(first, 0.0), min(last, d - 1)

    return stretched(dim, theta, yarn, found)


@mistake("2.14b", called="The ends of the ramp are rounded inward, or to the nearest pair")
def rounded_inward(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp is rounded inward: the pair of beta_fast up and that of beta_slow down. It is the other way
    round, so that the ramp holds all pairs between the two betas.
    """

    def found(d: int, t: float, y: Any) -> Ends:
        first, last = fractions(d, t, y)
        return max(math.ceil(first), 0), min(math.floor(last), d - 1)

    return stretched(dim, theta, yarn, found)


@mistake("2.14b", called="The ramp may begin before pair 0")
def starts_before_zero(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp may begin before pair 0, where no pair turns beta_fast times over the original length. Then
    even the fastest pair is slowed; begin at pair 0 at the earliest.
    """
    return stretched(dim, theta, yarn, lambda d, t, y: (math.floor(fractions(d, t, y)[0]), ends(d, t, y)[1]))


@mistake("2.14b", called="The ramp ends at the last pair at the latest")
def ends_at_last_pair(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp ends at the last pair, dim/2 - 1, at the latest. Where every pair turns more than beta_slow
    times, its end lies behind the last one, so that none is slowed by the whole factor.
    """

    def found(d: int, t: float, y: Any) -> Ends:
        low, high = ends(d, t, y)
        return low, min(high, d // 2 - 1)

    return stretched(dim, theta, yarn, found)


@mistake("2.14b", called="The end of the ramp has no upper bound")
def ends_anywhere(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp may end behind dim - 1. Published code bounds it there; without the bound the last pairs keep
    more of their frequency than in the models that were tuned with it.
    """
    return stretched(dim, theta, yarn, lambda d, t, y: (ends(d, t, y)[0], math.ceil(fractions(d, t, y)[1])))


@mistake("2.14b", called="2π is missing: turns are taken for radians")
def radians(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your turns are radians: a full turn is 2π of them, so that pair i turns L · θ^(-2i/dim) / 2π times."""
    return stretched(dim, theta, yarn, lambda d, t, y: ends(d, t, y, y.original_max_seq_len * 2 * math.pi))


@mistake("2.14b", called="The ends of the ramp are numbers of features, twice too large")
def ends_as_features(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ends of the ramp are twice too large: θ^(-2i/dim) has a 2 in its exponent, which divides when you
    solve for i.
    """

    def found(d: int, t: float, y: Any) -> Ends:
        first, last = (2 * place for place in fractions(d, t, y))
        return max(math.floor(first), 0), min(math.ceil(last), d - 1)

    return stretched(dim, theta, yarn, found)


@mistake("2.14b", called="A ramp of no length divides by zero")
def division_by_zero(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """Your ramp divides by its length, which is 0 where it begins and ends at the same pair: NaN. Divide by
    0.001 then.
    """
    low, high = ends(dim, theta, yarn)
    ramp = ((torch.arange(dim // 2) - low) / torch.tensor(float(high - low))).clamp(0, 1)
    return plain(dim, theta) * (1 - ramp + ramp / yarn.factor), growth(yarn)


@variant("2.14b")
def one_by_one(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """A loop over the pairs with Python's numbers."""
    low, high = ends(dim, theta, yarn)
    found = []
    for i in range(dim // 2):
        share = 1 - min(max((i - low) / ((high - low) or 0.001), 0), 1)
        found.append(theta ** (-2 * i / dim) * (share + (1 - share) / yarn.factor))
    return torch.tensor(found, dtype=torch.float32), growth(yarn)


@variant("2.14b")
def as_divisors(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """As transformers writes it: powers that divide, extrapolation and interpolation mixed."""
    low, high = ends(dim, theta, yarn)
    powers = theta ** (torch.arange(0, dim, 2).float() / dim)
    kept = 1 - torch.clamp((torch.arange(dim // 2).float() - low) / max(high - low, 0.001), 0, 1)
    return 1 / (yarn.factor * powers) * (1 - kept) + 1 / powers * kept, growth(yarn)


@variant("2.14b")
def lerp_in_float64(dim: int, theta: float, yarn: Any) -> tuple[Tensor, float]:
    """torch.lerp between the two in float64, and the mscales by a product of logarithms."""
    low, high = ends(dim, theta, yarn)
    fast = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    ramp = ((torch.arange(dim // 2) - low).double() / max(high - low, 0.001)).clamp(0, 1)
    has_both = yarn.mscale and yarn.mscale_all_dim
    over = yarn_mscale(yarn.factor, yarn.mscale_all_dim) if has_both else 1.0
    grown = yarn_mscale(yarn.factor, yarn.mscale if has_both else 1.0) / over
    return torch.lerp(fast, fast / yarn.factor, ramp).float(), grown
