"""Who goes where: the experts that each token chooses, their weights, and the load of every expert."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step2_model.explorers.modern_pictures import weights_and_load

MOST = 32


def routing(
    mine: Any, logits: Tensor, tokens: Sequence[str], k: int = 2, bias: Tensor | None = None
) -> Explorer:
    """Let the reader walk through tokens and see their experts, with Mixtral's router and with DeepSeek's.

    `logits` (N, E) are the router's scores of the tokens; `bias` (E) is DeepSeek's, 0 without one. Weights
    are computed by `softmax_router` and `sigmoid_router` of `mine`. Raises ValueError where tokens and logits
    do not fit each other or the page.
    """
    _check(logits, tokens, k)
    shift = torch.zeros(logits.shape[1]) if bias is None else bias
    with torch.no_grad():
        chosen = {
            "softmax": mine.softmax_router(logits, k),
            "sigmoid": mine.sigmoid_router(logits, shift, k),
        }
        dense = {n: torch.zeros_like(logits).scatter(1, e, w.to(logits)) for n, (w, e) in chosen.items()}
        shares = {"softmax": logits.softmax(dim=-1), "sigmoid": logits.sigmoid()}
    load = (dense["softmax"] > 0).sum(dim=0)
    busiest = int(load.argmax())
    says = (
        f"{len(tokens)} tokens choose {k} of {logits.shape[1]} experts each; "
        f"expert {busiest} is the busiest, chosen by {int(load[busiest])} of them."
    )
    label = whose(mine, "2.13a", "2.13b")

    def picture() -> Figure:
        return weights_and_load(dense["softmax"], tokens, label)

    return Explorer(
        Path(__file__).with_suffix(".js"),
        {"tokens": list(tokens), "k": k, "bias": shift.tolist()},
        {
            f"{name}_{what}": found[name]
            for name in dense
            for what, found in (("weights", dense), ("shares", shares))
        },
        whose=label,
        says=says,
        picture=picture,
    )


def _check(logits: Tensor, tokens: Sequence[str], k: int) -> None:
    if logits.dim() != 2 or len(logits) != len(tokens):
        raise ValueError(
            f"logits must have a row for each of the {len(tokens)} tokens, got {tuple(logits.shape)}"
        )
    if not 1 <= len(tokens) <= MOST or not 1 <= k <= logits.shape[1]:
        raise ValueError(
            f"there must be 1 to {MOST} tokens and at least k experts, got {len(tokens)}, k = {k}, "
            f"{logits.shape[1]} experts"
        )
