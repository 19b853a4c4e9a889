"""2.11b, attention from latents: known mistakes with queries, keys and heads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from coursekit.probe import mistake
from step2_model.model_solution import causal_mask, rotate

Part = Callable[..., Any]
Rope = tuple[Tensor, Tensor]
Mask = Tensor | None


def remember(cache: Any, latent: Tensor, key: Tensor) -> Any:
    """Append what is kept of the new positions, if there is a cache, and return all that is kept."""
    if cache is None:
        return latent, key
    cache.append(latent, key)
    return cache.read()


def expand(self: Any, latent: Tensor) -> Any:
    """Return the plain keys (B, H, S, Dn) and the values (B, H, S, Dv)."""
    heads = rearrange(self.kv_b_proj(latent), "B S (H D) -> B H S D", H=self.args.n_heads)
    return heads.split([self.args.qk_nope_head_dim, self.args.v_head_dim], dim=-1)


def whole_query(plain: Tensor, rotary: Tensor) -> Tensor:
    """Put the two parts of the queries side by side."""
    return torch.cat([plain, rotary], dim=-1)


def whole_key(plain: Tensor, key: Tensor) -> Tensor:
    """Put the shared rotary key behind every head's plain one."""
    return torch.cat([plain, repeat(key, "B S D -> B H S D", H=plain.shape[1])], dim=-1)


def width(args: Any) -> float:
    """Return the width of a whole key, whose root divides the scores."""
    return float(args.qk_nope_head_dim + args.qk_rope_head_dim)


def hide(scores: Tensor, mask: Mask) -> Tensor:
    """Hide what may not be read."""
    readable = causal_mask(*scores.shape[-2:]) if mask is None else mask
    return scores.masked_fill(~readable, float("-inf"))


def merge(y: Tensor) -> Tensor:
    """Put the heads side by side."""
    return rearrange(y, "B H T D -> B T (H D)")


def attention(
    self: Any,
    x: Tensor,
    rope: Rope,
    mask: Mask,
    cache: Any,
    *,
    remember: Part = remember,
    expand: Part = expand,
    whole_query: Part = whole_query,
    whole_key: Part = whole_key,
    width: Part = width,
    hide: Part = hide,
    merge: Part = merge,
) -> Tensor:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    q = whole_query(*self.queries(x, rope))
    latent, key = remember(cache, *self.compress(x, rope))
    plain, v = expand(self, latent)
    scores = q @ whole_key(plain, key).mT / math.sqrt(width(self.args))
    out: Tensor = self.o_proj(merge(hide(scores, mask).softmax(dim=-1) @ v))
    return out


