"""2.3b, the causal mask: accepted variants."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coursekit.probe import variant
from step2_model.mistakes.mask import later

HIDDEN = float("-inf")


@variant("2.3b")
def by_positions(scores: Tensor) -> Tensor:
    """Positions compared, torch.where."""
    T, S = scores.shape[-2:]
    query = torch.arange(S - T, S, device=scores.device)[:, None]
    key = torch.arange(S, device=scores.device)[None, :]
    return torch.where(key <= query, scores, HIDDEN)


@variant("2.3b")
def additive(scores: Tensor) -> Tensor:
    """A matrix of 0 and minus infinity is added."""
    T, S = scores.shape[-2:]
    return scores + torch.full((T, S), HIDDEN, dtype=scores.dtype).triu(S - T + 1)


@variant("2.3b")
def last_rows(scores: Tensor) -> Tensor:
    """The last T rows of a square lower triangle; -1e9 for minus infinity."""
    T, S = scores.shape[-2:]
    return scores.masked_fill(torch.tril(torch.ones(S, S))[S - T :] == 0, -1e9)


@variant("2.3b")
def minus_10_000(scores: Tensor) -> Tensor:
    """-10,000, as in old GPT-2 code."""
    readable = (~later(scores)).to(scores.dtype)
    return scores * readable - 1e4 * (1 - readable)


@variant("2.3b")
def finfo_min(scores: Tensor) -> Tensor:
    """The most negative number of the type."""
    return scores.masked_fill(later(scores), torch.finfo(scores.dtype).min)


@variant("2.3b")
def row_by_row(scores: Tensor) -> Tensor:
    """A loop over queries on a copy."""
    T, S = scores.shape[-2:]
    masked = scores.clone()
    for t in range(T):
        masked[..., t, S - T + t + 1 :] = -math.inf
    return masked
