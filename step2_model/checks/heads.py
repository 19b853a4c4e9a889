"""Probe of attention as a layer: the heads side by side (2.3d)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, equal, holds
from step2_model.checks.observe import (
    DEEP,
    DROPOUT,
    build,
    build_config,
    count_zeros,
    drops_a_quarter,
    fill_cache,
    fill_whole,
    fix_chance,
    gradients,
    largest_factor,
    parameters,
)


@check("2.3d")
def heads(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    x, direction = rng.normal(2, 5, 12), rng.normal(2, 5, 12)
    single = build(m.CausalSelfAttention, build_config(m, n_head=1), rng)
    argument = x.clone()
    yield "one head: project to q, k, v; score, mask, mix; project with c_proj", single(argument)
    yield "the argument x is left as it was", argument
    layer = build(m.CausalSelfAttention, build_config(m), rng)
    yield "three heads, each on its own 4 of the 12 features, put back side by side", layer(x)
    yield "the first position reads only itself", layer(x[:, :1])
    yield "with a cache of 4 past positions: 5 new ones follow them", layer(x, fill_cache(m, rng, 2, 3, 4, 4))
    cache = m.GrowingCache()
    first, then = layer(x[:, :3], cache), layer(x[:, 3:], cache)
    yield "an empty cache is filled: three positions, then two more", (first, then, len(cache))
    yield from dropout_of_attention(m, rng)
    x.requires_grad_()
    yield equal(
        "gradients reach x and every parameter",
        gradients(layer(x), direction, {"x": x, **parameters(layer)}),
        DEEP,
    )


def dropout_of_attention(m: Any, rng: Any) -> Any:
    """Yield what the two dropouts must do: on the weights and on the result, each once, in training
    only.
    """
    layer = build(m.CausalSelfAttention, build_config(m, dropout=DROPOUT), rng)
    x, seed = rng.normal(6, 7, 12), rng.integer(0, 2**31)
    torch.manual_seed(seed)
    evaluated = layer.eval()(x)
    yield "in evaluation nothing is dropped", evaluated
    layer.train()
    layer.attn_dropout.p, layer.resid_dropout.p = 1.0, 0.0
    yield "attn_dropout acts on the weights: with a probability of 1 only c_proj's bias is left", layer(x)
    layer.attn_dropout.p, layer.resid_dropout.p = 0.0, 1.0
    yield "resid_dropout acts on the result: with a probability of 1 nothing is left", layer(x)
    layer.resid_dropout.p = DROPOUT
    torch.manual_seed(seed)
    trained = layer(x)
    yield (
        "resid_dropout is applied once: what it keeps grows by 1/(1 - p)",
        largest_factor(trained, evaluated),
    )
    yield holds("resid_dropout zeroes a share p of the result", count_zeros(trained), drops_a_quarter)
    yield from dropout_of_weights(m, layer, rng, seed)


def dropout_of_weights(m: Any, layer: Any, rng: Any, seed: int) -> Any:
    """Yield what attn_dropout must do, with one new position after one past: two weights of 1/2 in each
    head.

    The past has the value 1 in every other feature, the new position in those between, and c_proj
    changes nothing: each feature shows one weight.
    """
    between = torch.tensor([0.0, 1.0]).repeat(6)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.c_attn.bias[24:] = between
        layer.c_proj.weight.copy_(torch.eye(12))
    layer.attn_dropout.p, layer.resid_dropout.p = DROPOUT, 0.0
    seen = []
    for is_training in (True, False):
        cache = m.GrowingCache()
        cache.append(torch.zeros(400, 3, 1, 4), (1 - between[:4]).expand(400, 3, 1, 4))
        torch.manual_seed(seed)
        seen.append(layer.train(is_training)(rng.normal(400, 1, 12), cache))
    trained, evaluated = seen
    yield "attn_dropout is applied once: what it keeps grows by 1/(1 - p)", largest_factor(trained, evaluated)
    is_whole = isinstance(trained, torch.Tensor) and trained.shape == (400, 1, 12)
    features = (
        (trained == 0).reshape(400, 3, 2, 2) if is_whole else torch.eye(2, dtype=torch.bool)[None, None]
    )
    weights = features.all(dim=-2)
    yield (
        "a dropped weight is dropped for all features of its head",
        bool((weights == features.any(dim=-2)).all()),
    )
    yield holds(
        "attn_dropout zeroes a share p of the weights", count_zeros((~weights).float()), drops_a_quarter
    )


@cases("2.3d")
def small_heads(m: Any) -> Any:
    for n_head in (1, 2):
        layer = m.CausalSelfAttention(build_config(m, n_embd=2, n_head=n_head))
        weights = fill_whole(layer)
        for x in ([[[1.0, 0.0]]], [[[1.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]]):
            inputs = {"x": torch.tensor(x), "n_head": n_head, **weights}
            yield inputs, layer(torch.tensor(x))
    yield from small_heads_of_two(m)


def small_heads_of_two(m: Any) -> Any:
    """Yield cases of two heads with two features each, alone and after a past position in a cache."""
    layer = m.CausalSelfAttention(build_config(m, n_embd=4, n_head=2))
    weights = fill_whole(layer)
    x = torch.tensor([[[1.0, 0.0, 0.0, 2.0], [0.0, 1.0, -1.0, 0.0]]])
    yield {"x": x, "n_head": 2, **weights}, layer(x)
    cache = m.GrowingCache()
    keys = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])
    values = torch.tensor([[[[3.0, 1.0]], [[-2.0, 5.0]]]])
    cache.append(keys.clone(), values.clone())
    inputs = {"x": x, "n_head": 2, "keys in the cache": keys, "values in the cache": values, **weights}
    yield inputs, layer(x, cache)
