"""Probes of the two cuts of the core: top-k (4.3) and top-p (4.4a)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import cases, check
from step4_generate.checks.core_observe import refusal, unchanged

INF = float("inf")


def spread_out(rng: Any, *shape: int) -> Tensor:
    """Return logits of which no two of a row are near each other: 0, 0.5, 1, ... in an order of its own for
    each row, a little off.
    """
    order = rng.normal(*shape).argsort(dim=-1)
    logits: Tensor = order / 2 - shape[-1] / 4 + rng.uniform(-0.1, 0.1, *shape)
    return logits


def share_between(logits: Tensor, count: int) -> float:
    """Return a p that the first `count` tokens of a row reach, the last of them by half its probability."""
    shares = logits.double().softmax(dim=-1).sort(descending=True).values.cumsum(dim=-1)
    before = shares[count - 2] if count > 1 else torch.zeros(())
    return float(before + shares[count - 1]) / 2


@check("4.3")
def keep_top_k(m: Any, rng: Any) -> Any:
    one = spread_out(rng, 1, 7)
    yield "the two largest of 7 keep their logits, the others have -inf", m.keep_top_k(one.clone(), 2)
    yield "only the largest", m.keep_top_k(one.clone(), 1)
    rows = spread_out(rng, 3, 7) + torch.tensor([[0.0], [40.0], [-40.0]])
    yield "rows of a batch, each with its own three", m.keep_top_k(rows.clone(), 3)
    same = [m.keep_top_k(rows.clone(), k) for k in (6, 7, 8, 50)]
    yield "6, 7, 8 and 50 of 7: from 7 on nothing changes", same
    tied = torch.tensor([[1.0, 3.0, 2.0, 3.0, 2.0, 2.0, 0.0], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]])
    yield "tokens tied with the k-th stay, every one of them", [m.keep_top_k(tied, k) for k in (3, 4, 6)]
    yield "tokens tied for the first place both stay", m.keep_top_k(tied[:1], 1)
    masked = rows.masked_fill(rows < rows.median(dim=-1, keepdim=True).values, -INF)
    yield "what was cut off before stays cut off", [m.keep_top_k(masked.clone(), k) for k in (2, 6)]
    large = 1e30 * torch.tensor([[-1.0, -3.0, -2.0, -4.0]])
    yield "logits of -1e30 are far from -inf", m.keep_top_k(large, 2)
    deep = spread_out(rng, 2, 3, 5)
    yield (
        "dimensions in front are kept: (2, 3, 5), and none at all: (5,)",
        [
            m.keep_top_k(deep.clone(), 2),
            m.keep_top_k(deep[0, 0].clone(), 2),
        ],
    )
    yield "logits of half precision stay so", m.keep_top_k(rows.bfloat16(), 3)
    with unchanged(rows) as told:
        m.keep_top_k(rows, 3)
    yield "the logits that were passed are as they were", told
    yield "a k of 0 or -1 is refused", [refusal(partial(m.keep_top_k, rows, k)) for k in (0, -1)]


@cases("4.3")
def small_top_k(m: Any) -> Any:
    for logits, k in (
        ([[1.0, 2.0]], 1),
        ([[2.0, 1.0, 3.0]], 2),
        ([[1.0, 2.0, 2.0]], 1),
        ([[1.0, 2.0]], 3),
        ([[1.0, 2.0], [9.0, 8.0]], 1),
        ([[-5.0, -6.0, -INF]], 2),
        ([[1.0, 1.0, 0.0, 1.0]], 2),
        ([[4.0, 3.0, 2.0, 1.0]], 2),
    ):
        mine = torch.tensor(logits)
        yield {"logits": torch.tensor(logits), "k": k}, m.keep_top_k(mine, k)
    mine = torch.tensor([[1.0, 2.0]])
    m.keep_top_k(mine, 1)
    yield {"logits": torch.tensor([[1.0, 2.0]]), "k": 1, "asked": "the logits afterwards"}, mine


@check("4.4a")
def keep_top_p(m: Any, rng: Any) -> Any:
    one = spread_out(rng, 1, 7)
    p = share_between(one[0], 3)
    yield f"p = {p:.3f}: three tokens reach it, the third crosses it and stays", m.keep_top_p(one.clone(), p)
    p = share_between(one[0], 1)
    yield "the most probable alone is above p: it stays, and no other", m.keep_top_p(one.clone(), p)
    yield "even for the smallest p one token stays", m.keep_top_p(one.clone(), 1e-12)
    p = share_between(one[0], 7)
    yield "a p that only all of them reach", m.keep_top_p(one.clone(), p)
    rows = torch.cat([spread_out(rng, 1, 9) * scale for scale in (0.2, 1.0, 4.0)])
    p = share_between(rows[1], 4)
    yield "rows of a batch: a flat law keeps many, a steep one few", m.keep_top_p(rows.clone(), p)
    moved = [m.keep_top_p(rows + shift, p) for shift in (100.0, -100.0)]
    yield "only differences count: all logits 100 higher, and 100 lower", moved
    tied = torch.tensor([[0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0]])
    kept = [m.keep_top_p(tied, p) for p in (0.75, 0.85, 0.9)]
    yield "of tokens tied at the cut as many as are needed", [each.sort(dim=-1).values for each in kept]
    equal = [m.keep_top_p(torch.zeros(2, 8), p) for p in (0.3, 0.55, 0.99)]
    yield "of eight equal tokens 3, 5 and 8", [each.sort(dim=-1).values for each in equal]
    yield "a p of 1 changes nothing", m.keep_top_p(rows.clone(), 1.0)
    yield from unusual(m, rng, rows, p)


def unusual(m: Any, rng: Any, rows: Tensor, p: float) -> Any:
    """Yield what comes of other shapes, of many tokens, of tokens that are cut off already."""
    masked = rows.masked_fill(rows < rows.median(dim=-1, keepdim=True).values, -INF)
    low = share_between(masked[1], 3)
    yield (
        "what was cut off before stays so, and has no probability",
        [m.keep_top_p(masked.clone(), each) for each in (low, 0.9999)],
    )
    row = spread_out(rng, 5)
    near = share_between(row, 2)
    deep = row[rng.normal(2, 3, 5).argsort(dim=-1)]
    yield (
        "dimensions in front are kept: (2, 3, 5), and none at all: (5,)",
        [
            m.keep_top_p(deep.clone(), near),
            m.keep_top_p(row.clone(), near),
        ],
    )
    many = torch.linspace(0, 6, 3_000)[rng.normal(3_000).argsort()].unsqueeze(0)
    least = share_between(many[0], 2_000)
    yield "2,000 of 3,000 tokens", m.keep_top_p(many.clone(), least).isfinite().sum(dim=-1)
    half = (rng.normal(1, 40).argsort(dim=-1) / 8).bfloat16()
    all_but_four = share_between(half[0], 36)
    yield (
        "logits of half precision stay so; their probabilities are added in float32",
        (m.keep_top_p(half.clone(), all_but_four)),
    )
    with unchanged(rows) as told:
        m.keep_top_p(rows, p)
    yield "the logits that were passed are as they were", told
    wrong = (0.0, -0.5, 1.5, float("nan"))
    yield (
        "a p of 0, below it, above 1 or NaN is refused",
        [refusal(partial(m.keep_top_p, rows, p)) for p in wrong],
    )


@cases("4.4a")
def small_top_p(m: Any) -> Any:
    """Logits are logarithms of whole numbers, so that each probability is a fraction."""
    for weights, p in (
        ([[3, 1]], 0.5),
        ([[1, 3]], 0.9),
        ([[2, 5, 3]], 0.7),
        ([[6, 3, 1]], 0.5),
        ([[1, 4, 5]], 0.8),
        ([[6, 3, 1]], 0.95),
        ([[1, 7, 2], [5, 4, 1]], 0.65),
        ([[0, 3, 1]], 0.9),
        ([[10, 5, 4, 1]], 0.6),
        ([[4, 4, 1, 1]], 0.7),
    ):
        logits = torch.tensor(weights).log()
        found = m.keep_top_p(logits.clone(), p)
        inputs = {"probabilities": torch.tensor(weights) / sum(weights[0]), "p": p}
        yield inputs | {"logits": "their logarithms"}, found
    mine = torch.tensor([[0.0, 2.0]])
    m.keep_top_p(mine, 0.5)
    yield {"logits": torch.tensor([[0.0, 2.0]]), "p": 0.5, "asked": "the logits afterwards"}, mine
