"""2.12b, absorbed attention: accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from coursekit.probe import variant
from step2_model.mistakes.absorbed import attention
from step2_model.mistakes.latent import Mask, Rope, hide, remember, width
from step2_model.model_solution import causal_mask


@variant("2.12b")
def by_einsum(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Dimensions by name, and no rows: einsum makes them."""
    return attention(self, x, rope, mask, cache)


@variant("2.12b")
def multi_query(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Multi-query attention by F.scaled_dot_product_attention: one key of width R + Dr, whose first R
    columns are the value.
    """
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = remember(cache, *self.compress(x, rope))
    to_key, to_value = self.factors()
    H, (T, S) = self.args.n_heads, (x.shape[1], latent.shape[1])
    q = rearrange(torch.cat([q_plain @ to_key, q_rotary], dim=-1), "B H T D -> B 1 (H T) D")
    readable = causal_mask(T, S) if mask is None else mask
    readable = readable.repeat(*(1,) * (readable.dim() - 2), H, 1)
    k, v = torch.cat([latent, key], dim=-1).unsqueeze(1), latent.unsqueeze(1)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=readable, scale=width(self.args) ** -0.5)
    y = rearrange(mixed, "B 1 (H T) R -> B H T R", H=H) @ to_value.mT
    return self.o_proj(rearrange(y, "B H T D -> B T (H D)"))


@variant("2.12b")
def head_by_head(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """A loop over heads, each with its rows of kv_b_proj."""
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = remember(cache, *self.compress(x, rope))
    Dn, Dv = self.args.qk_nope_head_dim, self.args.v_head_dim
    outputs = []
    for h, rows in enumerate(self.kv_b_proj.weight.split(Dn + Dv)):
        scores = q_plain[:, h] @ rows[:Dn] @ latent.mT + q_rotary[:, h] @ key.mT
        own = mask[:, 0] if mask is not None else None
        weights = hide(scores * width(self.args) ** -0.5, own).softmax(dim=-1)
        outputs.append(weights @ latent @ rows[Dn:].T)
    return self.o_proj(torch.cat(outputs, dim=-1))


@variant("2.12b")
def in_double(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Scores and mixtures in float64, queries scaled before they are compared."""
    q_plain, q_rotary = (t.double() * width(self.args) ** -0.5 for t in self.queries(x, rope))
    latent, key = (t.double() for t in remember(cache, *self.compress(x, rope)))
    to_key, to_value = (t.double() for t in self.factors())
    q = torch.einsum("bhtd,hdr->bhtr", q_plain, to_key)
    scores = torch.einsum("bhtr,bsr->bhts", q, latent) + torch.einsum("bhtd,bsd->bhts", q_rotary, key)
    mixed = torch.einsum("bhts,bsr->bhtr", hide(scores, mask).softmax(dim=-1), latent)
    y = torch.einsum("bhtr,hdr->bthd", mixed, to_value)
    return self.o_proj(y.flatten(2).float())
