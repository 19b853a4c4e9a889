"""2.5a, the angles of rotary positions: known mistakes and accepted variants."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from coursekit.probe import mistake, variant

Pair = tuple[Tensor, Tensor]


def frequencies_of(dim: int, theta: float) -> Tensor:
    """Return θ^(-2i/dim) for i = 0, 1, ..., dim/2 - 1."""
    return theta ** -(torch.arange(0, dim, 2).float() / dim)


def turned(
    positions: Tensor,
    dim: int,
    theta: float,
    frequencies: Callable[[int, float], Tensor] = frequencies_of,
) -> Pair:
    """Return cos and sin of every position times every frequency."""
    found = positions.unsqueeze(-1).float() * frequencies(dim, theta)
    return found.cos(), found.sin()


@mistake("2.5a", called="Sin and cos are returned in the wrong order")
def swapped(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your function returns sin, then cos. The cosine comes first: at position 0 it is 1."""
    cos, sin = turned(positions, dim, theta)
    return sin, cos


@mistake("2.5a")
def backwards(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your angles are negative: every pair turns backwards. Distances would still be told apart, but a model
    with published weights, trained to turn forwards, would read every order reversed.
    """
    return turned(-positions, dim, theta)


@mistake("2.5a")
def half_exponent(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your exponent is -i/dim where it must be -2i/dim: the frequencies fall half as fast, and the slowest
    pairs, which tell far from very far, are missing.
    """
    return turned(positions, dim, theta, lambda d, t: t ** -(torch.arange(d // 2).float() / d))


@mistake("2.5a")
def double_exponent(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your exponent is -4i/dim where it must be -2i/dim: 2i is divided by the number of pairs instead of the
    number of features. The frequencies fall twice as fast, and half of the pairs hardly turn at all.
    """
    return turned(positions, dim, theta, lambda d, t: t ** -(torch.arange(0, d, 2).float() / (d // 2)))


@mistake("2.5a")
def starts_at_one(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your frequencies are off by one: pair i has the exponent -2(i+1)/dim. i starts at 0, so that the first
    pair turns by a whole radian for each position and tells neighbors apart.
    """
    return turned(positions, dim, theta, lambda d, t: t ** -(torch.arange(2, d + 2, 2).float() / d))


@mistake("2.5a")
def up_to_one(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your exponents run from 0 to 1 with both ends (linspace): the last pair has 1/θ. They run in steps of
    2/dim and stop one step before 1.
    """
    return turned(positions, dim, theta, lambda d, t: t ** -torch.linspace(0, 1, d // 2))


@mistake("2.5a")
def growing(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your frequencies grow: the exponent's minus sign is missing. Pairs would turn by up to thousands of
    radians for each position, which is noise.
    """
    return turned(positions, dim, theta, lambda d, t: 1 / frequencies_of(d, t))


@mistake("2.5a")
def slowest_first(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your frequencies stand in reverse order: the first pair must turn fastest, by 1 radian."""
    return turned(positions, dim, theta, lambda d, t: frequencies_of(d, t).flip(0))


@mistake("2.5a")
def power_before_division(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your frequencies are θ^(-2i) / dim: a power binds tighter than a division, so that only θ is raised and
    the result divided. The whole fraction 2i/dim is the exponent: put it in parentheses.
    """
    return turned(positions, dim, theta, lambda d, t: t ** -torch.arange(0, d, 2).double() / d)


@mistake("2.5a")
def whole_division(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your exponents are all 0, as if 2i // dim were whole-number division: every pair turns by 1 radian for
    each position. After 6 positions, one turn, nobody could tell how far away a key is.
    """
    return turned(positions, dim, theta, lambda d, t: t ** -(torch.arange(0, d, 2) // d).float())


@mistake("2.5a")
def whole_division_below(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your exponents are whole numbers: -2i // dim is -1 for every pair but the first. All others turn by
    1/θ, and nothing lies between fast and slow; divide with a single stroke.
    """
    return turned(positions, dim, theta, lambda d, t: t ** (-torch.arange(0, d, 2) // d).float())


@mistake("2.5a")
def fixed_theta(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your function uses 10,000 whatever theta it is given. Models that read long texts are trained with a
    larger one, Llama 3 with 500,000.
    """
    return turned(positions, dim, 10_000.0)


@mistake("2.5a")
def counts_from_zero(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your positions are counted from 0 (arange) whatever the argument says. Behind a cache the new tokens
    would stand at the start of the text again.
    """
    return turned(torch.arange(positions.shape[1]).expand_as(positions), dim, theta)


@mistake("2.5a")
def counts_from_first(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your positions are counted on from the first one of each row. Read each position where it stands: with
    padding several tokens share position 0.
    """
    return turned(positions[:, :1] + torch.arange(positions.shape[1]), dim, theta)


@mistake("2.5a")
def counts_from_one(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your angles are those of the position after: you count from 1. Position 0 is not turned at all."""
    return turned(positions + 1, dim, theta)


@mistake("2.5a")
def first_row(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your function reads the positions of the first row for all rows. With padding on the left every row has
    positions of its own.
    """
    return turned(positions[:1].expand_as(positions), dim, theta)


@mistake("2.5a", called="The angles stand there twice, for each feature instead of each pair")
def whole_width(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your cos and sin have dim columns: each angle twice, in two halves, as in the code of `transformers`.
    Here they have dim/2, one for each pair: `rotate` takes the features apart into halves itself.
    """
    cos, sin = turned(positions, dim, theta)
    return torch.cat([cos, cos], dim=-1), torch.cat([sin, sin], dim=-1)


@mistake("2.5a", called="The angles stand there twice, one beside the other")
def whole_width_neighbors(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your cos and sin have dim columns: each angle twice, side by side. Here they have dim/2, one for each
    pair.
    """
    cos, sin = turned(positions, dim, theta)
    return cos.repeat_interleave(2, dim=-1), sin.repeat_interleave(2, dim=-1)


@mistake("2.5a")
def in_half(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your angles are computed in float16. It has 11 binary digits: from 2,049 on it cannot tell a position
    from its neighbor, and far angles are off by whole radians.
    """
    found = positions.unsqueeze(-1).half() * frequencies_of(dim, theta).half()
    return found.float().cos(), found.float().sin()


@mistake("2.5a")
def in_bfloat16(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your angles are computed in bfloat16. It has 8 binary digits: from 257 on it cannot tell a position
    from its neighbor. Compute angles in float32 whatever the model computes in.
    """
    found = positions.unsqueeze(-1).bfloat16() * frequencies_of(dim, theta).bfloat16()
    return found.float().cos(), found.float().sin()


@mistake("2.5a")
def whole_angles(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your angles are cut to whole numbers, as happens where they take the type of the positions: slow pairs
    do not turn at all until they have gone a whole radian.
    """
    found = (positions.unsqueeze(-1) * frequencies_of(dim, theta)).to(positions.dtype)
    return found.float().cos(), found.float().sin()


@mistake("2.5a")
def doubles(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Your cos and sin are right but in float64: whatever they are multiplied with becomes float64 too and
    takes twice the memory. Return float32.
    """
    cos, sin = turned(positions, dim, theta)
    return cos.double(), sin.double()


@variant("2.5a")
def by_logarithm(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """e to the power of -ln θ · 2i/dim."""
    frequencies = torch.exp(torch.arange(0, dim, 2) * (-math.log(theta) / dim))
    found = positions[:, :, None] * frequencies[None, None, :]
    return torch.cos(found), torch.sin(found)


@variant("2.5a")
def by_einsum(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """One over θ^(2i/dim), an outer product by einsum."""
    frequencies = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    found = torch.einsum("bt,i->bti", positions.float(), frequencies)
    return found.cos(), found.sin()


@variant("2.5a")
def by_complex(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Complex numbers of length 1."""
    found = positions.unsqueeze(-1).float() * frequencies_of(dim, theta)
    numbers = torch.polar(torch.ones_like(found), found)
    return numbers.real, numbers.imag


@variant("2.5a")
def in_double(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Float64 until the last moment."""
    found = positions.unsqueeze(-1).double() * theta ** -(torch.arange(0, dim, 2).double() / dim)
    return found.cos().float(), found.sin().float()


@variant("2.5a")
def by_loop(positions: Tensor, dim: int, theta: float = 10_000.0) -> Pair:
    """Python's own numbers, pair by pair."""
    columns = [positions.float() * theta ** (-2 * i / dim) for i in range(dim // 2)]
    return torch.stack([c.cos() for c in columns], dim=-1), torch.stack([c.sin() for c in columns], dim=-1)
