"""2.ladder-absorbed: attention on the latents that is wrong in one place, and right in other styles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model import further_solution as course
from step2_model.mistakes.gpt2 import Patches

Mask = Tensor | None


def absorbed(
    self: Any,
    x: Tensor,
    rope: Any,
    mask: Mask = None,
    cache: Any = None,
    *,
    width: Callable[[Any], int] = lambda args: args.qk_nope_head_dim + args.qk_rope_head_dim,
    rotary: float = 1.0,
    left: bool = False,
) -> Tensor:
    """Return absorbed attention in einsum, with another width under the root, or another mask."""
    plain, rotated = self.queries(x, rope)
    latent, key = self.compress(x, rope)
    if cache is not None:
        cache.append(latent, key)
        latent, key = cache.read()
    to_key, to_value = self.factors()
    carried = torch.einsum("bhtd,hdr->bhtr", plain, to_key)
    scores = torch.einsum("bhtr,bsr->bhts", carried, latent)
    scores = scores + rotary * torch.einsum("bhtd,bsd->bhts", rotated, key)
    T, S = scores.shape[-2:]
    if mask is None:
        mask = torch.ones(T, S, dtype=torch.bool).tril() if left else course.causal_mask(T, S)
    weights = (scores / math.sqrt(width(self.args))).masked_fill(~mask, float("-inf")).softmax(dim=-1)
    y = torch.einsum("bhts,bsr,hdr->bthd", weights, latent, to_value)
    return self.o_proj(y.flatten(-2))


def ragged(
    self: Any, x: Tensor, rope: Any, cache: Any, *, hide: bool = True, late: bool = False, one: bool = False
) -> Tensor:
    """Return a ragged step; without `hide` the room is read, `late` appends last, `one` is a single
    rotation.
    """
    if one:
        rope = tuple(half[:1].expand_as(half) for half in rope)
    plain, rotated = self.queries(x, rope)
    new = self.compress(x, rope)
    if not late:
        cache.append(*new)
    latent, key = cache.read()
    to_key, to_value = self.factors()
    scores = torch.einsum("bhtd,hdr,bsr->bhs", plain, to_key, latent)
    scores = scores + torch.einsum("bhtd,bsd->bhs", rotated, key)
    scores = scores / math.sqrt(self.args.qk_nope_head_dim + self.args.qk_rope_head_dim)
    if hide:
        unfilled = torch.arange(latent.shape[1]) >= cache.lengths[:, None]
        scores = scores.masked_fill(unfilled[:, None], float("-inf"))
    y = torch.einsum("bhs,bsr,hdr->bhd", scores.softmax(dim=-1), latent, to_value)
    if late:
        cache.append(*new)
    return self.o_proj(y.flatten(1).unsqueeze(1))


def absorbing(**how: Any) -> Patches:
    """Return a layer whose absorbed attention, and with it its decoding, goes wrong this way."""

    def attend_absorbed(self: Any, x: Tensor, rope: Any, mask: Mask = None, cache: Any = None) -> Tensor:
        return absorbed(self, x, rope, mask, cache, **how)

    return {"LatentAttention.attend_absorbed": attend_absorbed}


def stepping(**how: Any) -> Patches:
    """Return a layer whose ragged step goes wrong this way."""

    def decode_ragged(self: Any, x: Tensor, rope: Any, cache: Any) -> Tensor:
        return ragged(self, x, rope, cache, **how)

    return {"LatentAttention.decode_ragged": decode_ragged}


@mistake("2.ladder-absorbed")
def scaled_by_latent_width() -> Patches:
    """Your absorbed scores are divided by √(R + Dr), the width of what is multiplied. They are the very
    scores of the heads, Dn + Dr wide, and want their root.
    """
    return absorbing(width=lambda args: args.kv_lora_rank + args.qk_rope_head_dim)


@mistake("2.ladder-absorbed")
def scaled_by_plain_width() -> Patches:
    """Your absorbed scores are divided by √Dn: the rotary part belongs to the width of a key, too."""
    return absorbing(width=lambda args: args.qk_nope_head_dim)


@mistake("2.ladder-absorbed")
def no_rotary_scores() -> Patches:
    """Your absorbed scores leave out the rotary keys: they know what stands at a position, not where."""
    return absorbing(rotary=0.0)


@mistake("2.ladder-absorbed")
def aligned_left() -> Patches:
    """Your absorbed attention aligns the first new query with the first key: in chunks it reads only the
    beginning, in one go nobody would notice.
    """
    return absorbing(left=True)


@mistake("2.ladder-absorbed")
def room_is_read() -> Patches:
    """Your ragged step reads the room behind the shorter requests: every zero in it gets a share of the
    weights.
    """
    return stepping(hide=False)


@mistake("2.ladder-absorbed")
def does_not_read_itself() -> Patches:
    """Your ragged step appends the new token after attending: it cannot read itself."""
    return stepping(late=True)


@mistake("2.ladder-absorbed")
def one_rotation_for_all() -> Patches:
    """Your ragged step rotates all requests by the position of the first: each stands at its own."""
    return stepping(one=True)


@mistake("2.ladder-absorbed")
def bottleneck_not_normalized() -> Patches:
    """Your queries are not normalized in the bottleneck, and both ways of attending get wrong ones alike."""

    def queries(self: Any, x: Tensor, rope: Any) -> Any:
        if self.args.q_lora_rank is None:
            return course.LatentAttention.queries(self, x, rope)
        q = rearrange(self.q_b_proj(self.q_a_proj(x)), "B T (H D) -> B H T D", H=self.args.n_heads)
        plain, rotary = q.split([self.args.qk_nope_head_dim, self.args.qk_rope_head_dim], dim=-1)
        return plain, course.rotate(rotary, *rope)

    return {"LatentAttention.queries": queries}


@variant("2.ladder-absorbed")
def by_einsum() -> Patches:
    """Absorbed attention and the ragged step in einsum."""
    return absorbing() | stepping()


@variant("2.ladder-absorbed")
def request_by_request() -> Patches:
    """The ragged step as a loop over requests, each over its own positions."""

    def decode_ragged(self: Any, x: Tensor, rope: Any, cache: Any) -> Tensor:
        plain, rotated = self.queries(x, rope)
        cache.append(*self.compress(x, rope))
        to_key, to_value = self.factors()
        found = []
        for b, length in enumerate(cache.lengths.tolist()):
            latent, key = cache.latent[b, :length], cache.key[b, :length]
            scores = (plain[b] @ to_key) @ latent.T + rotated[b] @ key.T
            width = self.args.qk_nope_head_dim + self.args.qk_rope_head_dim
            found.append((scores / math.sqrt(width)).softmax(dim=-1) @ latent @ to_value.mT)
        return self.o_proj(rearrange(torch.stack(found), "B H T Dv -> B T (H Dv)"))

    return {"LatentAttention.decode_ragged": decode_ragged}
