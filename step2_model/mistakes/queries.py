"""2.12a, queries through a bottleneck: known mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake
from step2_model.model_solution import MLA, rotate

Part = Callable[..., Any]
Rope = tuple[Tensor, Tensor]
Pair = tuple[Tensor, Tensor]


def norm(self: Any, narrow: Tensor) -> Tensor:
    """Normalize in the bottleneck."""
    out: Tensor = self.q_a_layernorm(narrow)
    return out


def heads(self: Any, q: Tensor) -> Any:
    """Return the plain and the rotary part, (B, H, T, Dn) and (B, H, T, Dr)."""
    q = rearrange(q, "B T (H D) -> B H T D", H=self.args.n_heads)
    return q.split([self.args.qk_nope_head_dim, self.args.qk_rope_head_dim], dim=-1)


def whole(self: Any, x: Tensor, rope: Rope) -> Any:
    """Return the queries of a layer without a bottleneck."""
    plain, rotary = MLA.queries(self, x, rope)
    return self.sharpness * plain, self.sharpness * rotary


def queries(
    self: Any,
    x: Tensor,
    rope: Rope,
    norm: Part = norm,
    sharpen: Part = lambda self, q: q * self.sharpness,
    heads: Part = heads,
    turn: Part = rotate,
) -> Any:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    if self.args.q_lora_rank is None:
        return whole(self, x, rope)
    plain, rotary = heads(self, sharpen(self, self.q_b_proj(norm(self, self.q_a_proj(x)))))
    return plain, turn(rotary, *rope)


@mistake("2.12a")
def not_normalized(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your bottleneck is not normalized: q_a_layernorm is left out. Two matrices with nothing between them
    are one matrix, only of lower rank, and the size of the queries drifts with that of the stream.
    """
    return queries(self, x, rope, norm=lambda _, narrow: narrow)


