"""2.deepseek: decoders with latent attention that is wrong in one place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from coursekit.probe import mistake
from step2_model import model_solution as reference
from step2_model.mistakes.llama import Patches

Pair = tuple[Tensor, Tensor]


def cut(self: Any, latent: Tensor) -> Pair:
    """Return keys and values of all heads, expanded as DeepSeek's weights want it."""
    widths = [self.args.qk_nope_head_dim, self.args.v_head_dim]
    expanded = rearrange(self.kv_b_proj(latent), "B S (H D) -> B H S D", H=self.args.n_heads)
    plain, value = expanded.split(widths, dim=-1)
    return plain, value


def shared(self: Any, key: Tensor) -> Tensor:
    """Return the rotary key once for every head."""
    return repeat(key, "B S D -> B H S D", H=self.args.n_heads)


def joined(plain: Tensor, rotary: Tensor) -> Tensor:
    return torch.cat([plain, rotary], dim=-1)


def latent_attention(
    expand: Callable[[Any, Tensor], Pair] = cut,
    share: Callable[[Any, Tensor], Tensor] = shared,
    join: Callable[[Tensor, Tensor], Tensor] = joined,
    scale: Callable[[Any], float] = lambda args: 1.0,
    keep: Callable[[Any, Tensor, Tensor, Any, Any], Pair] | None = None,
) -> Patches:
    """Return MLA with one of its parts exchanged."""

    def forward(self: Any, x: Tensor, rope: Any, mask: Any = None, cache: Any = None) -> Tensor:
        q = joined(*self.queries(x, rope)) * scale(self.args)
        latent, key = self.compress(x, rope)
        if keep is not None:
            latent, key = keep(self, latent, key, rope, cache)
        elif cache is not None:
            cache.append(latent, key)
            latent, key = cache.read()
        plain, value = expand(self, latent)
        y = reference.cached_attention(q, join(plain, share(self, key)), value, mask)
        out: Tensor = self.o_proj(rearrange(y, "B H T D -> B T (H D)"))
        return out

    return {"MLA.forward": forward}


def compressed(
    key_of: Callable[[Tensor, Any], Tensor] = lambda key, rope: rotated(key, rope),
    latent_of: Callable[[Any, Tensor], Tensor] = lambda self, latent: self.kv_a_layernorm(latent),
    key_first: bool = False,
) -> Patches:
    """Return `compress` with one of its parts exchanged."""

    def compress(self: Any, x: Tensor, rope: Any) -> Pair:
        both = self.kv_a_proj_with_mqa(x)
        widths = [self.args.kv_lora_rank, self.args.qk_rope_head_dim]
        if key_first:
            key, latent = both.split(widths[::-1], dim=-1)
        else:
            latent, key = both.split(widths, dim=-1)
        return latent_of(self, latent), key_of(key, rope)

    return {"MLA.compress": compress}


def rotated(key: Tensor, rope: Any) -> Tensor:
    return reference.rotate(key.unsqueeze(1), *rope).squeeze(1)


@mistake("2.deepseek")
def latent_not_normalized() -> Patches:
    """Your latent is not normalized: `kv_a_layernorm` is not applied."""
    return compressed(latent_of=lambda self, latent: latent)


@mistake("2.deepseek")
def key_not_rotated() -> Patches:
    """Your shared key is not rotated, while the queries are: distances count for nothing."""
    return compressed(key_of=lambda key, rope: key)


@mistake("2.deepseek")
def key_normalized() -> Patches:
    """Your rotary key is brought to a root mean square of 1; only the latent is normalized."""

    def key_of(key: Tensor, rope: Any) -> Tensor:
        return rotated(key * torch.rsqrt(key.square().mean(dim=-1, keepdim=True) + 1e-6), rope)

    return compressed(key_of=key_of)


@mistake("2.deepseek")
def key_before_latent() -> Patches:
    """Your `compress` takes the key from the first outputs; the latent comes first there."""
    return compressed(key_first=True)


@mistake("2.deepseek")
def scaled_by_plain_width() -> Patches:
    """Your scores are divided by √Dn; a query has Dn + Dr features, so it is √(Dn + Dr)."""
    return latent_attention(scale=lambda args: math.sqrt(1 + args.qk_rope_head_dim / args.qk_nope_head_dim))


@mistake("2.deepseek")
def scaled_by_latent_width() -> Patches:
    """Your scores are divided by √(R + Dr), the width of what is cached; the heads are Dn + Dr wide."""

    def scale(args: Any) -> float:
        wide = args.kv_lora_rank + args.qk_rope_head_dim
        return math.sqrt((args.qk_nope_head_dim + args.qk_rope_head_dim) / wide)

    return latent_attention(scale=scale)


@mistake("2.deepseek")
def values_before_keys() -> Patches:
    """Your expansion takes the value of a head before its key; `kv_b_proj` has Dn features of key first."""

    def expand(self: Any, latent: Tensor) -> Pair:
        widths = [self.args.v_head_dim, self.args.qk_nope_head_dim]
        expanded = rearrange(self.kv_b_proj(latent), "B S (H D) -> B H S D", H=self.args.n_heads)
        value, plain = expanded.split(widths, dim=-1)
        return plain, value

    return latent_attention(expand=expand)


@mistake("2.deepseek")
def heads_interleaved() -> Patches:
    """Your expansion gives head h every H-th feature; each head owns Dn + Dv in a row."""

    def expand(self: Any, latent: Tensor) -> Pair:
        widths = [self.args.qk_nope_head_dim, self.args.v_head_dim]
        expanded = rearrange(self.kv_b_proj(latent), "B S (D H) -> B H S D", H=self.args.n_heads)
        plain, value = expanded.split(widths, dim=-1)
        return plain, value

    return latent_attention(expand=expand)


@mistake("2.deepseek")
def all_keys_before_all_values() -> Patches:
    """Your expansion looks for the keys of all heads first and the values of all heads after; `kv_b_proj` has
    key and value of one head side by side.
    """

    def expand(self: Any, latent: Tensor) -> Pair:
        H, expanded = self.args.n_heads, self.kv_b_proj(latent)
        keys, values = expanded.split([H * self.args.qk_nope_head_dim, H * self.args.v_head_dim], dim=-1)
        heads = "B S (H D) -> B H S D"
        return rearrange(keys, heads, H=H), rearrange(values, heads, H=H)

    return latent_attention(expand=expand)


@mistake("2.deepseek")
def rotary_part_first() -> Patches:
    """Your keys have the rotary part in front and your queries at the end: they are multiplied with each
    other's other half.
    """
    return latent_attention(join=lambda plain, rotary: torch.cat([rotary, plain], dim=-1))


@mistake("2.deepseek")
def key_for_one_head() -> Patches:
    """Your rotary key reaches the first head alone; all heads share it."""

    def share(self: Any, key: Tensor) -> Tensor:
        rest = torch.zeros_like(key).unsqueeze(1).expand(-1, self.args.n_heads - 1, -1, -1)
        return torch.cat([key.unsqueeze(1), rest], dim=1)

    return latent_attention(share=share)
