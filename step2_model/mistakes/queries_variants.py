"""2.12a, queries through a bottleneck: accepted variants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.probe import variant
from step2_model.mistakes.queries import Pair, Rope, heads, whole
from step2_model.model_solution import rotate


@variant("2.12a")
def by_views(self: Any, x: Tensor, rope: Rope) -> Pair:
    """view and transpose, slices, and sharpness on the two parts at the end."""
    if self.args.q_lora_rank is None:
        return whole(self, x, rope)
    B, T, _ = x.shape
    q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))).view(B, T, self.args.n_heads, -1).transpose(1, 2)
    Dn = self.args.qk_nope_head_dim
    return q[..., :Dn] * self.sharpness, rotate(q[..., Dn:], *rope) * self.sharpness


@variant("2.12a")
def by_einsum(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Matrices named by their dimensions, a norm and a rotation by hand; sharpness on the weights."""
    if self.args.q_lora_rank is None:
        return whole(self, x, rope)
    narrow = torch.einsum("btc,qc->btq", x, self.q_a_proj.weight)
    mean = narrow.square().mean(dim=-1, keepdim=True)
    narrow = narrow * torch.rsqrt(mean + self.q_a_layernorm.eps) * self.q_a_layernorm.weight
    up = (self.sharpness * self.q_b_proj.weight).unflatten(0, (self.args.n_heads, -1))
    q = torch.einsum("btq,hdq->bhtd", narrow, up)
    plain, a, b = q.split([self.args.qk_nope_head_dim, rope[0].shape[-1], rope[0].shape[-1]], dim=-1)
    cos, sin = (t.unsqueeze(1) for t in rope)
    return plain, torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


@variant("2.12a")
def in_double(self: Any, x: Tensor, rope: Rope) -> Pair:
    """The two products in float64."""
    if self.args.q_lora_rank is None:
        return whole(self, x, rope)
    narrow = self.q_a_layernorm((x.double() @ self.q_a_proj.weight.double().T).float())
    q = (narrow.double() @ self.q_b_proj.weight.double().T * self.sharpness).float()
    plain, rotary = heads(self, q)
    return plain, rotate(rotary, *rope)
