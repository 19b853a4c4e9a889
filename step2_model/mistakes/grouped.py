"""2.9, shared keys and values: known mistakes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

from coursekit.probe import mistake
from step2_model.model_solution import cached_attention, causal_mask


def mask_of(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mask that is given, or the causal one for the last T of S positions."""
    return causal_mask(q.shape[-2], k.shape[-2]) if mask is None else mask


def grouped(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    split: str = "B (G N) T D -> B G (N T) D",
    merge: str = "B G (N T) Dv -> B (G N) T Dv",
    rows: str = "... T S -> ... (N T) S",
    scale: float | None = None,
) -> Tensor:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    sizes = {"N": q.shape[1] // k.shape[1]}
    mask = repeat(mask_of(q, k, mask), rows, **sizes)
    y = F.scaled_dot_product_attention(rearrange(q, split, **sizes), k, v, attn_mask=mask, scale=scale)
    return rearrange(y, merge, T=q.shape[2], **sizes)


@mistake("2.9")
def tiled(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your query heads take turns: head h reads key/value head h % G, as `repeat` (or splitting the heads as
    (N G)) would have it. Neighbors share: head h reads head h // (H/G), as repeat_interleave has it. Weights
    that others trained would meet the wrong keys.
    """
    return grouped(q, k, v, mask, split="B (N G) T D -> B G (N T) D", merge="B G (N T) Dv -> B (N G) T Dv")


@mistake("2.9")
def tiled_queries(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your query heads are split as (N G), but put back as (G N): they read each other's keys and values, and
    their results end up in other places. Split and merge alike, groups first.
    """
    return grouped(q, k, v, mask, split="B (N G) T D -> B G (N T) D")


@mistake("2.9")
def tiled_merge(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your results are put back as (N G): every head has read the right keys, and then its result lands in
    another head's place. Merge as you split, groups first.
    """
    return grouped(q, k, v, mask, merge="B G (N T) Dv -> B (N G) T Dv")


@mistake("2.9")
def first_head_only(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your queries all read key/value head 0. That is multi-query attention with the other heads idle:
    every group of queries has a head of its own.
    """
    return grouped(q, k[:, :1], v[:, :1], mask)


@mistake("2.9")
def first_values_only(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your groups score against their own keys, but all of them mix the values of head 0: v is grouped as k
    is.
    """
    return grouped(q, k, v[:, :1].expand_as(v), mask)


@mistake("2.9")
def plain_rows(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your stacked rows go to `cached_attention` without a mask. It takes them for N·T positions and makes a
    causal mask for those; they are T positions, N times. Make the mask first, and repeat its rows.
    """
    rows = rearrange(q, "B (G N) T D -> B G (N T) D", G=k.shape[1])
    if mask is not None:
        mask = repeat(mask, "... T S -> ... (N T) S", N=q.shape[1] // k.shape[1])
    y = F.scaled_dot_product_attention(
        rows, k, v, attn_mask=mask, is_causal=mask is None and rows.shape[2] > 1
    )
    return rearrange(y, "B G (N T) D -> B (G N) T D", T=q.shape[2])


@mistake("2.9")
def mask_rows_in_turn(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your mask repeats every row N times in a row, (T N), while the queries stand as (N T): position by
    position against head by head. Most queries get the mask of another position.
    """
    return grouped(q, k, v, mask, rows="... T S -> ... (T N) S")


@mistake("2.9")
def split_positions_first(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your rows are taken apart as (T N) where they were stacked as (N T): heads and positions change
    places. Take apart what you stacked, in the same order.
    """
    return grouped(q, k, v, mask, merge="B G (T N) Dv -> B (G N) T Dv")


@mistake("2.9")
def no_causal_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your queries read the future: without a mask given, several queries need the causal one. (One query
    alone needs none: it is the last.)
    """
    return grouped(q, k, v, torch.ones_like(mask_of(q, k, None)) if mask is None else mask)


@mistake("2.9")
def aligned_at_the_start(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your causal mask puts query 0 at position 0. With a past the queries are the *last* T of S positions:
    query t stands at S - T + t.
    """
    T, S = q.shape[2], k.shape[2]
    if mask is None and T > 1:
        mask = torch.ones(T, S, dtype=torch.bool).tril()
    return grouped(q, k, v, mask)


@mistake("2.9")
def mask_ignored(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your attention ignores the mask that it is given: padding on the left of a shorter text would be read
    like text.
    """
    return grouped(q, k, v)


@mistake("2.9")
def mask_and_causal(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your attention applies the causal mask on top of the one that is given. A given mask says all there is
    to say.
    """
    causal = mask_of(q, k, None)
    return grouped(q, k, v, causal if mask is None else mask & causal)


@mistake("2.9")
def mask_inverted(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your attention hides the keys where the given mask is True. True means: may be read."""
    return grouped(q, k, v, None if mask is None else ~mask | ~mask.any(dim=-2, keepdim=True))


@mistake("2.9")
def scaled_by_values(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your scores are divided by √Dv, the width of the values. What is summed in a score is as long as a
    query: √D.
    """
    return grouped(q, k, v, mask, scale=v.shape[-1] ** -0.5)


@mistake("2.9")
def scaled_by_group(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your scores are divided by √(N·D), the width of a whole group of queries. Each score is still one
    query against one key: √D.
    """
    width = q.shape[-1] * q.shape[1] // k.shape[1]
    return grouped(q, k, v, mask, scale=width**-0.5)


@mistake("2.9")
def scaled_by_model(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your scores are divided by √(H·D), the width of all query heads together. A score sums over one head:
    √D.
    """
    return grouped(q, k, v, mask, scale=(q.shape[1] * q.shape[-1]) ** -0.5)


@mistake("2.9")
def not_scaled(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your scores are not divided by √D: with wide heads a single key would take nearly all the weight."""
    return grouped(q, k, v, mask, scale=1.0)


@mistake("2.9")
def repeated(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your keys and values are repeated until each query head has its own: by repeat_interleave, by expand
    and reshape, or by a product of (B, G, N, T, D) with (B, G, 1, D, S), which torch carries out by copying.
    The numbers are right, but the memory that sharing saved is spent again at every step. Stack the queries
    of a group as rows over one set of keys.
    """
    N = q.shape[1] // k.shape[1]
    return cached_attention(q, k.repeat_interleave(N, dim=1), v.repeat_interleave(N, dim=1), mask)


@mistake("2.9")
def detached(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Your attention cuts the gradient of keys and values (detach, .data or torch.no_grad): the heads that
    are shared would never learn.
    """
    return grouped(q, k.detach(), v.detach(), mask)
