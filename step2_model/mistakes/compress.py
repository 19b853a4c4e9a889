"""2.11a, what is kept: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.model_solution import rotate

Part = Callable[..., Any]
Rope = tuple[Tensor, Tensor]
Pair = tuple[Tensor, Tensor]


def cut(self: Any, both: Tensor) -> Any:
    """Split into latent and key."""
    return both.split([self.args.kv_lora_rank, self.args.qk_rope_head_dim], dim=-1)


def norm(self: Any, latent: Tensor) -> Tensor:
    """Normalize the latent."""
    out: Tensor = self.kv_a_layernorm(latent)
    return out


def turn(key: Tensor, rope: Rope) -> Tensor:
    """Rotate the one key."""
    return rotate(key.unsqueeze(1), *rope).squeeze(1)


def compress(self: Any, x: Tensor, rope: Rope, cut: Part = cut, norm: Part = norm, turn: Part = turn) -> Any:
    """Return what the solution returns; every mistake below hands in the one part that it gets wrong."""
    latent, key = cut(self, self.kv_a_proj_with_mqa(x))
    return norm(self, latent), turn(key, rope)


@mistake("2.11a")
def latent_not_normalized(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your latent comes as the projection gives it: kv_a_layernorm is not applied. It is what keys and
    values of all heads are made of; without the norm its size drifts as the stream grows from layer to
    layer.
    """
    return compress(self, x, rope, norm=lambda _, latent: latent)


