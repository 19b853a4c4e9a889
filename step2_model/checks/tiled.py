"""Probe of attention in tiles (2.15): the same answer as attention, without the matrix of scores."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import at_most, cases, check, equal
from step2_model.checks.counting import Largest
from step2_model.checks.observe import DEEP, fix_chance, gradients


def rising(rng: Any, *shape: int) -> torch.Tensor:
    """Return keys that grow along the text, so that larger scores keep turning up."""
    return rng.normal(*shape) * torch.linspace(0.3, 3, shape[-2]).unsqueeze(-1)


@check("2.15")
def attention_in_tiles(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    q, k, v = rng.normal(2, 3, 12, 8), rising(rng, 2, 3, 12, 8), rng.normal(2, 3, 12, 5)
    arguments = q.clone(), k.clone(), v.clone()
    yield "one block holds all: plain causal attention", m.attend_tiled(*arguments, 12)
    yield "the arguments q, k and v are left as they were", arguments
    yield "three blocks of four keys", m.attend_tiled(q, k, v, 4)
    yield "a last block that is not full", m.attend_tiled(q, k, v, 5)
    yield "blocks of a single key", m.attend_tiled(q, k, v, 1)
    yield "a block larger than the text", m.attend_tiled(q, k, v, 40)
    falling = k.flip(-2)
    yield "the largest scores come first", m.attend_tiled(q, falling, v, 4)
    late = q[:, :, -4:]
    yield "4 new queries over 12 positions: they are the last four", m.attend_tiled(late, k, v, 3)
    yield "a single new query reads every position", m.attend_tiled(late[:, :, 2:3], k, v, 5)
    yield "without batch or heads: (T, D), (S, D) and (S, Dv)", m.attend_tiled(q[0, 0], k[0, 0], v[0, 0], 4)
    more = rng.normal(2, 2, 3, 7, 4), rising(rng, 2, 2, 3, 7, 4), rng.normal(2, 2, 3, 7, 6)
    yield "three leading dimensions", m.attend_tiled(*more, 3)
    yield from scores_of_any_size(m, q, k, v)
    yield from what_is_held(m, rng)
    for tensor in (q, k, v):
        tensor.requires_grad_()
    found = gradients(m.attend_tiled(q[:, :, 3:], k, v, 5), rng.normal(2, 3, 9, 5), {"q": q, "k": k, "v": v})
    yield equal("gradients reach q, k and v", found, DEEP)


def scores_of_any_size(m: Any, q: Any, k: Any, v: Any) -> Any:
    """Yield what scores must do for which e^score is no number any more.

    Float32 keeps a score of some hundreds to 3e-5: these ask only that nothing overflows.
    """
    yield equal("scores in the hundreds overflow nothing", m.attend_tiled(40 * q, k, v, 4), 1e-3)
    pushed_q, pushed_k = q.clone(), k.clone()
    pushed_q[..., 0], pushed_k[..., 0] = 20.0, -20.0
    yield equal("scores far below 0 divide nothing by 0", m.attend_tiled(pushed_q, pushed_k, v, 4), 1e-3)
    pushed_q[..., ::2, 0] = -20.0
    yield equal(
        "large scores for one query and small ones for the next: each has its own largest",
        m.attend_tiled(pushed_q, pushed_k, v, 4),
        1e-3,
    )


def what_is_held(m: Any, rng: Any) -> Any:
    """Yield how many numbers the largest tensor has that is made on the way."""
    for label, heads, length, width, block in (
        ("for 400 heads: T times the larger of block and Dv, for each", 400, 66, 5, 9),
        ("for one head, without a mask of T × S either", 1, 128, 5, 12),
        ("for one head and blocks of three", 1, 128, 3, 3),
    ):
        q, k, v = rng.normal(3, heads, length, width)
        with Largest() as seen:
            m.attend_tiled(q, k, v, block)
        yield at_most(
            f"the largest tensor made on the way, {label}", seen.numel, heads * length * max(block, width)
        )


@cases("2.15")
def small_tiles(m: Any) -> Any:
    for q, k, v, block in (
        ([[1.0]], [[2.0]], [[3.0]], 1),
        ([[1.0], [1.0]], [[0.0], [0.0]], [[2.0], [4.0]], 2),
        ([[1.0], [1.0]], [[0.0], [0.0]], [[2.0], [4.0]], 1),
        ([[1.0], [1.0]], [[0.0], [1.0]], [[2.0], [4.0]], 1),
        ([[1.0], [1.0], [1.0]], [[0.0], [1.0], [2.0]], [[2.0], [4.0], [8.0]], 2),
        ([[1.0]], [[0.0], [1.0], [2.0]], [[2.0], [4.0], [8.0]], 2),
        (
            [[1.0, 0.0], [0.0, 2.0]],
            [[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]],
            [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 4.0]],
            1,
        ),
        ([[100.0], [-100.0]], [[1.0], [2.0]], [[2.0], [4.0]], 1),
        ([[200.0], [200.0]], [[-2.0], [-1.0]], [[2.0], [4.0]], 1),
    ):
        given = torch.tensor(q), torch.tensor(k), torch.tensor(v)
        inputs = {"q": given[0], "k": given[1], "v": given[2], "block": block}
        yield inputs, m.attend_tiled(*(t.clone() for t in given), block)
