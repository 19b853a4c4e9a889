"""2.12c, many requests at once: further known mistakes, and accepted variants."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.mistakes.latent import Rope, width
from step2_model.mistakes.ragged import both_scores, decode, keep, unread


@mistake("2.12c", called="The requests are decoded one after the other, in a loop")
def one_by_one(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your numbers are right, but your code goes through the requests in a loop: each pays for the reading
    of all weights alone, which is what a batch shares. One product serves all rows; the mask tells them
    apart.
    """
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = keep(cache, *self.compress(x, rope))
    to_key, to_value = self.factors()
    outputs = []
    for b, S in enumerate(cache.lengths.tolist()):
        q = torch.einsum("htd,hdr->hr", q_plain[b], to_key)
        found = both_scores(q, q_rotary[b, :, 0], latent[b, :S], key[b, :S]) / width(self.args) ** 0.5
        outputs.append(
            torch.einsum("hs,sr,hdr->hd", found.softmax(dim=-1), latent[b, :S], to_value).flatten()
        )
    out: Tensor = self.o_proj(torch.stack(outputs).unsqueeze(1))
    return out


@mistake("2.12c")
def expanded_after_all(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your numbers are right, but the latents of all positions are expanded into keys and values. Apply the
    factors to the query and to the mixture, as in 2.12b.
    """
    q = torch.cat(self.queries(x, rope), dim=-1)
    latent, key = keep(cache, *self.compress(x, rope))
    heads = self.kv_b_proj(latent).unflatten(-1, (self.args.n_heads, -1)).movedim(-2, 1)
    plain, v = heads.split([self.args.qk_nope_head_dim, self.args.v_head_dim], dim=-1)
    k = torch.cat([plain, key.unsqueeze(1).expand(*plain.shape[:-1], -1)], dim=-1)
    readable = ~unread(cache, latent.shape[1])[:, None, None]
    out: Tensor = self.o_proj(F.scaled_dot_product_attention(q, k, v, attn_mask=readable).flatten(1)[:, None])
    return out


@mistake("2.12c", called="The scores are divided by √(R + Dr)")
def scaled_by_what_is_compared(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your scores are divided by √(R + Dr), the width of what is multiplied now. They are the scores of
    keys that are Dn + Dr wide, and divided by √(Dn + Dr).
    """
    return decode(self, x, rope, cache, width=lambda args: float(args.kv_lora_rank + args.qk_rope_head_dim))


@mistake("2.12c", called="The scores are not divided")
def not_scaled(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your scores are not divided at all: √(Dn + Dr) belongs to them, as in 2.12b."""
    return decode(self, x, rope, cache, width=lambda args: 1.0)


@mistake("2.12c", called="The scores come from the latents alone")
def rotary_scores_forgotten(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your scores come from the latents alone. Add those of the rotary keys before you divide: they are all
    that attention knows of positions.
    """
    return decode(self, x, rope, cache, scores=lambda q, rotary, latent, key: q @ latent.mT)


@mistake("2.12c", called="All requests are turned by the angles of the first one")
def angles_of_first_request(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your requests all stand at the position of the first: its row of cos and sin is used for all. Each
    request has a position of its own, the length of its past.
    """
    cos, sin = (t[:1].expand_as(t) for t in rope)
    return decode(self, x, (cos, sin), cache)


@mistake("2.12c", called="The new rotary keys are kept unrotated")
def key_kept_unrotated(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Your cache gets rotary keys that are not rotated. What is kept is rotated once, by its own position:
    later steps cannot know it any more.
    """
    cos, sin = rope

    def unturned(c: Any, latent: Tensor, key: Tensor) -> Any:
        a, b = key.chunk(2, dim=-1)
        return keep(c, latent, torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1))

    return decode(self, x, rope, cache, keep=unturned)


@variant("2.12c")
def by_einsum(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Dimensions by name, and one einsum for the last two products."""
    return decode(self, x, rope, cache)


@variant("2.12c")
def hidden_by_a_large_number(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """-10⁹ in place of minus infinity."""
    return decode(self, x, rope, cache, hidden=-1e9)


@variant("2.12c")
def multi_query(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """F.scaled_dot_product_attention, heads as rows of queries over one key and value."""
    q_plain, q_rotary = self.queries(x, rope)
    latent, key = keep(cache, *self.compress(x, rope))
    to_key, to_value = self.factors()
    q = torch.cat([q_plain @ to_key, q_rotary], dim=-1).movedim(2, 1)
    readable = ~unread(cache, latent.shape[1])[:, None, None]
    k, v = torch.cat([latent, key], dim=-1).unsqueeze(1), latent.unsqueeze(1)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=readable, scale=width(self.args) ** -0.5)
    y = torch.einsum("bthr,hdr->bthd", mixed, to_value)
    return self.o_proj(y.flatten(2))


@variant("2.12c")
def through_whole_storage(self: Any, x: Tensor, rope: Rope, cache: Any) -> Tensor:
    """Reads the whole storage, room and all, behind the mask; weights in float64."""
    q_plain, q_rotary = self.queries(x, rope)
    cache.append(*self.compress(x, rope))
    to_key, to_value = self.factors()
    q = (q_plain.mT.squeeze(-1)[..., None, :] @ to_key).squeeze(-2)
    scores = both_scores(q, q_rotary.squeeze(2), cache.latent, cache.key).double() / width(self.args) ** 0.5
    is_own = torch.arange(cache.latent.shape[1])[None] < cache.lengths[:, None]
    weights = torch.where(is_own[:, None], scores, float("-inf")).softmax(dim=-1).float()
    y = torch.einsum("bhr,hdr->bhd", weights @ cache.latent, to_value)
    return self.o_proj(y.reshape(len(x), 1, -1))
