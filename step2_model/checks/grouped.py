"""Probe of attention whose heads share keys and values (2.9)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import at_most, cases, check, equal
from step2_model.checks.modern import Allocations
from step2_model.checks.observe import DEEP, fix_chance, gradients


def draw(rng: Any, H: int, G: int, T: int, S: int) -> tuple[Any, Any, Any]:
    """Return queries (2, H, T, 8), keys (2, G, S, 8) and values (2, G, S, 5)."""
    return 2 * rng.normal(2, H, T, 8), rng.normal(2, G, S, 8), rng.normal(2, G, S, 5)


def pick_mask(rng: Any, *shape: int) -> Any:
    """Return a random mask in which every query may read the first key."""
    mask = rng.integers(0, 2, *shape).bool()
    mask[..., 0] = True
    return mask


@check("2.9")
def grouped_attention(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    q, k, v = draw(rng, 6, 3, 1, 7)
    yield "one new query, 6 heads over 3: heads 0 and 1 read head 0, 2 and 3 read head 1", attend(m, q, k, v)
    yield "as many key/value heads as query heads: attention as before", attend(m, *draw(rng, 3, 3, 4, 4))
    yield "one key/value head for all: multi-query attention", attend(m, *draw(rng, 4, 1, 1, 6))
    q, k, v = draw(rng, 6, 3, 5, 5)
    arguments = q.clone(), k.clone(), v.clone()
    yield "five queries: in every head, query t reads keys 0 to t", attend(m, *arguments)
    yield "the arguments are left as they were", arguments
    yield "6 heads over 2, three to a group", attend(m, *draw(rng, 6, 2, 4, 4))
    yield "3 new queries over 7 positions: they are the last three", attend(m, *draw(rng, 6, 3, 3, 7))
    late = draw(rng, 6, 3, 3, 7)
    yield (
        "a mask (T, S) says what may be read, in place of the causal one",
        attend(m, *late, pick_mask(rng, 3, 7)),
    )
    rows = pick_mask(rng, 2, 1, 3, 7)
    yield "a mask for each text: (B, 1, T, S)", attend(m, *late, rows)
    yield "a mask for one query", attend(m, *draw(rng, 6, 3, 1, 7), pick_mask(rng, 2, 1, 1, 7))
    yield from cost_of_a_step(m, rng)
    for tensor in (q, k, v):
        tensor.requires_grad_()
    found = gradients(attend(m, q, k, v), rng.normal(2, 6, 5, 5), {"q": q, "k": k, "v": v})
    yield equal("gradients reach q, k and v", found, DEEP)


def attend(m: Any, *arguments: Any) -> Any:
    return m.grouped_attention(*arguments)


def cost_of_a_step(m: Any, rng: Any) -> Any:
    """Yield a step of generation with 48 heads over 2, and how many numbers it makes anew: far fewer than
    keys and values repeated for each head would be, 2 · B · H · S · D.
    """
    B, H, G, S, D = 2, 48, 2, 160, 256
    q, k, v = rng.normal(B, H, 1, D), rng.normal(B, G, S, D), rng.normal(B, G, S, D)
    with Allocations() as made:
        y = attend(m, q, k, v)
    yield equal("a step of generation, 48 heads of width 256 over 2", y, DEEP)
    bound = "keys and values are never repeated: a step makes at most 4 · B · G · S · D new numbers"
    yield at_most(bound, made.total, 4 * B * G * S * D)


@cases("2.9")
def small_grouped_attention(m: Any) -> Any:
    """Scores are 0 or large, so that a query reads one key, or shares its weight equally."""
    eye = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    few = ((1, 1, 1, 1), (2, 1, 1, 1), (4, 2, 1, 1), (4, 2, 1, 2), (2, 1, 2, 2), (2, 1, 3, 3), (4, 2, 2, 3))
    for H, G, T, S in few:
        q, k = torch.zeros(1, H, T, 2), torch.zeros(1, G, S, 2)
        v = torch.arange(1.0, 1 + G * S).reshape(1, G, S, 1) ** 2
        yield {"q": q, "k": k, "v": v}, m.grouped_attention(q, k, v)
    # The queries of a group differ, and so do the two heads of keys: each head reads another value.
    q, k = 100 * eye[[0, 1, 0, 1]].reshape(1, 4, 1, 2), eye[[0, 1, 1, 0]].reshape(1, 2, 2, 2)
    v = torch.tensor([1.0, 2.0, 30.0, 40.0]).reshape(1, 2, 2, 1)
    yield {"q": q, "k": k, "v": v}, m.grouped_attention(q, k, v)
    for may in ([[True, True], [True, True]], [[True, False], [False, True]]):
        q, k = torch.zeros(1, 2, 2, 2), torch.zeros(1, 1, 2, 2)
        v, mask = torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1), torch.tensor(may)
        yield {"q": q, "k": k, "v": v, "mask": mask}, m.grouped_attention(q, k, v, mask)
    q, k = torch.ones(1, 2, 1, 4), torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]]).reshape(1, 1, 2, 4)
    v = torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1)
    yield {"q": q, "k": k, "v": v}, m.grouped_attention(q, k, v)
