"""2.12b, absorbed attention: known mistakes with factors, scores and mixtures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.latent import Mask, Rope, hide, merge, remember, width

Part = Callable[..., Any]


def plain_scores(q: Tensor, to_key: Tensor, latent: Tensor) -> Tensor:
    """Carry the queries into the space of latents and compare them there."""
    return torch.einsum("bhtr,bsr->bhts", q @ to_key, latent)


def rotary_scores(q: Tensor, key: Tensor) -> Tensor:
    """Compare the rotary parts."""
    return torch.einsum("bhtd,bsd->bhts", q, key)


def values(mixed: Tensor, to_value: Tensor) -> Tensor:
    """Expand mixtures of latents into values."""
    return mixed @ to_value.mT


def factors(self: Any) -> Any:
    """Return the factors of every head: latent to key, latent to value."""
    return self.factors()


def attention(
    self: Any,
    x: Tensor,
    rope: Rope,
    mask: Mask,
    cache: Any,
    *,
    remember: Part = remember,
    factors: Part = factors,
    plain_scores: Part = plain_scores,
    rotary_scores: Part = rotary_scores,
    width: Part = width,
    hide: Part = hide,
    values: Part = values,
    merge: Part = merge,
) -> Tensor:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = remember(cache, *self.compress(x, rope))
    to_key, to_value = factors(self)
    scores = plain_scores(q_plain, to_key, latent) + rotary_scores(q_rotary, key)
    weights = hide(scores / math.sqrt(width(self.args)), mask).softmax(dim=-1)
    mixed = torch.einsum("bhts,bsr->bhtr", weights, latent)
    out: Tensor = self.o_proj(merge(values(mixed, to_value)))
    return out


@mistake("2.12b", called="Queries are multiplied by the transpose of their factor")
def key_factor_transposed(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your queries are multiplied by the transposed factor, K q in place of Kᵀ q. The factor is (Dn, R): it
    makes Dn features of a latent, and its rows meet the query's features. Where Dn = R no shape would have
    told you.
    """
    return attention(
        self, x, rope, mask, cache, plain_scores=lambda q, to_key, c: plain_scores(q, to_key.mT, c)
    )


@mistake("2.12b", called="Mixtures are multiplied by the transpose of the value factor")
def value_factor_transposed(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your mixtures are multiplied by the transposed value factor. V is (Dv, R): a mixture of latents
    meets its columns, mixed @ V.mT.
    """
    return attention(self, x, rope, mask, cache, values=lambda mixed, to_value: mixed @ to_value)


@mistake("2.12b", called="The value factor makes the keys, the key factor the values")
def factors_swapped(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your factors are swapped: the value's is applied to the queries and the key's to the mixtures.
    `self.factors()` returns latent to key first, then latent to value.
    """
    return attention(self, x, rope, mask, cache, factors=lambda s: s.factors()[::-1])


@mistake("2.12b", called="The value factor makes both keys and values")
def value_factor_for_keys(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your queries are carried into the space of latents by the value factor. Scores need the key factor,
    the first of the two.
    """
    return attention(self, x, rope, mask, cache, factors=lambda s: (s.factors()[1], s.factors()[1]))


@mistake("2.12b", called="The key factor makes both keys and values")
def key_factor_for_values(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your mixtures are expanded by the key factor. Values need the value factor, the second of the two."""
    return attention(self, x, rope, mask, cache, factors=lambda s: (s.factors()[0], s.factors()[0]))


@mistake("2.12b", called="All heads use the factors of the first head")
def factors_of_first_head(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your heads all use the first head's factors. They share latents, not factors: what each makes of a
    latent is its own.
    """

    def first(s: Any) -> Any:
        return tuple(factor[:1].expand_as(factor) for factor in s.factors())

    return attention(self, x, rope, mask, cache, factors=first)


@mistake("2.12b")
def scaled_by_what_is_compared(
    self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None
) -> Tensor:
    """Your scores are divided by √(R + Dr), the width of what is multiplied now. They are the very scores
    that q and k of width Dn + Dr had: absorbing changes how they are computed, not what they are.
    """
    return attention(self, x, rope, mask, cache, width=lambda args: args.kv_lora_rank + args.qk_rope_head_dim)


@mistake("2.12b")
def scaled_by_rank(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are divided by √R, the width of a latent. They stand for products of width Dn + Dr."""
    return attention(self, x, rope, mask, cache, width=lambda args: args.kv_lora_rank + 1e-4)


@mistake("2.12b")
def scaled_by_plain_width(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are divided by √Dn, the plain part alone: √(Dn + Dr) belongs to the sum of both parts."""
    return attention(self, x, rope, mask, cache, width=lambda args: args.qk_nope_head_dim)


@mistake("2.12b")
def not_scaled(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores are not divided at all: √(Dn + Dr) belongs to them, as in `MLA.forward`."""
    return attention(self, x, rope, mask, cache, width=lambda args: 1.0)


@mistake("2.12b")
def rotary_scores_forgotten(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your scores come from the latents alone. The rotary parts have a score of their own, q_rotary · key,
    which is added before the division: it is all that attention knows of positions.
    """
    return attention(self, x, rope, mask, cache, rotary_scores=lambda q, key: 0.0)


@mistake("2.12b")
def rotary_scores_not_scaled(
    self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None
) -> Tensor:
    """Your plain scores are divided and your rotary ones are not. Add the two first: the division is one
    of the whole sum.
    """
    root = math.sqrt(width(self.args))
    return attention(self, x, rope, mask, cache, rotary_scores=lambda q, key: root * rotary_scores(q, key))


@mistake("2.12b", called="The queries' rotary part is rotated a second time")
def queries_rotated_again(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your rotary queries are rotated again: `self.queries` has done it already."""
    cos, sin = (t.unsqueeze(1) for t in rope)

    def again(q: Tensor, key: Tensor) -> Tensor:
        a, b = q.chunk(2, dim=-1)
        return rotary_scores(torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1), key)

    return attention(self, x, rope, mask, cache, rotary_scores=again)


@mistake("2.12b", called="The latents are normalized a second time")
def normalized_again(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your latents are normalized again before they are read: `self.compress` has done it, and its gain
    counts twice now.
    """

    def again(c: Any, latent: Tensor, key: Tensor) -> Any:
        latent, key = remember(c, latent, key)
        return self.kv_a_layernorm(latent), key

    return attention(self, x, rope, mask, cache, remember=again)