@mistake("2.12a")
def normalized_without_gain(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your bottleneck is normalized without the learned gain. Call q_a_layernorm: it holds one for each of
    the q_lora_rank features.
    """

    def plain(s: Any, narrow: Tensor) -> Tensor:
        return F.rms_norm(narrow, narrow.shape[-1:], eps=s.q_a_layernorm.eps)

    return queries(self, x, rope, norm=plain)


@mistake("2.12a")
def mean_subtracted(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your bottleneck has its mean subtracted, as LayerNorm does. q_a_layernorm is an RMSNorm in spite of
    its name.
    """

    def layer_norm(s: Any, narrow: Tensor) -> Tensor:
        return F.layer_norm(narrow, narrow.shape[-1:], s.q_a_layernorm.weight, None, s.q_a_layernorm.eps)

    return queries(self, x, rope, norm=layer_norm)


@mistake("2.12a")
def queries_normalized(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your queries are normalized head by head after they went up. The norm sits in the bottleneck, before
    q_b_proj, and nowhere else.
    """

    def normalized(s: Any, q: Tensor) -> Any:
        q = rearrange(q, "B T (H D) -> B H T D", H=s.args.n_heads)
        q = F.rms_norm(q, q.shape[-1:], eps=s.q_a_layernorm.eps)
        return q.split([s.args.qk_nope_head_dim, s.args.qk_rope_head_dim], dim=-1)

    return queries(self, x, rope, heads=normalized)


@mistake("2.12a")
def sharpness_forgotten(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your queries are not multiplied by self.sharpness. It is 1 in most models, so nothing shows there;
    with YaRN attention over the longer context would be too soft.
    """
    return queries(self, x, rope, sharpen=lambda _, q: q)


@mistake("2.12a", called="Only the plain part is multiplied by sharpness")
def plain_part_sharpened(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your sharpness reaches the plain part alone. It stands for a factor on the whole score, and so both
    parts of a query need it.
    """
    plain, rotary = queries(self, x, rope)
    return plain, rotary if self.args.q_lora_rank is None else rotary / self.sharpness


@mistake("2.12a", called="Only the rotary part is multiplied by sharpness")
def rotary_part_sharpened(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your sharpness reaches the rotary part alone. It stands for a factor on the whole score, and so both
    parts of a query need it.
    """
    plain, rotary = queries(self, x, rope)
    return plain if self.args.q_lora_rank is None else plain / self.sharpness, rotary


@mistake("2.12a")
def sharpened_twice(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your queries are multiplied by sharpness twice. It is the whole factor already: YaRN's mscale,
    squared.
    """
    return queries(self, x, rope, sharpen=lambda s, q: q * s.sharpness**2)


@mistake("2.12a", called="Sharpness is divided by")
def sharpness_divides(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your queries are divided by sharpness. It is above 1 where attention has to be sharper: scores grow
    by it.
    """
    return queries(self, x, rope, sharpen=lambda s, q: q / s.sharpness)


@mistake("2.12a", called="Sharpness is multiplied in before the norm")
def sharpened_before_the_norm(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your sharpness acts before q_a_layernorm, which takes it out again: a norm does not care how large
    its input is. Multiply after it.
    """

    def early(s: Any, narrow: Tensor) -> Tensor:
        return norm(s, narrow * s.sharpness)

    return queries(self, x, rope, norm=early, sharpen=lambda _, q: q)


@mistake("2.12a", called="In each head the rotary part is taken first")
def rotary_first(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your code takes the first Dr features of each head for the rotary part. The plain part comes first:
    Dn, then Dr. Weights that others trained are laid out this way.
    """

    def swapped(s: Any, q: Tensor) -> Any:
        q = rearrange(q, "B T (H D) -> B H T D", H=s.args.n_heads)
        rotary, plain = q.split([s.args.qk_rope_head_dim, s.args.qk_nope_head_dim], dim=-1)
        return plain, rotary

    return queries(self, x, rope, heads=swapped)


@mistake("2.12a", called="Plain parts of all heads first, then rotary parts of all heads")
def all_plain_first(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your code takes the first H · Dn features for the plain parts of all heads and the rest for the
    rotary ones. They are laid out head by head: Dn plain, Dr rotary, then the next head.
    """

    def halves(s: Any, q: Tensor) -> Any:
        H, args = s.args.n_heads, s.args
        parts = q.split([H * args.qk_nope_head_dim, H * args.qk_rope_head_dim], dim=-1)
        return [rearrange(part, "B T (H D) -> B H T D", H=H) for part in parts]

    return queries(self, x, rope, heads=halves)


@mistake("2.12a", called="The heads take every H-th feature")
def interleaved_heads(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your heads take every H-th feature. Head h owns Dn + Dr in a row: split the features as (H D), not
    as (D H).
    """

    def every(s: Any, q: Tensor) -> Any:
        q = rearrange(q, "B T (D H) -> B H T D", H=s.args.n_heads)
        return q.split([s.args.qk_nope_head_dim, s.args.qk_rope_head_dim], dim=-1)

    return queries(self, x, rope, heads=every)


@mistake("2.12a")
def not_rotated(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your rotary part is not rotated: the query does not know where it stands, while the keys do."""
    return queries(self, x, rope, turn=lambda rotary, cos, sin: rotary)


@mistake("2.12a", called="The queries are turned backward")
def turned_backward(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your rotary part turns the wrong way. Keys turn forward, so that scores would depend on the sum of
    two positions and not on their distance.
    """
    return queries(self, x, rope, turn=lambda rotary, cos, sin: rotate(rotary, cos, -sin))


@mistake("2.12a", called="The plain part is rotated instead of the rotary one")
def plain_rotated(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your rotation reaches the plain part, and the rotary one is left as it is. Plain features are
    compared with what is expanded from the latents, which knows no position.
    """
    if self.args.q_lora_rank is None:
        return queries(self, x, rope)
    plain, rotary = queries(self, x, rope, turn=lambda rotary, cos, sin: rotary)
    return rotate(plain, *rope), rotary


@mistake("2.12a", called="No gradient passes through the bottleneck")
def detached(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your bottleneck is cut off from the gradient (detach, .data or torch.no_grad): q_a_proj would never
    learn.
    """
    return queries(self, x, rope, norm=lambda s, narrow: norm(s, narrow.detach()))
