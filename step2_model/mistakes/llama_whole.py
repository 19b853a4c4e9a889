"""2.llama, continued: what goes wrong in the whole decoder, and right decoders in another style."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model import model_solution as reference
from step2_model.mistakes.llama import Patches


def decode(
    self: Any,
    ids: Tensor,
    cache: Any = None,
    last: int | None = None,
    normed: bool = True,
    tied: bool | None = None,
    scale: float = 1.0,
) -> reference.ModelOutput:
    """Return what a decoder returns, in which one thing may be another."""
    rope, mask = self.place(ids, 0 if cache is None else len(cache[0]), None)
    x = self.embed_tokens(ids) * scale
    for i, layer in enumerate(self.layers[:last]):
        x = layer(x, rope, mask, None if cache is None else cache[i])
    x = self.norm(x) if normed else x
    is_tied = self.lm_head is None if tied is None else tied
    head = self.embed_tokens.weight if is_tied or self.lm_head is None else self.lm_head.weight
    return reference.ModelOutput(x @ head.T, None, None)


@mistake("2.llama")
def no_final_norm() -> Patches:
    """Your decoder has no final norm."""
    return {
        "Transformer.forward": lambda self, ids, labels=None, cache=None, padding=None: decode(
            self, ids, cache, normed=False
        )
    }


@mistake("2.llama")
def last_layer_skipped() -> Patches:
    """Your decoder skips its last layer."""
    return {
        "Transformer.forward": lambda self, ids, labels=None, cache=None, padding=None: decode(
            self, ids, cache, last=-1
        )
    }


@mistake("2.llama")
def head_always_tied() -> Patches:
    """Your decoder uses the embedding as its head also where there is an `lm_head`."""
    return {
        "Transformer.forward": lambda self, ids, labels=None, cache=None, padding=None: decode(
            self, ids, cache, tied=True
        )
    }


@mistake("2.llama")
def embedding_scaled() -> Patches:
    """Your decoder multiplies the token vectors by √C, as Gemma does and Llama does not."""
    return {
        "Transformer.forward": lambda self, ids, labels=None, cache=None, padding=None: decode(
            self, ids, cache, scale=math.sqrt(self.args.d_model)
        )
    }


@mistake("2.llama")
def one_cache_for_all() -> Patches:
    """Your layers all write into the first layer's cache, and read each other's keys."""

    def forward(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
        return decode(self, ids, None if cache is None else [cache[0]] * len(cache))

    return {"Transformer.forward": forward}


@variant("2.llama")
def keys_repeated() -> Patches:
    """Keys and values repeated for their query heads, attention written out with an additive mask."""

    def cached_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = torch.einsum("bhtd,bhsd->bhts", q, k) * q.shape[-1] ** -0.5
        allowed = reference.causal_mask(q.shape[-2], k.shape[-2]) if mask is None else mask
        return (scores + torch.zeros(allowed.shape).masked_fill(~allowed, -1e30)).softmax(dim=-1) @ v

    def grouped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        count = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(count, dim=1), v.repeat_interleave(count, dim=1)
        return cached_attention(q, k, v, mask)

    return {"cached_attention": cached_attention, "grouped_attention": grouped_attention}


@variant("2.llama")
def complex_numbers() -> Patches:
    """Rotation as multiplication by complex numbers, norms by `F.rms_norm`, one product for gate and up."""

    def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        turned = torch.complex(a, b) * torch.complex(cos, sin).unsqueeze(1)
        return torch.cat([turned.real, turned.imag], dim=-1)

    def swiglu(self: Any, x: Tensor) -> Tensor:
        both = F.linear(x, torch.cat([self.gate_proj.weight, self.up_proj.weight]))
        gate, up = both.chunk(2, dim=-1)
        out: Tensor = self.down_proj(gate * gate.sigmoid() * up)
        return out

    return {
        "rotate": rotate,
        "SwiGLU.forward": swiglu,
        "RMSNorm.forward": lambda self, x: F.rms_norm(x, x.shape[-1:], self.weight, self.eps),
    }


@variant("2.llama")
def growing_caches() -> Patches:
    """A cache that concatenates, heads looped over one by one."""

    def append(self: Any, k: Tensor, v: Tensor) -> None:
        reference.GrowingCache.append(self, k, v)
        self.length = self.k.shape[-2]

    def grouped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        count = q.shape[1] // k.shape[1]
        heads = [
            reference.cached_attention(q[:, h : h + 1], k[:, g : g + 1], v[:, g : g + 1], mask)
            for h, g in ((h, h // count) for h in range(q.shape[1]))
        ]
        return torch.cat(heads, dim=1)

    return {
        "KVCache.append": append,
        "KVCache.read": lambda self: (self.k, self.v),
        "grouped_attention": grouped_attention,
    }
