"""Causal attention, one query at a time: scores, mask, weights, and the mixture of values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step2_model.explorers.inside import rebuilt, tokens_of
from step2_model.explorers.pictures import weights_of_a_query

PARTS = ("2.3a", "2.3b", "2.3c")


def attention(mine: Any, model: Any, text: str | Sequence[int] | Tensor, query: int = -1) -> Explorer:
    """Let the reader choose a head and a query of a trained model, and follow its row to the mixture.

    The numbers come from `attention_scores`, `apply_causal_mask` and `attend` of `mine`; what the switches
    show is computed in the page. Raises ValueError for a text or a model that cannot be shown.
    """
    own = rebuilt(mine, model)
    ids, names, _ = tokens_of(text, own)
    T, H = len(names), own.config.n_head
    if not -T <= query < T:
        raise ValueError(f"query must be a position of the text, {-T} to {T - 1}, got {query}")
    arrays = heads(mine, own, ids)
    weights = arrays["weights"]
    # Begin with the head that reads most from one place further back than the neighbor, if there is one.
    further_back = weights[:, query, : max(query % T - 1, 1)]
    sharpest = int(further_back.amax(dim=-1).argmax())
    row = weights[sharpest, query]
    key = int(row.argmax())
    where = f"block {sharpest // H + 1}, head {sharpest % H + 1}"
    says = (
        f"Attention in {where}: the query {names[query]!r} at position {query % T} gives {row[key]:.0%} of "
        f"its weight to {names[key]!r} at position {key}."
    )
    label = whose(mine, *PARTS)
    return Explorer(
        Path(__file__).with_suffix(".js"),
        {"tokens": names, "heads": H, "head": sharpest, "query": query % T},
        arrays,
        whose=label,
        says=says,
        picture=lambda: weights_of_a_query(weights[sharpest], query % T, names, where, label),
    )


def heads(mine: Any, model: Any, ids: Tensor) -> dict[str, Tensor]:
    """Return what happens in every head, each (L · H, ...): scores, whether they are hidden, and weights
    (T, T), values and their mixtures (T, D), computed by the functions of `mine`.
    """
    caught: list[Tensor] = []
    hooks = [
        block.attn.c_attn.register_forward_hook(lambda _, __, output: caught.append(output[0]))
        for block in model.h
    ]
    with torch.no_grad():
        model(ids)
        for hook in hooks:
            hook.remove()
        q, k, v = rearrange(
            torch.stack(caught), "L T (three H D) -> three (L H) T D", three=3, H=model.h[0].attn.n_head
        )
        scores = mine.attention_scores(q, k)
        masked = mine.apply_causal_mask(scores)
        # With the identity as values the mixture is the row of weights itself.
        same = torch.eye(ids.shape[1]).expand(len(q), -1, -1)
        weights = mine.attend(masked, same, lambda weights: weights)
        mixture = mine.attend(masked, v, lambda weights: weights)
    hidden = masked.isneginf().float()
    return {"scores": scores, "hidden": hidden, "weights": weights, "values": v, "mixture": mixture}
