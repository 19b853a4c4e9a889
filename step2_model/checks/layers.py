"""Probes of the two layers that know nothing of heads: the feed-forward layer (2.1) and the block
(2.2).
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, equal, holds
from step2_model.checks.observe import (
    DEEP,
    DROPOUT,
    Affine,
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
    silence,
)


@check("2.1")
def feed_forward(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    layer = build(m.MLP, build_config(m, n_embd=6), rng)
    x, direction = rng.normal(2, 5, 6), rng.normal(2, 5, 6)
    argument = x.clone()
    yield "every position: widened by c_fc, bent by GELU, brought back by c_proj", layer(argument)
    yield "the argument x is left as it was", argument
    yield "large activations go through GELU as they are", layer(20 * x)

    delicate = build(m.MLP, build_config(m, n_embd=6), rng)
    with torch.no_grad():
        delicate.c_fc.weight.mul_(0.1)
        delicate.c_fc.bias.fill_(-2.3)
        delicate.c_proj.bias.zero_()
    forms = "GELU in its tanh form, seen near -2.3 where the two forms differ most"
    yield equal(forms, delicate(x), DEEP)

    yield "a single position alone gives the same as among others", layer(x[:1, 2:3])
    yield from dropout_of_mlp(m, rng)
    x.requires_grad_()
    yield equal(
        "gradients reach x and every parameter",
        gradients(layer(x), direction, {"x": x, **parameters(layer)}),
        DEEP,
    )


def dropout_of_mlp(m: Any, rng: Any) -> Any:
    """Yield what dropout must do in the feed-forward layer: off in evaluation, once, on the result."""
    layer = build(m.MLP, build_config(m, n_embd=6, dropout=DROPOUT), rng)
    x, seed = rng.normal(8, 16, 6), rng.integer(0, 2**31)
    torch.manual_seed(seed)
    evaluated = layer.eval()(x)
    yield "in evaluation nothing is dropped", evaluated
    layer.train()
    layer.dropout.p = 1.0
    yield "dropout comes last: with a probability of 1 nothing is left of the result", layer(x)
    layer.dropout.p = DROPOUT
    torch.manual_seed(seed)
    trained = layer(x)
    yield "dropout is applied once: what it keeps grows by 1/(1 - p)", largest_factor(trained, evaluated)
    yield holds("dropout zeroes a share p of the result", count_zeros(trained), drops_a_quarter)


@cases("2.1")
def small_feed_forward(m: Any) -> Any:
    layer = m.MLP(build_config(m, n_embd=1, n_head=1))
    weights = fill_whole(layer)
    for x in ([[[0.0]]], [[[1.0]]], [[[2.0], [-1.0]]]):
        yield {"x": torch.tensor(x), **weights}, layer(torch.tensor(x))


@check("2.2")
def block(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    x, direction = rng.normal(2, 5, 12), rng.normal(2, 5, 12)
    config = build_config(m)
    attends, thinks, whole = (build(m.Block, config, rng) for _ in range(3))
    silence(attends.mlp.c_proj)
    argument = x.clone()
    yield "where the MLP answers 0: x plus attn(ln_1(x))", attends(argument)
    yield "the argument x is left as it was (x += ... would change it)", argument
    silence(thinks.attn.c_proj)
    yield "where attention answers 0: x plus mlp(ln_2(x))", thinks(x)
    yield "both: the MLP reads, and adds to, what attention left", whole(x)
    yield "a large x passes through: the stream itself is never normalized", whole(100 * x + 30)

    yield "a very small x: both norms are those of the block, eps included", whole(3e-3 * x)
    dropping = build(m.Block, build_config(m, dropout=DROPOUT), rng)
    yield "in evaluation nothing is dropped", dropping.eval()(x)
    dropping.train()
    dropping.attn.resid_dropout.p = dropping.mlp.dropout.p = 1.0
    yield "where both parts drop all they say, x is left whole: the stream is not dropped", dropping(x)
    yield "with a cache: attention also reads the past", whole(x, fill_cache(m, rng, 2, 3, 4, 4))
    cache = m.GrowingCache()
    first, then = whole(x[:, :3], cache), whole(x[:, 3:], cache)
    yield "an empty cache is filled: three positions, then two more", (first, then, len(cache))
    x.requires_grad_()
    yield equal(
        "gradients reach x and every parameter",
        gradients(whole(x), direction, {"x": x, **parameters(whole)}),
        DEEP,
    )


@cases("2.2")
def small_block(m: Any) -> Any:
    layer = m.Block(build_config(m, n_embd=2, n_head=1))
    layer.attn, layer.mlp = Affine(10.0), Affine(100.0)
    with torch.no_grad():
        layer.ln_2.weight.fill_(2.0)
        layer.ln_2.bias.fill_(1.0)
    parts = {"attn(y, c)": "10 y + c", "mlp(y)": "100 y", "ln_1": "gain 1, bias 0", "ln_2": "gain 2, bias 1"}
    for x, cache in (([[[0.0, 2.0]]], None), ([[[0.0, 2.0], [3.0, 1.0]]], None), ([[[0.0, 2.0]]], 30.0)):
        yield {"x": torch.tensor(x), "cache": cache, **parts}, layer(torch.tensor(x), cache)
