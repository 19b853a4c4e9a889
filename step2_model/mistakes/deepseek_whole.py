"""2.deepseek, continued: the past, positions and the decoder around latent attention; and what is right."""

from __future__ import annotations

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model import model_solution as reference
from step2_model.mistakes.deepseek import Pair, cut, latent_attention
from step2_model.mistakes.llama import Patches, normed, turn
from step2_model.mistakes.llama_whole import decode


@mistake("2.deepseek")
def past_normalized_again() -> Patches:
    """Your latents are normalized once more when they come back from the cache."""

    def keep(self: Any, latent: Tensor, key: Tensor, rope: Any, cache: Any) -> Pair:
        if cache is None:
            return latent, key
        cache.append(latent, key)
        latent, key = cache.read()
        return self.kv_a_layernorm(latent), key

    return latent_attention(keep=keep)


@mistake("2.deepseek")
def past_forgotten() -> Patches:
    """Your attention fills the cache and goes on with the new positions alone."""

    def keep(self: Any, latent: Tensor, key: Tensor, rope: Any, cache: Any) -> Pair:
        if cache is not None:
            cache.append(latent, key)
        return latent, key

    return latent_attention(keep=keep)


@mistake("2.deepseek")
def past_keys_at_zero() -> Patches:
    """Your positions begin at 0 again for every piece read with a cache."""

    def rope_at(positions: Tensor, dim: int, theta: float = 10_000.0) -> Any:
        return reference.rope_at(positions - positions[:, :1], dim, theta)

    return {"rope_at": rope_at}


@mistake("2.deepseek")
def neighbors_paired() -> Patches:
    """Your rotation pairs neighbors, as DeepSeek's own code does; these weights are laid out for halves."""
    return {"rotate": turn}


@mistake("2.deepseek")
def frequencies_of_the_whole_head() -> Patches:
    """Your frequencies count in the width Dn + Dr of the whole head; only Dr of them are rotated."""

    def rope_at(positions: Tensor, dim: int, theta: float = 10_000.0) -> Any:
        return reference.rope_at(positions, dim, theta ** (dim / (dim + 7)))

    return {"rope_at": rope_at}


@mistake("2.deepseek")
def future_read() -> Patches:
    """Your attention does not hide the future."""

    def cached_attention(q: Tensor, k: Tensor, v: Tensor, mask: Any = None) -> Tensor:
        return reference.cached_attention(q, k, v, torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool))

    return {"cached_attention": cached_attention}


@mistake("2.deepseek")
def mask_from_the_first_key() -> Patches:
    """Your mask lets query t read keys 0 to t even where a cache holds a past."""

    def cached_attention(q: Tensor, k: Tensor, v: Tensor, mask: Any = None) -> Tensor:
        corner = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
        return reference.cached_attention(q, k, v, corner)

    return {"cached_attention": cached_attention}


@mistake("2.deepseek")
def eps_forgotten() -> Patches:
    """Your norm has no eps. Where activations are small it decides the result."""
    return {"RMSNorm.forward": lambda self, x: normed(self, x, 0.0)}


@mistake("2.deepseek")
def no_final_norm() -> Patches:
    """Your decoder has no final norm."""
    return {
        "Transformer.forward": lambda self, ids, labels=None, cache=None, padding=None: decode(
            self, ids, cache, normed=False
        )
    }


@variant("2.deepseek")
def two_products() -> Patches:
    """Plain and rotary scores computed apart and added, the rotary key never repeated."""

    def forward(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        q_plain, q_rotary = self.queries(x, rope)
        latent, key = self.compress(x, rope)
        if cache is not None:
            cache.append(latent, key)
            latent, key = cache.read()
        plain, value = cut(self, latent)
        scores = q_plain @ plain.mT + q_rotary @ key.mT.unsqueeze(1)
        scores = scores / math.sqrt(self.args.qk_nope_head_dim + self.args.qk_rope_head_dim)
        allowed = reference.causal_mask(*scores.shape[-2:]) if mask is None else mask
        y = scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1) @ value
        out: Tensor = self.o_proj(rearrange(y, "B H T D -> B T (H D)"))
        return out

    return {"MLA.forward": forward}


@variant("2.deepseek")
def in_float64() -> Patches:
    """Attention and norms in float64, rotation by complex numbers."""

    def cached_attention(q: Tensor, k: Tensor, v: Tensor, mask: Any = None) -> Tensor:
        wide = reference.cached_attention(q.double(), k.double(), v.double(), mask)
        return wide.float()

    def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        turned = torch.complex(a, b) * torch.complex(cos, sin).unsqueeze(1)
        return torch.cat([turned.real, turned.imag], dim=-1)

    return {
        "cached_attention": cached_attention,
        "rotate": rotate,
        "RMSNorm.forward": lambda self, x: normed(self, x.double(), self.eps).float(),
    }
