"""2.ladder: decoders that are wrong in one place, each of which the ladder must refuse."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step2_model import model_solution as course
from step2_model.mistakes import heads
from step2_model.mistakes.gpt2 import Patches

Mask = Tensor | None


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None, *, width: int | None = None) -> Tensor:
    """Return attention written out; `width` is what the root is taken of, the keys' own unless given."""
    T, S = q.shape[-2], k.shape[-2]
    scores = q @ k.mT / math.sqrt(width or q.shape[-1])
    mask = course.causal_mask(T, S) if mask is None else mask
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v


def repeated(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return keys and values with every head repeated for its group of neighbors."""
    N = q.shape[1] // k.shape[1]
    return k.repeat_interleave(N, dim=1), v.repeat_interleave(N, dim=1)


@mistake("2.ladder")
def heads_dealt_out() -> Patches:
    """Your query heads are dealt out over the key/value heads like cards: head h reads head h mod G. In a
    GQA model neighbors share, head h reads h // (H/G); with G = H or G = 1 nobody would notice.
    """

    def grouped(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
        N = q.shape[1] // k.shape[1]
        return attend(q, k.repeat(1, N, 1, 1), v.repeat(1, N, 1, 1), mask)

    return {"grouped_attention": grouped}


@mistake("2.ladder")
def scaled_by_values() -> Patches:
    """Your grouped attention divides by the root of the values' width. It is the keys' width that makes
    scores large; the two are equal in GQA and differ where MLA is read as multi-query attention.
    """

    def grouped(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
        return attend(q, *repeated(q, k, v), mask, width=v.shape[-1])

    return {"grouped_attention": grouped}


@mistake("2.ladder")
def one_group_for_all() -> Patches:
    """All your query heads read the first key/value head: what is right for multi-query attention alone."""

    def grouped(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
        return attend(q, k[:, :1], v[:, :1], mask)

    return {"grouped_attention": grouped}


@mistake("2.ladder")
def chunks_aligned_left() -> Patches:
    """In your attention over a cache the first of several new queries is aligned with the first key, so that
    the last chunk of a prompt reads only its beginning.
    """

    def cached(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
        T, S = q.shape[-2], k.shape[-2]
        if mask is None and T > 1:
            mask = torch.ones(T, S, dtype=torch.bool).tril()
        return course.cached_attention(q, k, v, mask)

    return {"cached_attention": cached}


@mistake("2.ladder")
def chunks_see_the_future() -> Patches:
    """In your attention over a cache nothing is hidden where there is a past: within a chunk of several
    tokens each reads those after it.
    """

    def cached(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None) -> Tensor:
        T, S = q.shape[-2], k.shape[-2]
        everything = torch.ones(T, S, dtype=torch.bool)
        return course.cached_attention(q, k, v, everything if mask is None and T < S else mask)

    return {"cached_attention": cached}


@mistake("2.ladder")
def neighbors_rotated() -> Patches:
    """Your rotation pairs feature 2i with 2i + 1. It is a rotation, and every rung holds; but weights trained
    with halves, as all of this course's are, mean another function then.
    """

    def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        a, b, cos, sin = x[..., ::2], x[..., 1::2], cos.unsqueeze(1), sin.unsqueeze(1)
        return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)

    return {"rotate": rotate}


@mistake("2.ladder")
def frequencies_from_one() -> Patches:
    """Your frequencies begin at i = 1: the first pair, which should turn by one radian for each position,
    turns too slowly, and all others, too.
    """

    def rope_at(positions: Tensor, dim: int, theta: float = 10_000.0) -> Any:
        frequencies = theta ** -(torch.arange(2, dim + 2, 2).float() / dim)
        angles = positions.unsqueeze(-1).float() * frequencies
        return angles.cos(), angles.sin()

    return {"rope_at": rope_at}


@mistake("2.ladder")
def forgets_when_it_grows() -> Patches:
    """Your cache starts anew when its storage is full: the past is not copied into the larger one."""

    def append(self: Any, k: Tensor, v: Tensor) -> None:
        is_full = self.k is not None and self.length + k.shape[-2] > self.k.shape[-2]
        course.KVCache.append(self, k, v)
        if is_full:
            old = self.length - k.shape[-2]
            self.k[..., :old, :] = 0.0
            self.v[..., :old, :] = 0.0

    return {"KVCache.append": append}


@mistake("2.ladder")
def positions_restart() -> Patches:
    """With a cache your decoder counts positions from 0 again: new tokens get the rotation of the first
    ones.
    """

    def forward(self: Any, ids: Tensor, labels: Any = None, cache: Any = None, padding: Any = None) -> Any:
        start = 0 if cache is None else len(cache[0])
        _, mask = self.place(ids, start, padding)
        rope, _ = self.place(ids, 0, padding)
        x = self.embed_tokens(ids)
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, mask, None if cache is None else cache[i])
        return course.ModelOutput(self.lm_head(self.norm(x)), None, None)

    return {"Transformer.forward": forward}


@mistake("2.ladder")
def multi_head_interleaved() -> Patches:
    """The heads of your attention of part one take every H-th feature; grouped attention's own D features
    in a row.
    """
    return {"CausalSelfAttention.forward": heads.interleaved_heads}
