"""2.3d, heads side by side: known mistakes with the cache, the projection and dropout, and accepted
variants.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from coursekit.probe import variant
from step2_model.model_solution import apply_causal_mask, attend, attention_scores


@variant("2.3d")
def by_views(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """view and transpose, as in nanoGPT."""
    B, T, C = x.shape
    q, k, v = self.c_attn(x).split(C, dim=2)
    q, k, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (q, k, v))
    if cache is not None:
        cache.append(k, v)
        k, v = cache.read()
    y = attend(apply_causal_mask(attention_scores(q, k)), v, self.attn_dropout)
    return self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C)))


@variant("2.3d")
def fused(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """F.scaled_dot_product_attention with a mask of its own."""
    q, k, v = rearrange(self.c_attn(x), "B T (three H D) -> three B H T D", three=3, H=self.n_head)
    if cache is not None:
        cache.append(k, v)
        k, v = cache.read()
    T, S = q.shape[-2], k.shape[-2]
    readable = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
    p = self.attn_dropout.p if self.training else 0.0
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=readable, dropout_p=p)
    return self.resid_dropout(self.c_proj(rearrange(y, "B H T D -> B T (H D)")))


@variant("2.3d")
def head_by_head(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """A loop over heads; the cache is filled with all of them first."""
    heads = [
        part.unflatten(-1, (self.n_head, -1)).movedim(-2, 1) for part in self.c_attn(x).tensor_split(3, -1)
    ]
    q, k, v = heads
    if cache is not None:
        cache.append(k, v)
        k, v = cache.read()
    outputs = []
    for h in range(self.n_head):
        scores = apply_causal_mask(attention_scores(q[:, h], k[:, h]))
        outputs.append(attend(scores, v[:, h], self.attn_dropout))
    return self.resid_dropout(self.c_proj(torch.cat(outputs, dim=-1)))


@variant("2.3d")
def all_by_hand(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Everything written out with einsum; the three projections are made one by one."""
    B, T, C = x.shape
    weights, biases = self.c_attn.weight.view(3, C, C), self.c_attn.bias.view(3, C)
    parts = [
        (x @ w.T + b).reshape(B, T, self.n_head, -1).permute(0, 2, 1, 3) for w, b in zip(weights, biases)
    ]
    q, k, v = parts
    if cache is not None:
        cache.append(k, v)
        k, v = cache.read()
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(C // self.n_head)
    key, query = torch.arange(k.shape[2]), torch.arange(k.shape[2] - T, k.shape[2])
    scores = scores + torch.where(key > query[:, None], -1e9, 0.0).to(scores.dtype)
    y = torch.einsum("bhts,bhsd->bthd", self.attn_dropout(scores.softmax(-1)), v).flatten(2)
    return self.resid_dropout(self.c_proj(y))