@mistake("2.11a")
def normalized_without_gain(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your latent is normalized without the learned gain. Call the module kv_a_layernorm: it holds a gain
    for each of the R features.
    """

    def plain(s: Any, latent: Tensor) -> Tensor:
        return F.rms_norm(latent, latent.shape[-1:], eps=s.kv_a_layernorm.eps)

    return compress(self, x, rope, norm=plain)


@mistake("2.11a")
def normalized_without_eps(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your latent is normalized without eps, or with another one than the layer's. Call the module
    kv_a_layernorm: small latents would be blown up, and one of zeros would be divided by 0.
    """

    def bare(s: Any, latent: Tensor) -> Tensor:
        return F.rms_norm(latent, latent.shape[-1:], s.kv_a_layernorm.weight, eps=1e-12)

    return compress(self, x, rope, norm=bare)


@mistake("2.11a")
def mean_subtracted(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your latent has its mean subtracted, as LayerNorm does. kv_a_layernorm is an RMSNorm in spite of its
    name: it divides by the root mean square and subtracts nothing.
    """

    def layer_norm(s: Any, latent: Tensor) -> Tensor:
        return F.layer_norm(latent, latent.shape[-1:], s.kv_a_layernorm.weight, None, s.kv_a_layernorm.eps)

    return compress(self, x, rope, norm=layer_norm)


@mistake("2.11a")
def normalized_twice(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your latent goes through kv_a_layernorm twice, so that its gain counts twice."""
    return compress(self, x, rope, norm=lambda s, latent: norm(s, norm(s, latent)))


@mistake("2.11a", called="The key is normalized, as the latent is")
def key_normalized(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your rotary key is normalized too. Only the latent is: the length of the rotary key is how strongly
    a position can be found by where it stands.
    """
    latent, key = compress(self, x, rope)
    return latent, F.rms_norm(key, key.shape[-1:], eps=self.kv_a_layernorm.eps)


@mistake("2.11a", called="Latent and key are normalized together")
def normalized_together(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your norm is taken over all R + Dr outputs together, before they are cut: the size of the key then
    changes the latent, and the other way round. Cut first, then normalize the latent alone.
    """
    both = self.kv_a_proj_with_mqa(x)
    latent, key = cut(self, F.rms_norm(both, both.shape[-1:], eps=self.kv_a_layernorm.eps))
    return latent * self.kv_a_layernorm.weight, turn(key, rope)


@mistake("2.11a", called="Key first, then latent, in the order of the projection's outputs")
def key_first(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your code takes the first Dr outputs of kv_a_proj_with_mqa for the key. The latent comes first:
    R outputs of latent, then Dr of key. Weights that others trained are laid out this way.
    """

    def swapped(s: Any, both: Tensor) -> Any:
        key, latent = both.split([s.args.qk_rope_head_dim, s.args.kv_lora_rank], dim=-1)
        return latent, key

    return compress(self, x, rope, cut=swapped)


@mistake("2.11a")
def key_not_rotated(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your key is not rotated. It is the only part of a key that knows where it stands: without the
    rotation attention has no idea of order.
    """
    return compress(self, x, rope, turn=lambda key, rope: key)


@mistake("2.11a", called="The key is turned backward")
def turned_backward(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your key turns the wrong way: (a, b) becomes (a cos + b sin, b cos - a sin). Queries turn forward,
    so that scores would depend on the sum of two positions and not on their distance.
    """
    return compress(self, x, rope, turn=lambda key, rope: turn(key, (rope[0], -rope[1])))


@mistake("2.11a", called="The key's neighboring features are paired")
def neighbors_paired(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your key pairs neighbors, (0, 1), (2, 3), as DeepSeek's own code does. Here feature i is paired with
    i + Dr/2, as `rotate` does: queries are rotated by `rotate`, and both have to turn the same pairs.
    """

    def neighbors(key: Tensor, rope: Rope) -> Tensor:
        a, b = key[..., 0::2], key[..., 1::2]
        pairs = torch.stack([a * rope[0] - b * rope[1], b * rope[0] + a * rope[1]], dim=-1)
        return pairs.flatten(-2)

    return compress(self, x, rope, turn=neighbors)


@mistake("2.11a")
def latent_rotated(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your rotation reaches the latent: it is the key that is rotated, and the key alone. A latent that
    knows its position could not be absorbed later, which is what the separate key is for.
    """
    latent, key = compress(self, x, rope)
    return turn(latent, rope), key


@mistake("2.11a", called="All positions of a row are turned by the angle of its first one")
def first_angle(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your key has the same angle at every position: that of the first. Each position has its own row in
    cos and sin.
    """
    cos, sin = (t[:, :1].expand_as(t) for t in rope)
    return compress(self, x, (cos, sin))


@mistake("2.11a", called="All rows are turned by the angles of the first row")
def first_row(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your key takes the angles of the first row for the whole batch. With padding on the left, rows stand
    at different positions; cos and sin are (B, T, Dr/2).
    """
    cos, sin = (t[:1].expand_as(t) for t in rope)
    return compress(self, x, (cos, sin))


@mistake("2.11a")
def a_key_for_each_head(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your key is repeated for every head: it has shape (B, H, T, Dr). One key serves all of them and is
    kept once, (B, T, Dr); otherwise a token would cost H · Dr cached numbers instead of Dr.
    """
    latent, key = compress(self, x, rope)
    return latent, key.unsqueeze(1).repeat(1, self.args.n_heads, 1, 1)


@mistake("2.11a")
def head_dimension_left(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your key still has the head dimension of size 1 that `rotate` wanted: (B, 1, T, Dr). Take it away
    again: a cache that concatenates positions would look for them in the wrong place.
    """
    latent, key = compress(self, x, rope)
    return latent, key.unsqueeze(1)


@mistake("2.11a")
def returned_in_other_order(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your function returns the key first. The latent comes first, as in the projection and in the
    cache: (latent, key).
    """
    latent, key = compress(self, x, rope)
    return key, latent


@mistake("2.11a", called="No gradient passes through latent and key")
def detached(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Your latent and key carry no gradient (detach, .data or torch.no_grad): kv_a_proj_with_mqa would
    never learn. That a cache keeps no gradient is the cache's affair.
    """
    latent, key = compress(self, x, rope)
    return latent.detach(), key.detach()


@variant("2.11a")
def two_products(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Two projections, each with its rows of the matrix, and the rotation written out."""
    R = self.args.kv_lora_rank
    latent = F.linear(x, self.kv_a_proj_with_mqa.weight[:R])
    a, b = torch.einsum("btc,kc->btk", x, self.kv_a_proj_with_mqa.weight[R:]).chunk(2, dim=-1)
    key = torch.cat([a * rope[0] - b * rope[1], a * rope[1] + b * rope[0]], dim=-1)
    return self.kv_a_layernorm(latent), key


@variant("2.11a")
def complex_numbers(self: Any, x: Tensor, rope: Rope) -> Pair:
    """Slices of the product, a norm by hand, and pairs as complex numbers."""
    both = self.kv_a_proj_with_mqa(x)
    latent, key = both[..., : -self.args.qk_rope_head_dim], both[..., -self.args.qk_rope_head_dim :]
    mean = latent.square().mean(dim=-1, keepdim=True)
    latent = latent * torch.rsqrt(mean + self.kv_a_layernorm.eps) * self.kv_a_layernorm.weight
    turned = torch.complex(*key.chunk(2, dim=-1)) * torch.complex(*rope)
    return latent, torch.cat([turned.real, turned.imag], dim=-1)


@variant("2.11a")
def in_double(self: Any, x: Tensor, rope: Rope) -> Pair:
    """All arithmetic in float64, returned in float32."""
    both = x.double() @ self.kv_a_proj_with_mqa.weight.double().T
    latent, key = cut(self, both)
    root = (latent.pow(2).mean(-1, keepdim=True) + self.kv_a_layernorm.eps).sqrt()
    a, b = key.chunk(2, -1)
    cos, sin = rope[0].double(), rope[1].double()
    key = torch.cat((a * cos - b * sin, b * cos + a * sin), -1)
    return (latent / root * self.kv_a_layernorm.weight.double()).float(), key.float()
