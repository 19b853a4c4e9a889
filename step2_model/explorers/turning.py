"""Rotary positions: every pair of features as a dial, and what query and key say to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step2_model.explorers.modern_pictures import by_distance

LONGEST = 256


def turning(mine: Any, dim: int = 16, theta: float = 10_000.0, length: int = 64, seed: int = 0) -> Explorer:
    """Let the reader move a query and its distance to a key, and see the pairs turn and the score stay.

    One query and one key are drawn, both around the same direction, and rotated by `mine` at every position;
    a dial for each pair of features shows both. Raises ValueError for a width that has no pairs, and for
    more positions than fit on a page.
    """
    if dim < 2 or dim % 2:
        raise ValueError(f"dim must be even and at least 2, got {dim}")
    if not 2 <= length <= LONGEST:
        raise ValueError(f"length must be from 2 to {LONGEST}, got {length}")
    chance = torch.Generator().manual_seed(seed)
    q = torch.randn(dim, generator=chance)
    k = q + 0.5 * torch.randn(dim, generator=chance)
    q, k = q / q.norm(), k / k.norm()
    with torch.no_grad():
        cos, sin = mine.rope_at(torch.arange(length)[None], dim, theta)
        queries, keys = (mine.rotate(v.expand(1, 1, length, dim), cos, sin)[0, 0] for v in (q, k))
    scores = queries @ keys.T
    m = length // 2
    says = (
        f"A query and a key with {dim // 2} rotary pairs: their product is {scores[m, m]:.2f} at distance 0 "
        f"and {scores[m, m - m // 2]:.2f} at distance {m // 2}, the same wherever the two stand."
    )
    label = whose(mine, "2.5a", "2.5b")

    def picture() -> Figure:
        return by_distance(scores[-1].flip(0), label)

    values = {"length": length, "pairs": dim // 2, "theta": theta, "position": m, "distance": min(3, m)}
    return Explorer(
        Path(__file__).with_suffix(".js"),
        values,
        {"queries": queries, "keys": keys, "scores": scores},
        whose=label,
        says=says,
        picture=picture,
    )
