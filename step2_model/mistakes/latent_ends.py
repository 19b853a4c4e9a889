"""2.11b, attention from latents: known mistakes with latents, cache, mask and projection."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.latent import Mask, Rope, attention, expand, hide, merge, remember, whole_key


@mistake("2.11b", called="The latents are normalized a second time before they are expanded")
def normalized_again(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your latents are normalized again before kv_b_proj: `self.compress` has done it, and its gain counts
    twice now.
    """
    return attention(self, x, rope, mask, cache, expand=lambda s, latent: expand(s, s.kv_a_layernorm(latent)))


@mistake("2.11b", called="The expanded keys are normalized")
def keys_normalized(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your expanded keys are normalized once more, head by head. In latent attention the norm sits on the
    latent, before the expansion; one after it could not be absorbed.
    """

    def normalized(s: Any, latent: Tensor) -> Any:
        plain, v = expand(s, latent)
        return torch.nn.functional.rms_norm(plain, plain.shape[-1:], eps=1e-6), v

    return attention(self, x, rope, mask, cache, expand=normalized)


@mistake("2.11b", called="The values are the keys' features")
def keys_for_values(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your mixture is of plain keys instead of values. The first Dn features of a head are its key; its
    value is the Dv behind them.
    """

    def keys_twice(s: Any, latent: Tensor) -> Any:
        plain, _ = expand(s, latent)
        return plain, plain

    return attention(self, x, rope, mask, cache, expand=keys_twice)


@mistake("2.11b")
def cache_holds_expanded_keys(
    self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None
) -> Tensor:
    """Your cache keeps the expanded keys and values of every head, H · (Dn + Dr + Dv) numbers a position.
    The result is the same, and the point is gone: keep latents and rotary keys, R + Dr numbers, and
    expand what you read.
    """
    latent, key = self.compress(x, rope)
    plain, v = expand(self, latent)
    k, v = remember(cache, whole_key(plain, key), v)
    q = torch.cat(self.queries(x, rope), dim=-1)
    scores = q @ k.mT / k.shape[-1] ** 0.5
    out: Tensor = self.o_proj(merge(hide(scores, mask).softmax(dim=-1) @ v))
    return out


@mistake("2.11b")
def cache_ignored(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention ignores its cache: the lines marked "given" append the new latents and keys and read
    all of them back. Without them a new token sees no past.
    """
    fits = mask is None or mask.shape[-1] == x.shape[1]
    return attention(self, x, rope, mask if fits else None, None)


@mistake("2.11b")
def cache_not_read(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention fills the cache but goes on with the new latents alone. Go on with what cache.read()
    returns: past and new.
    """
    fits = mask is None or mask.shape[-1] == x.shape[1]

    def unread(c: Any, latent: Tensor, key: Tensor) -> Any:
        remember(c, latent, key)
        return latent, key

    return attention(self, x, rope, mask if fits else None, cache, remember=unread)


@mistake("2.11b")
def empty_cache_is_false(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention takes an empty cache for no cache: `if cache` asks for its length, which is 0 at
    first, so that it is never filled. Ask `if cache is not None`, as the given lines do.
    """
    return attention(self, x, rope, mask, cache or None)


@mistake("2.11b")
def cache_filled_twice(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention appends the new positions twice. The given lines have done it; each new token would
    be read as two.
    """

    def twice(c: Any, latent: Tensor, key: Tensor) -> Any:
        if c is not None:
            c.append(latent, key)
        return remember(c, latent, key)

    def hide_last(scores: Tensor, given: Tensor | None) -> Tensor:
        return hide(scores, None if given is None or given.shape[-1] != scores.shape[-1] else given)

    return attention(self, x, rope, mask, cache, remember=twice, hide=hide_last)


@mistake("2.11b")
def no_mask(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention hides nothing when no mask is given: each position reads the future. Without a mask
    it has to be causal, which `cached_attention` takes care of.
    """
    return attention(
        self,
        x,
        rope,
        mask,
        cache,
        hide=lambda scores, given: scores if given is None else hide(scores, given),
    )


@mistake("2.11b", called="The mask takes the new queries for the first positions")
def top_left(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your mask takes the T queries for the first T of the S positions, as is_causal=True does. They are
    the last T: with a cache a new token would see only the start of the text.
    """

    def first(scores: Tensor, given: Tensor | None) -> Tensor:
        return hide(
            scores, torch.ones(scores.shape[-2:], dtype=torch.bool).tril() if given is None else given
        )

    return attention(self, x, rope, mask, cache, hide=first)


@mistake("2.11b", called="After a past, several new positions see each other's future")
def open_after_a_past(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention is causal only where there is no past. Several new positions after a past (S > T > 1)
    must not read each other's future either.
    """

    def square_alone(scores: Tensor, given: Tensor | None) -> Tensor:
        is_open = given is None and scores.shape[-2] < scores.shape[-1]
        return scores if is_open else hide(scores, given)

    return attention(self, x, rope, mask, cache, hide=square_alone)


@mistake("2.11b")
def mask_ignored(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention never looks at the mask that it is given, which hides padding: hand it to
    `cached_attention`.
    """
    return attention(self, x, rope, None, cache)


@mistake("2.11b", called="The given mask is read the wrong way round")
def mask_inverted(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your mask is read the wrong way round: True says that a key may be read, not that it is hidden."""

    def inverted(scores: Tensor, given: Tensor | None) -> Tensor:
        return hide(scores, given) if given is None else scores.masked_fill(given, -1e9)

    return attention(self, x, rope, mask, cache, hide=inverted)


@mistake("2.11b", called="The heads are merged without swapping positions and heads back")
def merged_by_view(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your heads are put side by side by a reshape of (B, H, T, Dv) alone: that keeps the order in memory
    and mixes positions with heads. Swap T and H first.
    """
    return attention(self, x, rope, mask, cache, merge=lambda y: y.reshape(*x.shape[:2], -1))


@mistake("2.11b", called="The heads' features are interleaved when they are put side by side")
def merged_interleaved(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your heads are interleaved on the way to o_proj: head h owns Dv features in a row, h·Dv to
    (h+1)·Dv. Merge as (H Dv), not as (Dv H).
    """
    return attention(self, x, rope, mask, cache, merge=lambda y: rearrange(y, "B H T D -> B T (D H)"))


@mistake("2.11b")
def adds_x(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention adds x to its answer. The residual belongs to the block, which adds x itself."""
    return x + attention(self, x, rope, mask, cache)


@mistake("2.11b")
def no_output_projection(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your attention returns the heads side by side, H · Dv wide, without o_proj. It is o_proj that brings
    them back to the C features of the stream.
    """
    latent, key = remember(cache, *self.compress(x, rope))
    plain, v = expand(self, latent)
    q = torch.cat(self.queries(x, rope), dim=-1)
    scores = q @ whole_key(plain, key).mT / q.shape[-1] ** 0.5
    return merge(hide(scores, mask).softmax(dim=-1) @ v)


@mistake("2.11b", called="No gradient passes through latents and keys")
def detached(self: Any, x: Tensor, rope: Rope, mask: Mask = None, cache: Any = None) -> Tensor:
    """Your latents are cut off from the gradient (detach, .data or torch.no_grad) before they are
    expanded, also where there is no cache: what is kept would never learn.
    """

    def cut_off(c: Any, latent: Tensor, key: Tensor) -> Any:
        return tuple(t.detach() for t in remember(c, latent, key))

    return attention(self, x, rope, mask, cache, remember=cut_off)
