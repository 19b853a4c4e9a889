"""2.3d, heads side by side: known mistakes with scores, mask and weights."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.heads import attention, mix
from step2_model.model_solution import apply_causal_mask, attend, attention_scores


@mistake("2.3d")
def not_masked(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your attention never hides the future: apply_causal_mask is missing between scores and mixture.
    Every position can read the token that it has to predict.
    """
    return attention(self, x, cache, mix=lambda s, q, k, v: attend(attention_scores(q, k), v, s.attn_dropout))


@mistake("2.3d")
def not_scaled(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your scores are not divided by √D. Call attention_scores, which does it."""
    return attention(
        self, x, cache, mix=lambda s, q, k, v: attend(apply_causal_mask(q @ k.mT), v, s.attn_dropout)
    )


@mistake("2.3d")
def scaled_by_model_width(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your scores are divided by √C, the root of the whole width. A head's dot product sums D = C / H
    features: divide by √D, as attention_scores does once the heads are split.
    """
    return attention(
        self,
        x,
        cache,
        mix=lambda s, q, k, v: attend(
            apply_causal_mask(q @ k.mT / math.sqrt(s.n_head * q.shape[-1])), v, s.attn_dropout
        ),
    )


@mistake("2.3d")
def scaled_twice(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your scores are divided by √D twice: attention_scores does it already."""
    return attention(self, x, cache, mix=lambda s, q, k, v: mix(s, q / math.sqrt(q.shape[-1]), k, v))


@mistake("2.3d")
def over_queries(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your softmax runs over the queries. Call attend, whose softmax runs over the keys."""

    def mix(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return s.attn_dropout(apply_causal_mask(attention_scores(q, k)).softmax(dim=-2)) @ v

    return attention(self, x, cache, mix=mix)


@mistake("2.3d")
def masked_after_softmax(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your mask is applied to the weights, after softmax: what is left of a row no longer sums to 1,
    the less the more is hidden. Mask the scores.
    """

    def mix(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = attention_scores(q, k).softmax(dim=-1)
        return s.attn_dropout(torch.tril(weights, k.shape[-2] - q.shape[-2])) @ v

    return attention(self, x, cache, mix=mix)


@mistake("2.3d", called="The mask takes the new queries for the first of the S positions")
def top_left_mask(self: Any, x: Tensor, cache: Any = None) -> Tensor:
    """Your mask takes the new queries for the first positions: with a cache they are the last T of S.
    This is what is_causal=True does when S > T; apply_causal_mask counts from the end.
    """

    def mix(s: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        p = s.attn_dropout.p if s.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p)

    return attention(self, x, cache, mix=mix)