@mistake("2.11b")
def rotary_part_left_out(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are made of the plain parts alone: q_rotary and the shared key take no part. Nothing in
    them would know where a token stands.
    """

    def silent(plain: Tensor, key: Tensor) -> Tensor:
        return whole_key(plain, torch.zeros_like(key))

    return attention(self, x, rope, mask, cache, whole_key=silent)


@mistake("2.11b")
def plain_part_left_out(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are made of the rotary parts alone. What a token is stands in the plain keys, which are
    expanded from the latents.
    """

    def silent(plain: Tensor, key: Tensor) -> Tensor:
        return whole_key(torch.zeros_like(plain), key)

    return attention(self, x, rope, mask, cache, whole_key=silent)


@mistake("2.11b", called="Queries are laid out plain part first, keys rotary part first")
def parts_in_other_order(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your queries have the plain part first and your keys the rotary part first (or the other way round),
    so that plain features are multiplied with rotary ones. Either order is right if both have it.
    """

    def rotary_first(plain: Tensor, key: Tensor) -> Tensor:
        return torch.cat([repeat(key, "B S D -> B H S D", H=plain.shape[1]), plain], dim=-1)

    return attention(self, x, rope, mask, cache, whole_key=rotary_first)


@mistake("2.11b")
def key_for_first_head_alone(
    self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None
) -> Tensor:
    """Your rotary key reaches the first head only. All heads share it: repeat it H times, or let it
    broadcast over the heads.
    """

    def first(plain: Tensor, key: Tensor) -> Tensor:
        heads = torch.arange(plain.shape[1])[None, :, None, None]
        return torch.cat([plain, torch.where(heads == 0, key.unsqueeze(1), 0.0)], dim=-1)

    return attention(self, x, rope, mask, cache, whole_key=first)


@mistake("2.11b", called="The queries' rotary part is the first head's for all heads")
def one_rotary_query(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your heads share one rotary query. Only the key is shared: each head has a rotary query of its own,
    and so may look at another distance.
    """

    def shared(plain: Tensor, rotary: Tensor) -> Tensor:
        return torch.cat([plain, rotary[:, :1].expand(-1, plain.shape[1], -1, -1)], dim=-1)

    return attention(self, x, rope, mask, cache, whole_query=shared)


@mistake("2.11b", called="The queries' rotary part is rotated a second time")
def queries_rotated_again(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your rotary queries are rotated again: `self.queries` has done it already, and they stand at twice
    their position now.
    """

    def again(plain: Tensor, rotary: Tensor) -> Tensor:
        return torch.cat([plain, rotate(rotary, *rope)], dim=-1)

    return attention(self, x, rope, mask, cache, whole_query=again)


@mistake("2.11b", called="The new positions' rotary key is rotated a second time")
def key_rotated_again(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your rotary key is rotated again: `self.compress` has done it already. What is kept is rotated once,
    by its own position, and never touched again.
    """

    def again(c: Any, latent: Tensor, key: Tensor) -> Any:
        return remember(c, latent, rotate(key.unsqueeze(1), *rope).squeeze(1))

    return attention(self, x, rope, mask, cache, remember=again)


@mistake("2.11b", called="The values of the new positions are rotated")
def values_rotated(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your values are rotated: their last Dr features, as the queries' are. Positions belong in the scores
    alone: what a token hands over must not depend on where it stands.
    """

    def turned(s: Any, latent: Tensor) -> Any:
        plain, v = expand(s, latent)
        T, Dr = x.shape[1], s.args.qk_rope_head_dim
        new = torch.cat([v[..., -T:, :-Dr], rotate(v[..., -T:, -Dr:], *rope)], dim=-1)
        return plain, torch.cat([v[..., :-T, :], new], dim=-2)

    return attention(self, x, rope, mask, cache, expand=turned)


@mistake("2.11b", called="The whole matrix is cut into the keys of all heads, then the values of all heads")
def keys_then_values(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your code takes the first H · Dn outputs of kv_b_proj for the keys of all heads and the rest for the
    values. They are laid out head by head: Dn of key and Dv of value, then the next head. Split into heads
    first, then into key and value.
    """

    def halves(s: Any, latent: Tensor) -> Any:
        H, args = s.args.n_heads, s.args
        both = s.kv_b_proj(latent).split([H * args.qk_nope_head_dim, H * args.v_head_dim], dim=-1)
        return [rearrange(part, "B S (H D) -> B H S D", H=H) for part in both]

    return attention(self, x, rope, mask, cache, expand=halves)


@mistake("2.11b", called="In each head the value is taken first, then the key")
def values_first(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your code takes the first features of each head for the value and the rest for the key. The key
    comes first: Dn features of key, then Dv of value.
    """

    def swapped(s: Any, latent: Tensor) -> Any:
        heads = rearrange(s.kv_b_proj(latent), "B S (H D) -> B H S D", H=s.args.n_heads)
        v, plain = heads.split([s.args.v_head_dim, s.args.qk_nope_head_dim], dim=-1)
        return plain, v

    return attention(self, x, rope, mask, cache, expand=swapped)


@mistake("2.11b", called="The expanded heads take every H-th feature")
def interleaved_heads(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your heads take every H-th output of kv_b_proj. Head h owns Dn + Dv outputs in a row: split the
    outputs as (H D), not as (D H).
    """

    def every(s: Any, latent: Tensor) -> Any:
        heads = rearrange(s.kv_b_proj(latent), "B S (D H) -> B H S D", H=s.args.n_heads)
        return heads.split([s.args.qk_nope_head_dim, s.args.v_head_dim], dim=-1)

    return attention(self, x, rope, mask, cache, expand=every)
