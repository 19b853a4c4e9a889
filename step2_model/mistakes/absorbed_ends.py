"""2.12b, absorbed attention: known mistakes with costs, cache, mask and projection."""

from __future__ import annotations

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.absorbed import attention, rotary_scores
from step2_model.mistakes.latent import Mask, Rope, hide, merge, remember, width
from step2_model.mistakes.latent import attention as naive


@mistake("2.12b")
def expanded_after_all(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention is right, and it expands the latents of all past positions, as `MLA.forward` does:
    each costs R · H · (Dn + Dv) multiplications again at every step. Apply the factors to the query and to
    the mixture instead.
    """
    return naive(self, x, rope, mask, cache)


@mistake("2.12b", called="Keys are absorbed, but the values of all latents are expanded")
def values_expanded(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your keys are absorbed, but the values are not: V is applied to every latent before they are mixed.
    The mixture of V c is V times the mixture of c: mix first, then apply V once.
    """
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = remember(cache, *self.compress(x, rope))
    to_key, to_value = self.factors()
    scores = torch.einsum("bhtr,bsr->bhts", q_plain @ to_key, latent) + rotary_scores(q_rotary, key)
    v = torch.einsum("bsr,hdr->bhsd", latent, to_value)
    y = hide(scores / math.sqrt(width(self.args)), mask).softmax(dim=-1) @ v
    out: Tensor = self.o_proj(merge(y))
    return out


@mistake("2.12b", called="Values are absorbed, but the keys of all latents are expanded")
def keys_expanded(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your values are absorbed, but the keys are not: K is applied to every latent. q · (K c) = (Kᵀ q) · c:
    apply it to the query instead.
    """

    def expanded(q: Tensor, to_key: Tensor, latent: Tensor) -> Tensor:
        return q @ torch.einsum("bsr,hdr->bhsd", latent, to_key).mT

    return attention(self, x, rope, mask, cache, plain_scores=expanded)


@mistake("2.12b", called="The latents are copied for every head")
def copied_for_heads(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your numbers are right, but the latents are copied for every head: by repeat, or by a product of
    (B, H, T, R) with (B, 1, R, S), which torch carries out by copying. All heads read one latent: make the
    heads further rows of the queries, (B, H·T, R), or name the dimensions in an einsum.
    """

    def broadcast(q: Tensor, to_key: Tensor, latent: Tensor) -> Tensor:
        return (q @ to_key) @ latent.unsqueeze(1).repeat(1, q.shape[1], 1, 1).mT

    return attention(self, x, rope, mask, cache, plain_scores=broadcast)


@mistake("2.12b")
def cache_ignored(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention ignores its cache: the lines marked "given" append the new latents and keys and read
    all of them back. Without them a new token sees no past.
    """
    fits = mask is None or mask.shape[-1] == x.shape[1]
    return attention(self, x, rope, mask if fits else None, None)


@mistake("2.12b")
def cache_not_read(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention fills the cache but goes on with the new latents alone. Go on with what cache.read()
    returns: past and new.
    """
    fits = mask is None or mask.shape[-1] == x.shape[1]

    def unread(c: Any, latent: Tensor, key: Tensor) -> Any:
        remember(c, latent, key)
        return latent, key

    return attention(self, x, rope, mask if fits else None, cache, remember=unread)


@mistake("2.12b")
def empty_cache_is_false(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention takes an empty cache for no cache: `if cache` asks for its length, which is 0 at
    first, so that it is never filled. Ask `if cache is not None`, as the given lines do.
    """
    return attention(self, x, rope, mask, cache or None)


@mistake("2.12b")
def no_mask(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention hides nothing when no mask is given: each position reads the future. There is no
    `cached_attention` here to take care of it; `causal_mask(T, S)` says who may be read.
    """
    return attention(
        self,
        x,
        rope,
        mask,
        cache,
        hide=lambda scores, given: scores if given is None else hide(scores, given),
    )


@mistake("2.12b", called="The mask takes the new queries for the first positions")
def top_left(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your mask takes the T queries for the first T of the S positions. They are the last T: with a cache
    a new token would see only the start of the text.
    """

    def first(scores: Tensor, given: Mask) -> Tensor:
        return hide(
            scores, torch.ones(scores.shape[-2:], dtype=torch.bool).tril() if given is None else given
        )

    return attention(self, x, rope, mask, cache, hide=first)


@mistake("2.12b", called="After a past, several new positions see each other's future")
def open_after_a_past(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention is causal only where there is no past. Several new positions after a past (S > T > 1)
    must not read each other's future either.
    """

    def square_alone(scores: Tensor, given: Mask) -> Tensor:
        is_open = given is None and scores.shape[-2] < scores.shape[-1]
        return scores if is_open else hide(scores, given)

    return attention(self, x, rope, mask, cache, hide=square_alone)


@mistake("2.12b")
def mask_ignored(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention never looks at the mask that it is given, which hides padding."""
    return attention(self, x, rope, None, cache)


@mistake("2.12b", called="The given mask is read the wrong way round")
def mask_inverted(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your mask is read the wrong way round: True says that a key may be read, and `masked_fill` fills
    where it is True. Negate it.
    """

    def inverted(scores: Tensor, given: Mask) -> Tensor:
        return hide(scores, given) if given is None else scores.masked_fill(given, -1e9)

    return attention(self, x, rope, mask, cache, hide=inverted)


@mistake("2.12b", called="The heads' features are interleaved when they are put side by side")
def merged_interleaved(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your heads are interleaved on the way to o_proj: head h owns Dv features in a row. Merge as (H Dv),
    not as (Dv H).
    """
    return attention(self, x, rope, mask, cache, merge=lambda y: rearrange(y, "B H T D -> B T (D H)"))


@mistake("2.12b", called="No gradient passes through latents and keys")
def detached(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your latents are cut off from the gradient (detach, .data or torch.no_grad), also where there is no
    cache. Absorbed attention is a way to compute the same function, and it can be trained through.
    """

    def cut_off(c: Any, latent: Tensor, key: Tensor) -> Any:
        return tuple(t.detach() for t in remember(c, latent, key))

    return attention(self, x, rope, mask, cache, remember=cut_off)
