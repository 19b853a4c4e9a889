"""Probes of rotary positions: the angles (2.5a) and the rotation (2.5b)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, equal
from step2_model.checks.observe import DEEP, gradients

# Angles of some thousand radians are known to about 1e-4 in float32: right code differs by that much there.
FAR = 1e-2


def side_by_side(rope: Any) -> Any:
    """Return the cosines with the sines behind them as one tensor: what is wrong shows in both."""
    is_pair = isinstance(rope, tuple) and len(rope) == 2 and all(isinstance(t, torch.Tensor) for t in rope)
    return torch.cat(rope, dim=-1) if is_pair and rope[0].shape == rope[1].shape else rope


@check("2.5a")
def angles(m: Any, rng: Any) -> Any:
    yield "position 0: nothing is turned, cos = 1 and sin = 0", m.rope_at(torch.zeros(2, 3).long(), 8)
    ones = torch.ones(1, 1, dtype=torch.int64)
    yield "position 1: pair i turns by θ^(-2i/dim), the first by 1 radian", side_by_side(m.rope_at(ones, 8))
    positions = torch.arange(6).repeat(2, 1)
    argument = positions.clone()
    yield equal("position p: pair i turns by p · θ^(-2i/dim)", side_by_side(m.rope_at(argument, 6)), DEEP)
    yield "the argument positions is left as it was", argument
    yield equal("another width: the exponents are of this dim", m.rope_at(positions, 10), DEEP)
    yield equal("a head of 2 features is one pair, which turns by p", m.rope_at(positions, 2), DEEP)
    theta = 20.0 + rng.integer(1, 50)
    yield equal(f"another theta: {theta:g}", m.rope_at(positions, 6, theta), DEEP)
    start = rng.integer(20, 40)
    yield equal("positions that start late, as behind a cache", m.rope_at(positions + start, 6), DEEP)
    shifted = (torch.arange(6) - torch.tensor([[0], [1], [4]])).clamp(min=0)
    yield equal("positions that differ from row to row, as with padding", m.rope_at(shifted, 6), DEEP)
    yield equal("one position alone, 17, in each of 2 rows", m.rope_at(torch.full((2, 1), 17), 6), DEEP)
    # Odd numbers above 2,048 are the first that half precision cannot hold.
    late = 2 * rng.integers(1_100, 2_000, 2, 5) + 1
    yield equal("positions in the thousands: angles are computed in float32", m.rope_at(late, 8), FAR)


@cases("2.5a")
def small_angles(m: Any) -> Any:
    """Outputs are cos and sin."""
    for positions, dim, theta in (
        ([[0]], 2, 100.0),
        ([[1]], 2, 100.0),
        ([[1]], 4, 100.0),
        ([[1]], 6, 1000.0),
        ([[0, 1, 2]], 4, 100.0),
        ([[5]], 4, 100.0),
        ([[0, 1], [2, 3]], 4, 100.0),
        ([[1, 2]], 4, 9.0),
    ):
        given = torch.tensor(positions)
        yield {"positions": given, "dim": dim, "theta": theta}, m.rope_at(given.clone(), dim, theta)
    far = torch.tensor([[2_051]])
    yield {"positions": far, "dim": 2, "theta": 100.0}, m.rope_at(far.clone(), 2, 100.0)


def turns(rng: Any, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cosines and sines of angles that are all different, none of them near 0."""
    drawn = rng.uniform(0.3, 3.0, *shape)
    return drawn.cos(), drawn.sin()


@check("2.5b")
def rotation(m: Any, rng: Any) -> Any:
    x = rng.normal(2, 3, 5, 8)
    still, quarter = torch.zeros(2, 5, 4), torch.ones(2, 5, 4)
    yield "an angle of 0 changes nothing", m.rotate(x, quarter, still)
    yield (
        "a quarter turn: (a, b) becomes (-b, a), a from the first half of the features",
        m.rotate(x, still, quarter),
    )
    alone = turns(rng, 1, 1, 4)
    yield "one position: every pair turns by its own angle", m.rotate(x[:1, :, :1], *alone)
    yield "a head of 2 features: one pair", m.rotate(x[:1, :, :, :2], *turns(rng, 1, 5, 1))
    several = turns(rng, 1, 5, 4)
    yield "every position turns by its own angles, all heads alike", m.rotate(x[:1], *several)
    cos, sin = turns(rng, 2, 5, 4)
    arguments = x.clone(), cos.clone(), sin.clone()
    yield "rows of a batch stand at positions of their own", m.rotate(*arguments)
    yield "the arguments are left as they were", arguments
    yield "as many heads as positions: angles belong to positions", m.rotate(rng.normal(2, 5, 5, 8), cos, sin)
    yield (
        "as many heads as rows: angles belong to rows",
        m.rotate(rng.normal(3, 3, 5, 8), *turns(rng, 3, 5, 4)),
    )
    in_heads = rng.normal(2, 5, 3, 8).transpose(1, 2)
    yield "heads that were cut from a wider tensor (not contiguous)", m.rotate(in_heads, cos, sin)
    # Rounding to bfloat16 may go either way where float32 differs in its last digit.
    half = m.rotate(x.bfloat16(), cos, sin)
    yield "x in bfloat16 comes back in bfloat16", str(half.dtype)
    x.requires_grad_()
    found = gradients(m.rotate(x, cos, sin), rng.normal(2, 3, 5, 8), {"x": x})
    yield equal("gradients reach x", found, DEEP)


@cases("2.5b")
def small_rotations(m: Any) -> Any:
    for x, cos, sin in (
        ([[[[1.0, 2.0]]]], [[[1.0]]], [[[0.0]]]),
        ([[[[1.0, 2.0]]]], [[[0.0]]], [[[1.0]]]),
        ([[[[1.0, 2.0]]]], [[[0.6]]], [[[0.8]]]),
        ([[[[1.0, 2.0, 3.0, 4.0]]]], [[[0.0, 1.0]]], [[[1.0, 0.0]]]),
        ([[[[1.0, 2.0, 3.0, 4.0]]]], [[[0.0, 0.6]]], [[[1.0, 0.8]]]),
        ([[[[1.0, 2.0], [3.0, 4.0]]]], [[[1.0], [0.0]]], [[[0.0], [1.0]]]),
        ([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]], [[[1.0], [0.0]]], [[[0.0], [1.0]]]),
        ([[[[1.0, 2.0]]], [[[1.0, 2.0]]]], [[[1.0]], [[0.0]]], [[[0.0]], [[1.0]]]),
        (
            [[[[1.0, 2.0]], [[3.0, 4.0]]], [[[1.0, 2.0]], [[3.0, 4.0]]]],
            [[[1.0]], [[0.0]]],
            [[[0.0]], [[1.0]]],
        ),
    ):
        inputs = {"x": torch.tensor(x), "cos": torch.tensor(cos), "sin": torch.tensor(sin)}
        yield inputs, m.rotate(*(tensor.clone() for tensor in inputs.values()))
