"""2.llama: decoders that are wrong in one place, each of which the milestone must refuse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake
from step2_model import model_solution as reference

Patches = dict[str, Callable[..., Any]]


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbors (2i, 2i + 1) in place of halves."""
    a, b = x[..., 0::2], x[..., 1::2]
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


@mistake("2.llama")
def neighbors_paired() -> Patches:
    """Your rotation pairs neighbors (2i, 2i + 1); Llama's weights in `transformers` are laid out for i with
    i + D/2.
    """
    return {"rotate": turn}


@mistake("2.llama")
def turned_backward() -> Patches:
    """Your rotation turns the wrong way. Queries and keys turn alike, so this shows only beside weights that
    were trained with the other direction.
    """
    return {"rotate": lambda x, cos, sin: reference.rotate(x, cos, -sin)}


@mistake("2.llama")
def not_rotated() -> Patches:
    """Your queries and keys are not rotated: the model does not know the order of its tokens."""
    return {"rotate": lambda x, cos, sin: x}


@mistake("2.llama")
def values_rotated() -> Patches:
    """Your values are rotated as well as queries and keys. What a position hands over would then depend on
    where it stands; positions belong in the scores alone.
    """

    def forward(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        def heads(projection: Any) -> Tensor:
            y = projection(x)
            return reference.rotate(y.unflatten(-1, (-1, self.args.head_dim)).transpose(1, 2), *rope)

        q, k, v = heads(self.q_proj), heads(self.k_proj), heads(self.v_proj)
        if cache is not None:
            cache.append(k, v)
            k, v = cache.read()
        out: Tensor = self.o_proj(reference.grouped_attention(q, k, v, mask).transpose(1, 2).flatten(2))
        return out

    return {"GroupedQueryAttention.forward": forward}


@mistake("2.llama")
def frequencies_too_close() -> Patches:
    """Your pair i turns by θ^(-i/D); Llama's by θ^(-2i/D)."""
    return {"rope_at": lambda positions, dim, theta=10_000.0: reference.rope_at(positions, dim, theta**0.5)}


@mistake("2.llama")
def theta_fixed() -> Patches:
    """Your angles rest on θ = 10,000 whatever the configuration says."""
    return {"rope_at": lambda positions, dim, theta=10_000.0: reference.rope_at(positions, dim)}


@mistake("2.llama")
def positions_restart() -> Patches:
    """Your positions begin at 0 again for every piece read with a cache."""

    def rope_at(positions: Tensor, dim: int, theta: float = 10_000.0) -> Any:
        return reference.rope_at(positions - positions[:, :1], dim, theta)

    return {"rope_at": rope_at}


def normed(self: Any, x: Tensor, eps: float) -> Tensor:
    """Return RMSNorm with this eps."""
    normalized: Tensor = self.weight * x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)
    return normalized


@mistake("2.llama")
def mean_subtracted() -> Patches:
    """Your norm subtracts the mean, which is LayerNorm."""
    return {"RMSNorm.forward": lambda self, x: normed(self, x - x.mean(dim=-1, keepdim=True), self.eps)}


@mistake("2.llama")
def gain_forgotten() -> Patches:
    """Your norm does not apply its gain."""
    return {"RMSNorm.forward": lambda self, x: normed(self, x, self.eps) / self.weight}


@mistake("2.llama")
def eps_outside() -> Patches:
    """Your norm adds eps outside the root. Where activations are small eps decides the result."""

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.weight * x / (x.square().mean(dim=-1, keepdim=True).sqrt() + self.eps)

    return {"RMSNorm.forward": forward}


@mistake("2.llama")
def eps_fixed() -> Patches:
    """Your norm has an eps of 1e-6 whatever the configuration says."""
    return {"RMSNorm.forward": lambda self, x: normed(self, x, 1e-6)}


@mistake("2.llama")
def gate_and_up_swapped() -> Patches:
    """Your feed-forward layer bends what `up_proj` returns; Llama bends the gate."""
    return {
        "SwiGLU.forward": lambda self, x: self.down_proj(F.silu(self.up_proj(x)) * self.gate_proj(x)),
    }


@mistake("2.llama")
def gelu_in_the_gate() -> Patches:
    """Your gate is bent by GELU; Llama's by silu."""
    return {"SwiGLU.forward": lambda self, x: self.down_proj(F.gelu(self.gate_proj(x)) * self.up_proj(x))}


def over_repeated(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, repeats: Callable[..., Tensor]
) -> Tensor:
    """Return attention whose keys and values were repeated up to the number of query heads."""
    count = q.shape[1] // k.shape[1]
    return reference.cached_attention(q, repeats(k, count), repeats(v, count), mask)


@mistake("2.llama")
def heads_dealt_out() -> Patches:
    """Your query head h reads key/value head h mod G; Llama's neighbors share one, h // (H/G)."""

    def grouped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return over_repeated(q, k, v, mask, lambda t, count: t.repeat(1, count, 1, 1))

    return {"grouped_attention": grouped_attention}


@mistake("2.llama")
def scaled_by_model_width() -> Patches:
    """Your scores are divided by √C in place of √D."""

    def grouped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return reference.grouped_attention(q / math.sqrt(q.shape[1]), k, v, mask)

    return {"grouped_attention": grouped_attention}


@mistake("2.llama")
def future_read() -> Patches:
    """Your attention does not hide the future."""

    def grouped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        everything = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool)
        return reference.grouped_attention(q, k, v, everything)

    return {"grouped_attention": grouped_attention}


@mistake("2.llama")
def mask_from_the_first_key() -> Patches:
    """Your mask lets query t read keys 0 to t even where a cache holds a past: new tokens see almost none of
    it.
    """

    def grouped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        corner = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
        return reference.grouped_attention(q, k, v, corner if mask is None else mask)

    return {"grouped_attention": grouped_attention}


@mistake("2.llama")
def first_key_lost() -> Patches:
    """Your cache overwrites the position that it wrote last: each piece costs one token of the past."""

    def append(self: Any, k: Tensor, v: Tensor) -> None:
        reference.KVCache.append(self, k, v)
        self.length -= 1

    def read(self: Any) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.k[..., : self.length + 1, :], self.v[..., : self.length + 1, :]
        return found

    return {"KVCache.append": append, "KVCache.read": read}


@mistake("2.llama")
def post_norm() -> Patches:
    """Your blocks normalize after adding; Llama normalizes what each part reads."""

    def forward(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        x = self.input_layernorm(x + self.self_attn(x, rope, mask, cache))
        normalized: Tensor = self.post_attention_layernorm(x + self.mlp(x))
        return normalized

    return {"DecoderBlock.forward": forward}


@mistake("2.llama")
def parallel() -> Patches:
    """Your feed-forward layers work beside attention; Llama's read what attention has brought."""

    def forward(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        attended = self.self_attn(self.input_layernorm(x), rope, mask, cache)
        return x + attended + self.mlp(self.post_attention_layernorm(x))

    return {"DecoderBlock.forward": forward}


@mistake("2.llama")
def one_norm_for_both() -> Patches:
    """Your blocks use `input_layernorm` before both parts."""

    def forward(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache)
        return x + self.mlp(self.input_layernorm(x))

    return {"DecoderBlock.forward": forward}
