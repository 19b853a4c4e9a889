"""2.ladder: decoders whose latent attention is wrong in one place, and right ones in other styles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model import model_solution as course
from step2_model.mistakes import heads_variants
from step2_model.mistakes.gpt2 import Patches
from step2_model.mistakes.ladder import Mask, attend, repeated


def latent(
    self: Any,
    x: Tensor,
    rope: Any,
    mask: Mask = None,
    cache: Any = None,
    *,
    heads: str = "B S (H D) -> B H S D",
    mix: Callable[..., Tensor] = course.cached_attention,
) -> Tensor:
    """Return MLA's answer with another order of features in kv_b_proj or another way to attend."""
    q = torch.cat(self.queries(x, rope), dim=-1)
    kept, key = self.compress(x, rope)
    if cache is not None:
        cache.append(kept, key)
        kept, key = cache.read()
    expanded = rearrange(self.kv_b_proj(kept), heads, H=self.args.n_heads)
    plain, v = expanded.split([self.args.qk_nope_head_dim, self.args.v_head_dim], dim=-1)
    k = torch.cat([plain, key.unsqueeze(1).expand(-1, self.args.n_heads, -1, -1)], dim=-1)
    return self.o_proj(rearrange(mix(q, k, v, mask), "B H T Dv -> B T (H Dv)"))


@mistake("2.ladder")
def padding_is_read() -> Patches:
    """Your latent attention does not hand the mask on: rows with padding on the left read the padding."""

    def forward(self: Any, x: Tensor, rope: Any, mask: Mask = None, cache: Any = None) -> Tensor:
        return latent(self, x, rope, None, cache)

    return {"MLA.forward": forward}


@mistake("2.ladder")
def latent_scaled_by_plain_part() -> Patches:
    """Your latent attention divides scores by √Dn, the width of the plain part. A key is Dn + Dr wide: as
    multi-query attention over latents the same scores come out smaller.
    """

    def forward(self: Any, x: Tensor, rope: Any, mask: Mask = None, cache: Any = None) -> Tensor:
        def mix(q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
            return attend(q, k, v, mask, width=self.args.qk_nope_head_dim)

        return latent(self, x, rope, mask, cache, mix=mix)

    return {"MLA.forward": forward}


@mistake("2.ladder")
def heads_last_in_expansion() -> Patches:
    """Your latent attention takes every H-th feature of `kv_b_proj` for a head. There each head's key and
    value features stand in a row.
    """

    def forward(self: Any, x: Tensor, rope: Any, mask: Mask = None, cache: Any = None) -> Tensor:
        return latent(self, x, rope, mask, cache, heads="B S (D H) -> B H S D")

    return {"MLA.forward": forward}


@mistake("2.ladder")
def shared_key_not_rotated() -> Patches:
    """Your shared rotary key is not rotated: scores depend on where the query stands, not on the distance."""

    def compress(self: Any, x: Tensor, rope: Any) -> Any:
        both = self.kv_a_proj_with_mqa(x)
        kept, key = both.split([self.args.kv_lora_rank, self.args.qk_rope_head_dim], dim=-1)
        return self.kv_a_layernorm(kept), key

    return {"MLA.compress": compress}


@mistake("2.ladder")
def latent_not_normalized() -> Patches:
    """Your latent is not normalized. The rung from grouped attention holds, as it takes the norm away; with
    DeepSeek's weights, which expect it, all values have another size.
    """

    def compress(self: Any, x: Tensor, rope: Any) -> Any:
        both = self.kv_a_proj_with_mqa(x)
        kept, key = both.split([self.args.kv_lora_rank, self.args.qk_rope_head_dim], dim=-1)
        return kept, course.rotate(key.unsqueeze(1), *rope).squeeze(1)

    return {"MLA.compress": compress}


@variant("2.ladder")
def all_written_out() -> Patches:
    """Attention by explicit arithmetic, keys and values repeated."""
    return {
        "CausalSelfAttention.forward": heads_variants.all_by_hand,
        "cached_attention": attend,
        "grouped_attention": lambda q, k, v, mask=None: attend(q, *repeated(q, k, v), mask),
        "MLA.forward": lambda self, x, rope, mask=None, cache=None: latent(
            self, x, rope, mask, cache, mix=attend
        ),
    }


@variant("2.ladder")
def in_float64() -> Patches:
    """Attention and rotation in float64 inside."""

    def cached(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
        return attend(q.double(), k.double(), v.double(), mask).to(q.dtype)

    def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return course.rotate(x.double(), cos.double(), sin.double()).to(x.dtype)

    return {
        "CausalSelfAttention.forward": heads_variants.fused,
        "rotate": rotate,
        "cached_attention": cached,
        "grouped_attention": lambda q, k, v, mask=None: cached(q, *repeated(q, k, v), mask),
    }


@variant("2.ladder")
def complex_and_head_by_head() -> Patches:
    """Rotation by complex numbers, one head after the other."""

    def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        halves = x.reshape(*x.shape[:-1], 2, -1)
        turned = torch.complex(halves[..., 0, :], halves[..., 1, :]) * torch.complex(cos, sin).unsqueeze(1)
        return torch.cat([turned.real, turned.imag], dim=-1)

    def grouped(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
        N = q.shape[1] // k.shape[1]
        found = []
        for h in range(q.shape[1]):
            one = mask if mask is None or mask.dim() < 4 or mask.shape[1] == 1 else mask[:, h : h + 1]
            found.append(attend(q[:, h : h + 1], k[:, h // N, None], v[:, h // N, None], one))
        return torch.cat(found, dim=1)

    return {"rotate": rotate, "grouped_attention": grouped}
