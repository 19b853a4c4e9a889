"""2.9, shared keys and values: accepted variants."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

from coursekit.probe import variant
from step2_model.mistakes.grouped import mask_of
from step2_model.model_solution import cached_attention


@variant("2.9")
def explicit(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scores, mask, softmax and mixture written out, on stacked rows."""
    N = q.shape[1] // k.shape[1]
    rows = rearrange(q, "B (G N) T D -> B G (N T) D", N=N)
    scores = rows @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    hidden = ~repeat(mask_of(q, k, mask), "... T S -> ... (N T) S", N=N)
    y = scores.masked_fill(hidden, -1e9).softmax(dim=-1) @ v
    return rearrange(y, "B G (N T) D -> B (G N) T D", N=N)


@variant("2.9")
def by_einsum(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Five dimensions and two einsums."""
    queries = q.unflatten(1, (k.shape[1], -1)) * q.shape[-1] ** -0.5
    scores = torch.einsum("bgntd,bgsd->bgnts", queries, k)
    may = mask_of(q, k, mask)
    may = may[:, :, None] if may.dim() == 4 else may
    weights = scores.masked_fill(~may, float("-inf")).softmax(dim=-1)
    return torch.einsum("bgnts,bgsd->bgntd", weights, v).flatten(1, 2)


@variant("2.9")
def head_by_head(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """A loop over the query heads, each with a view of its keys and values."""
    N = q.shape[1] // k.shape[1]
    pieces = []
    for h in range(q.shape[1]):
        g = h // N
        pieces.append(cached_attention(q[:, h : h + 1], k[:, g : g + 1], v[:, g : g + 1], mask))
    return torch.cat(pieces, dim=1)


@variant("2.9")
def by_the_library(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """The library's own sharing, `enable_gqa`."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask_of(q, k, mask), enable_gqa=True)


@variant("2.9")
def in_float64(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Float64 inside, on stacked rows, the softmax written as exponentials."""
    rows = rearrange(q, "B (G N) T D -> B G (N T) D", G=k.shape[1]).double() / q.shape[-1] ** 0.5
    scores = rows @ k.transpose(-2, -1).double()
    hidden = ~repeat(mask_of(q, k, mask), "... T S -> ... (N T) S", N=q.shape[1] // k.shape[1])
    weights = (scores.masked_fill(hidden, float("-inf")) - scores.amax(dim=-1, keepdim=True)).exp()
    y = (weights @ v.double()) / weights.sum(dim=-1, keepdim=True)
    return rearrange(y, "B G (N T) D -> B (G N) T D", T=q.shape[2]).to(q.dtype)
