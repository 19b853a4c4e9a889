"""2.11b, attention from latents: accepted variants."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

from coursekit.probe import variant
from step2_model.mistakes.latent import Rope, attention, expand, hide, remember
from step2_model.model_solution import cached_attention, causal_mask


@variant("2.11b")
def written_out(self: Any, x: Tensor, rope: Rope, mask: Tensor | None = None, cache: Any = None) -> Tensor:
    """Scores, mask, softmax and mixture written out."""
    return attention(self, x, rope, mask, cache)


@variant("2.11b")
def rotary_first(self: Any, x: Tensor, rope: Rope, mask: Tensor | None = None, cache: Any = None) -> Tensor:
    """Rotary part first, in queries and keys alike, and views as in DeepSeek's own code."""
    B, T, _ = x.shape
    q = torch.cat(self.queries(x, rope)[::-1], dim=-1)
    latent, key = remember(cache, *self.compress(x, rope))
    plain, v = expand(self, latent)
    k = torch.cat([key.unsqueeze(1).expand(-1, self.args.n_heads, -1, -1), plain], dim=-1)
    y = cached_attention(q, k, v, mask)
    return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))


@variant("2.11b")
def fused(self: Any, x: Tensor, rope: Rope, mask: Tensor | None = None, cache: Any = None) -> Tensor:
    """F.scaled_dot_product_attention with a mask of its own."""
    q = torch.cat(self.queries(x, rope), dim=-1)
    latent, key = remember(cache, *self.compress(x, rope))
    plain, v = expand(self, latent)
    k = torch.cat([plain, repeat(key, "B S D -> B H S D", H=plain.shape[1])], dim=-1)
    readable = causal_mask(q.shape[-2], k.shape[-2]) if mask is None else mask
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=readable)
    return self.o_proj(rearrange(y, "B H T D -> B T (H D)"))


@variant("2.11b")
def head_by_head(self: Any, x: Tensor, rope: Rope, mask: Tensor | None = None, cache: Any = None) -> Tensor:
    """A loop over heads, each with its rows of kv_b_proj, and two scores that are added."""
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = remember(cache, *self.compress(x, rope))
    Dn, Dv = self.args.qk_nope_head_dim, self.args.v_head_dim
    outputs = []
    for h in range(self.args.n_heads):
        rows = self.kv_b_proj.weight[h * (Dn + Dv) : (h + 1) * (Dn + Dv)]
        k, v = latent @ rows[:Dn].T, latent @ rows[Dn:].T
        scores = (q_plain[:, h] @ k.mT + q_rotary[:, h] @ key.mT) / math.sqrt(Dn + q_rotary.shape[-1])
        own = mask[:, 0] if mask is not None else None
        outputs.append(hide(scores, own).softmax(dim=-1) @ v)
    return self.o_proj(torch.cat(outputs, dim=-1))


@variant("2.11b")
def absorbed(self: Any, x: Tensor, rope: Rope, mask: Tensor | None = None, cache: Any = None) -> Tensor:
    """The factors of kv_b_proj applied to queries and mixtures: no latent is expanded."""
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = remember(cache, *self.compress(x, rope))
    widths = [self.args.qk_nope_head_dim, self.args.v_head_dim]
    to_key, to_value = self.kv_b_proj.weight.unflatten(0, (self.args.n_heads, -1)).split(widths, dim=1)
    scores = torch.einsum("bhtd,hdr,bsr->bhts", q_plain, to_key, latent)
    scores = scores + torch.einsum("bhtd,bsd->bhts", q_rotary, key)
    weights = hide(scores / math.sqrt(widths[0] + key.shape[-1]), mask).softmax(dim=-1)
    y = torch.einsum("bhts,bsr,hdr->bthd", weights, latent, to_value)
    return self.o_proj(y.flatten(2))


@variant("2.11b")
def in_double(self: Any, x: Tensor, rope: Rope, mask: Tensor | None = None, cache: Any = None) -> Tensor:
    """Scores and mixture in float64."""
    q = torch.cat(self.queries(x, rope), dim=-1).double()
    latent, key = remember(cache, *self.compress(x, rope))
    plain, v = (t.double() for t in expand(self, latent))
    k = torch.cat([plain, key.double().unsqueeze(1).expand(*plain.shape[:-1], -1)], dim=-1)
    weights = hide(q @ k.mT / k.shape[-1] ** 0.5, mask).softmax(dim=-1)
    y: Tensor = (weights @ v).movedim(1, 2).flatten(2).float()
    return self.o_proj(y)
