"""2.12c, many requests at once: known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.latent import Rope, width

Part = Callable[..., Any]


def keep(cache: Any, latent: Tensor, key: Tensor) -> Any:
    """Append the new positions, then read all of them."""
    cache.append(latent, key)
    return cache.read()


def unread(cache: Any, S: int) -> Tensor:
    """Return which of S positions each request does not read (B, S)."""
    return torch.arange(S) >= cache.lengths[:, None]


def both_scores(q: Tensor, rotary: Tensor, latent: Tensor, key: Tensor) -> Tensor:
    """Return the scores (B, H, S) over latents and rotary keys."""
    return q @ latent.mT + rotary @ key.mT


def decode(
    self: Any,
    x: Tensor,
    rope: Rope,
    cache: Any,
    *,
    keep: Part = keep,
    unread: Part = unread,
    scores: Part = both_scores,
    width: Part = width,
    hidden: float = float("-inf"),
) -> Tensor:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = keep(cache, *self.compress(x, rope))
    to_key, to_value = self.factors()
    q = torch.einsum("bhtd,hdr->bhr", q_plain, to_key)
    found = scores(q, q_rotary.squeeze(2), latent, key) / math.sqrt(width(self.args))
    found = found.masked_fill(unread(cache, latent.shape[1])[:, None], hidden)
    y = torch.einsum("bhs,bsr,hdr->bhd", found.softmax(dim=-1), latent, to_value)
    out: Tensor = self.o_proj(y.flatten(1).unsqueeze(1))
    return out


@mistake("2.12c")
def no_mask(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your requests read up to the longest one's end: whatever lies in the room behind a shorter past is
    taken for its tokens. Hide, in row b, all positions from cache.lengths[b] on.
    """
    return decode(self, x, rope, cache, unread=lambda c, S: torch.zeros(len(c.lengths), S, dtype=torch.bool))


@mistake("2.12c", called="All requests are cut to the length of the shortest")
def shortest_for_all(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your mask is the same for all requests: it ends where the shortest does, so that longer ones lose
    their latest tokens. Each row has its own length.
    """
    return decode(
        self,
        x,
        rope,
        cache,
        unread=lambda c, S: (torch.arange(S) >= c.lengths.min()).expand(len(c.lengths), S),
    )


@mistake("2.12c", called="Each request reads one position beyond its own end")
def one_too_many(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your mask is off by one: each request reads the position right behind its end too. Positions are 0 to
    length - 1; hide from `length` on.
    """
    return decode(self, x, rope, cache, unread=lambda c, S: torch.arange(S) > c.lengths[:, None])


@mistake("2.12c", called="No request with a past reads its own new position")
def own_hidden(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your mask hides the new token from itself, as if lengths were those before the append. `append` has
    counted it already: hide from cache.lengths[b] on.
    """

    def too_many(c: Any, S: int) -> Tensor:
        return torch.arange(S) >= (c.lengths[:, None] - 1).clamp(min=1)

    return decode(self, x, rope, cache, unread=too_many)


@mistake("2.12c", called="The cache is read before the new positions are appended")
def read_too_early(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your code reads the cache before it appends: the longest request misses its own new token, and so
    does every other that is as long. Append first, then read.
    """

    def early(c: Any, latent: Tensor, key: Tensor) -> Any:
        past = c.read() if int(c.lengths.max()) else None
        c.append(latent, key)
        return c.read() if past is None else past

    return decode(self, x, rope, cache, keep=early)


@mistake("2.12c")
def never_appended(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your code never gives the new positions to the cache: the next step will not know of them. Append
    them, then read.
    """

    def aside(c: Any, latent: Tensor, key: Tensor) -> Any:
        S = int(c.lengths.max()) + 1
        rows = torch.arange(len(c.lengths))
        latents, keys = c.latent[:, :S].clone(), c.key[:, :S].clone()
        latents[rows, c.lengths], keys[rows, c.lengths] = latent[:, 0], key[:, 0]
        return latents, keys

    return decode(self, x, rope, cache, keep=aside, unread=lambda c, S: torch.arange(S) > c.lengths[:, None])


@mistake("2.12c", called="New positions are written behind the longest past in every row")
def behind_the_longest(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your new positions all go behind the longest past, into one column. A shorter request then has a gap
    before its new token, filled with whatever lay there. `cache.append` writes behind each one's own past.
    """

    def column(c: Any, latent: Tensor, key: Tensor) -> Any:
        S = int(c.lengths.max())
        c.latent[:, S], c.key[:, S] = latent[:, 0].detach(), key[:, 0].detach()
        c.lengths = c.lengths + 1
        return c.latent[:, : S + 1], c.key[:, : S + 1]

    return decode(self, x, rope, cache, keep=column)


@mistake("2.12c", called="Pasts are taken for aligned on the right")
def right_aligned(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your mask hides the first positions of shorter requests, as with padding on the left. Here every past
    begins at position 0 of its row, and the room is behind it.
    """

    def left_padding(c: Any, S: int) -> Tensor:
        return torch.arange(S) < (S - c.lengths)[:, None]

    return decode(self, x, rope, cache, unread=left_padding)


@mistake("2.12c", called="The whole storage is read, its room too")
def reads_the_room(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your code reads the storage itself, cache.latent and cache.key, to its very end, and hides nothing of
    it. `cache.read()` ends with the longest request; the mask ends each of the others.
    """

    def all_of_it(c: Any, latent: Tensor, key: Tensor) -> Any:
        c.append(latent, key)
        return c.latent, c.key

    return decode(
        self,
        x,
        rope,
        cache,
        keep=all_of_it,
        unread=lambda c, S: torch.zeros(len(c.lengths), S, dtype=torch.bool),
    )


@mistake("2.12c", called="Hidden positions get a score of 0")
def hidden_by_zero(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your mask sets scores to 0. A score of 0 is no small score: softmax gives it a weight of e⁰. Minus
    infinity becomes a weight of 0.
    """
    return decode(self, x, rope, cache, hidden=0.0)


@mistake("2.12c", called="The room's latents are set to zero, and not hidden")
def zeroed_room(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your code sets latents and keys behind each request's end to 0 and hides nothing: such a position
    still takes a share of the softmax, and hands over nothing for it. Hide its score.
    """

    def zeroed(c: Any, latent: Tensor, key: Tensor) -> Any:
        latents, keys = keep(c, latent, key)
        behind = unread(c, latents.shape[1])[..., None]
        return latents.masked_fill(behind, 0.0), keys.masked_fill(behind, 0.0)

    return decode(
        self,
        x,
        rope,
        cache,
        keep=zeroed,
        unread=lambda c, S: torch.zeros(len(c.lengths), S, dtype=torch.bool),
    )
