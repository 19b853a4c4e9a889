"""The equivalence ladder: attention of one kind rewritten as another, weight by weight, with equal answers.

Every function takes an implementation `m` (a module with the course's names) and a layer of it, and returns
a layer, or an answer, of the next rung. `rungs` runs both sides over the same inputs.

Write-up: docs/step2/ladder.md
"""

from __future__ import annotations

import math
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

# MLA's class has a rotary part. Two features whose weights are all 0 are the smallest that can be silent.
SILENT = 2


def unrotated(batch: int, length: int, dim: int) -> tuple[Tensor, Tensor]:
    """Return the rotation of `dim` features by no angle at every position: cos 1 and sin 0."""
    return torch.ones(batch, length, dim // 2), torch.zeros(batch, length, dim // 2)


def gqa_from_mha(m: Any, attention: Any) -> Any:
    """Return part one's attention as grouped attention with a key/value head for each query head.

    The answers are equal where nothing is rotated and the biases of `attention` are 0: today's layers have
    none. `c_attn` holds queries, keys and values in one matrix, which is cut in three.

    Write-up: docs/step2/ladder.md#multi-head-is-grouped-with-a-group-for-each-head
    """
    heads, width = attention.n_head, attention.c_proj.in_features
    args = m.ModelArgs(d_model=width, n_heads=heads, n_kv_heads=heads, attention="gqa")
    layer = m.GroupedQueryAttention(args)
    parts = attention.c_attn.weight.chunk(3)
    return filled(layer, dict(zip("qkv", parts)) | {"o": attention.c_proj.weight})


def with_repeated_heads(m: Any, layer: Any, groups: int) -> Any:
    """Return grouped attention with `groups` key/value heads: each old one stands there several times.

    From G to H it makes multi-head attention of grouped attention, from 1 to G grouped attention of
    multi-query attention. The cache grows by the same factor, the answers stay.

    Write-up: docs/step2/ladder.md#grouped-is-multi-head-with-keys-and-values-repeated
    """
    old = layer.args
    args = m.ModelArgs(d_model=old.d_model, n_heads=old.n_heads, n_kv_heads=groups, attention="gqa")
    times = groups // old.n_kv_heads
    pattern = "(G D) C -> (G times D) C"
    wide = {
        name: repeat(getattr(layer, f"{name}_proj").weight, pattern, G=old.n_kv_heads, times=times)
        for name in "kv"
    }
    weights = wide | {"q": layer.q_proj.weight, "o": layer.o_proj.weight}
    return filled(m.GroupedQueryAttention(args), weights)


def mla_from_gqa(m: Any, layer: Any, *, has_norm: bool = False) -> Any:
    """Return grouped attention, without its rotation, as latent attention: its latent is all keys and values.

    The latent, 2 · G · D numbers, is the keys of all groups and then their values; `kv_b_proj` only picks
    for every head what belongs to its group. The norm of the latent is replaced by the identity. With
    `has_norm` it stays, with a gain of 1, and the answers differ: every latent is divided by its size.

    Write-up: docs/step2/ladder.md#grouped-without-rotation-is-latent
    """
    old, D = layer.args, layer.args.head_dim
    sizes = {"qk_nope_head_dim": D, "v_head_dim": D, "qk_rope_head_dim": SILENT}
    sizes |= {"kv_lora_rank": 2 * old.n_kv_heads * D, "n_heads": old.n_heads, "n_kv_heads": old.n_heads}
    mla = m.MLA(m.ModelArgs(d_model=old.d_model, attention="mla", **sizes))
    if not has_norm:
        mla.kv_a_layernorm = nn.Identity()
    # MLA divides scores by √(D + 2) where grouped attention divides by √D: the queries make up for it.
    q = rearrange(layer.q_proj.weight, "(H D) C -> H D C", D=D) * math.sqrt((D + SILENT) / D)
    silent = q.new_zeros(old.n_heads, SILENT, old.d_model)
    kept = [layer.k_proj.weight, layer.v_proj.weight, silent[0]]
    with torch.no_grad():
        mla.q_proj.weight.copy_(rearrange(torch.cat([q, silent], dim=1), "H D C -> (H D) C"))
        mla.kv_a_proj_with_mqa.weight.copy_(torch.cat(kept))
        mla.kv_b_proj.weight.copy_(picks(old.n_heads, old.n_kv_heads, D))
        mla.o_proj.weight.copy_(layer.o_proj.weight)
    return mla.eval()


def picks(heads: int, groups: int, D: int) -> Tensor:
    """Return the matrix (H · 2D, 2GD) of zeros and ones that picks key and value of every head's group."""
    keys, values = torch.eye(2 * groups * D).view(2, groups, D, 2 * groups * D)
    own = torch.arange(heads) // (heads // groups)
    return rearrange(torch.cat([keys[own], values[own]], dim=1), "H D R -> (H D) R")


def mla_as_mqa(
    m: Any, layer: Any, x: Tensor, rope: Any, mask: Tensor | None = None, cache: Any = None
) -> Tensor:
    """Return what latent attention answers, computed by grouped attention with a single key/value head.

    The one key is latent and rotary key side by side, R + Dr features; the one value is its first R. Queries
    are carried into the space of latents; the mixtures that come out are latents, and become values last.

    Write-up: docs/step2/ladder.md#absorbed-is-multi-query
    """
    args = layer.args
    q_plain, q_rotary = layer.queries(x, rope)
    latent, key = layer.compress(x, rope)
    if cache is not None:
        cache.append(latent, key)
        latent, key = cache.read()
    weight = rearrange(layer.kv_b_proj.weight, "(H D) R -> H D R", H=args.n_heads)
    to_key, to_value = weight.split([args.qk_nope_head_dim, args.v_head_dim], dim=1)
    q = torch.cat([q_plain @ to_key, q_rotary], dim=-1)
    # grouped_attention divides by the root of R + Dr, MLA by that of Dn + Dr.
    q = q * math.sqrt(q.shape[-1] / (args.qk_nope_head_dim + args.qk_rope_head_dim))
    k = torch.cat([latent, key], dim=-1).unsqueeze(1)
    y = m.grouped_attention(q, k, latent.unsqueeze(1), mask) @ to_value.mT
    return layer.o_proj(rearrange(y, "B H T Dv -> B T (H Dv)"))


def filled(layer: Any, weights: dict[str, Tensor]) -> Any:
    """Return a grouped layer that holds these weights: "q", "k", "v" and "o"."""
    with torch.no_grad():
        for name, weight in weights.items():
            getattr(layer, f"{name}_proj").weight.copy_(weight)
    return layer.eval()
