"""2.3d, heads side by side: known mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake
from step2_model.model_solution import apply_causal_mask, attend, attention_scores

Part = Callable[..., Any]


def project(self: Any, x: Tensor) -> Any:
    """Return q, k and v, each (B, T, C)."""
    return self.c_attn(x).chunk(3, dim=-1)


def split(self: Any, t: Tensor) -> Tensor:
    """Split (B, T, C) into heads (B, H, T, D)."""
    return rearrange(t, "B T (H D) -> B H T D", H=self.n_head)


def remember(cache: Any, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Append the new keys and values to the cache, if there is one, and return all of them."""
    if cache is None:
        return k, v
    cache.append(k, v)
    keys, values = cache.read()
    return keys, values


def mix(self: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Score, mask and mix."""
    return attend(apply_causal_mask(attention_scores(q, k)), v, self.attn_dropout)


def merge(y: Tensor) -> Tensor:
    """Put the heads side by side again."""
    return rearrange(y, "B H T D -> B T (H D)")


def finish(self: Any, y: Tensor) -> Tensor:
    """Project the merged heads and drop out."""
    out: Tensor = self.resid_dropout(self.c_proj(y))
    return out


def attention(
    self: Any,
    x: Tensor,
    cache: Any,
    project: Part = project,
    split: Part = split,
    remember: Part = remember,
    mix: Part = mix,
    merge: Part = merge,
    finish: Part = finish,
) -> Tensor:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    q, k, v = (split(self, t) for t in project(self, x))
    k, v = remember(cache, k, v)
    out: Tensor = finish(self, merge(mix(self, q, k, v)))
    return out


@mistake("2.3d")
def one_head(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention works with a single head of width C. With H heads each looks somewhere else; one
    head has one set of weights for all features.
    """
    return attention(self, x, cache, split=lambda _, t: t.unsqueeze(1))


@mistake("2.3d")
def split_by_view(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your heads are cut out with view(B, H, T, D) straight from (B, T, C): that keeps the order in
    memory and mixes positions and features. Split the last dimension first, (B, T, H, D), then swap T
    and H.
    """
    return attention(self, x, cache, split=lambda s, t: t.reshape(t.shape[0], s.n_head, t.shape[1], -1))


@mistake("2.3d", called="The heads take every H-th feature, at the split and again at the merge")
def interleaved_heads(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your heads take every H-th feature: head h owns h, h + H, h + 2H ... It owns D features in a row,
    h·D to (h+1)·D: split C as (H D), not as (D H).
    """
    return attention(
        self,
        x,
        cache,
        split=lambda s, t: rearrange(t, "B T (D H) -> B H T D", H=s.n_head),
        merge=lambda y: rearrange(y, "B H T D -> B T (D H)"),
    )


@mistake("2.3d", called="The features are split as (D H), but merged as (H D)")
def interleaved_split(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your features are split as (D H): head h takes every H-th feature. It owns D features in a row,
    h·D to (h+1)·D: split C as (H D).
    """
    return attention(self, x, cache, split=lambda s, t: rearrange(t, "B T (D H) -> B H T D", H=s.n_head))


@mistake("2.3d", called="The features are split as (H D), but merged as (D H)")
def interleaved_merge(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your heads are merged as (D H), features first: c_proj expects head 0's D features, then head
    1's. Merge as (H D).
    """
    return attention(self, x, cache, merge=lambda y: rearrange(y, "B H T D -> B T (D H)"))


@mistake("2.3d")
def merged_without_transpose(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your heads are merged with reshape(B, T, C) straight from (B, H, T, D): that mixes positions and
    heads. Swap H and T back first, then join H and D.
    """
    return attention(self, x, cache, merge=lambda y: y.reshape(y.shape[0], y.shape[2], -1))


@mistake("2.3d")
def per_head_projections(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your 3C features are split into heads first and into q, k, v inside each head. The first C
    features are all queries, the next C all keys, the last C all values: cut into three, then into
    heads.
    """
    parts = rearrange(self.c_attn(x), "B T (H three D) -> three B T (H D)", three=3, H=self.n_head)
    return attention(self, x, cache, project=lambda s, _: parts)


@mistake("2.3d")
def interleaved_projections(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your q, k, v take turns feature by feature. The first C features are all queries, the next C all
    keys, the last C all values.
    """
    parts = rearrange(self.c_attn(x), "B T (C three) -> three B T C", three=3)
    return attention(self, x, cache, project=lambda s, _: parts)


def ordered(self: Any, x: Tensor, cache: Any, order: tuple[int, int, int]) -> Tensor:
    """Run attention with the three projections taken in another order."""

    def project(s: Any, t: Tensor) -> Any:
        parts = s.c_attn(t).chunk(3, dim=-1)
        return [parts[i] for i in order]

    return attention(self, x, cache, project=project)


@mistake("2.3d")
def keys_first(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your queries and keys are swapped: of c_attn's 3C features the first C are queries, the next C
    keys, the last C values.
    """
    return ordered(self, x, cache, (1, 0, 2))


@mistake("2.3d")
def values_before_keys(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your keys and values are swapped: of c_attn's 3C features the first C are queries, the next C
    keys, the last C values.
    """
    return ordered(self, x, cache, (0, 2, 1))


@mistake("2.3d")
def values_first(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your queries, keys and values come in the order v, k, q. Of c_attn's 3C features the first C are
    queries, the next C keys, the last C values.
    """
    return ordered(self, x, cache, (2, 1, 0))


@mistake("2.3d")
def keys_as_values(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention mixes the keys: it uses k where v belongs. What a position is found by and what it
    has to say are two different projections.
    """
    return ordered(self, x, cache, (0, 1, 1))
