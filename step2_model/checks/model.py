"""Probes of the model's own methods: embeddings (2.4a), all blocks (2.4b), logits (2.4c)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

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
)


@check("2.4a")
def embed(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    model = build(m.GPT, build_config(m, n_layer=1), rng)
    ids = rng.integers(0, 11, 3, 5)
    argument = ids.clone()
    yield "every token: the vector of its id plus the vector of its position", model.embed(argument)
    yield "the argument ids is left as it was", argument
    yield "the same id at every place: only the positions differ", model.embed(torch.full((2, 5), 7))
    yield "one token alone stands at position 0", model.embed(ids[:1, :1])
    yield "as many tokens as block_size: the last position is used", model.embed(rng.integers(0, 11, 2, 9))
    yield from dropout_of_embeddings(m, rng)
    found = gradients(model.embed(ids), rng.normal(3, 5, 12), tables(model))
    yield equal("gradients reach both tables", found, DEEP)
    yield "start = 3: the first token stands at position 3", model.embed(ids, 3)
    yield "start = 4: five tokens fill up block_size", model.embed(ids, 4)
    yield "start = 8: one new token, as in generation", model.embed(ids[:, :1], 8)


def tables(model: Any) -> dict[str, torch.Tensor]:
    """Return the two embedding tables by name."""
    return {"wte": model.wte.weight, "wpe": model.wpe.weight}


def dropout_of_embeddings(m: Any, rng: Any) -> Any:
    """Yield what dropout must do to the embeddings: off in evaluation, once, on the sum."""
    model = build(m.GPT, build_config(m, n_layer=1, dropout=DROPOUT), rng)
    ids, seed = rng.integers(0, 11, 8, 9), rng.integer(0, 2**31)
    torch.manual_seed(seed)
    evaluated = model.eval().embed(ids)
    yield "in evaluation nothing is dropped", evaluated
    model.train()
    model.drop.p = 1.0
    yield "dropout acts on the sum: with a probability of 1 nothing is left", model.embed(ids)
    model.drop.p = DROPOUT
    torch.manual_seed(seed)
    trained = model.embed(ids)
    yield "dropout is applied once: what it keeps grows by 1/(1 - p)", largest_factor(trained, evaluated)
    yield holds("dropout zeroes a share p of the numbers", count_zeros(trained), drops_a_quarter)


@cases("2.4a")
def small_embeddings(m: Any) -> Any:
    model = m.GPT(build_config(m, vocab_size=3, block_size=4, n_layer=1, n_head=1, n_embd=2))
    fill_whole(model)
    weights = {f"{name}.weight": table.detach().clone() for name, table in tables(model).items()}
    for ids, start in (
        ([[0]], 0),
        ([[1]], 0),
        ([[1, 2]], 0),
        ([[0]], 1),
        ([[1, 2]], 2),
        ([[1, 2], [2, 0]], 1),
    ):
        yield {"ids": torch.tensor(ids), "start": start, **weights}, model.embed(torch.tensor(ids), start)


@check("2.4b")
def transform(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    x, direction = rng.normal(2, 5, 12), rng.normal(2, 5, 12)
    one = build(m.GPT, build_config(m, n_layer=1), rng)
    argument = x.clone()
    yield equal("a model of one block: x goes through it once", one.transform(argument), DEEP)
    yield "the argument x is left as it was", argument
    two = build(m.GPT, build_config(m), rng)
    yield equal("two blocks: the second reads what the first returned", two.transform(x), DEEP)
    model = build(m.GPT, build_config(m, n_layer=4), rng)
    yield equal("four blocks, each once, in the order of self.h", model.transform(x), DEEP)
    past = [fill_cache(m, rng, 2, 3, 2 + layer, 4) for layer in range(4)]
    yield equal("with caches: block i reads the past in cache[i]", model.transform(x[:, :2], past), DEEP)
    empty = model.new_cache()
    parts = model.transform(x[:, :3], empty), model.transform(x[:, 3:], empty)
    yield equal("empty caches are filled: three positions, then two more", parts, DEEP)
    yield "every block's cache holds all five positions", [len(cache) for cache in empty]
    x.requires_grad_()
    found = gradients(model.transform(x), direction, {"x": x, **parameters(model.h)})
    yield equal("gradients reach x and every block", found, DEEP)


@cases("2.4b")
def small_transforms(m: Any) -> Any:
    doubling, adding = ("2 y + c", Affine(2.0)), ("y + 1 + c", Affine(1.0, 1.0))
    for blocks, cache in (
        ((doubling,), None),
        ((doubling, adding), None),
        ((adding, doubling, adding), None),
        ((doubling, adding), [10.0, 20.0]),
        # What the three caches bring counts four times, twice and once: any two orders differ.
        ((adding, doubling, doubling), [10.0, 20.0, 30.0]),
    ):
        model = m.GPT(build_config(m, n_layer=len(blocks), n_head=1, n_embd=2))
        model.h = nn.ModuleList(part for _, part in blocks)
        told = {f"h[{i}](y, c)": text for i, (text, _) in enumerate(blocks)}
        x = torch.tensor([[[1.0, 3.0]]])
        yield {"x": x, "cache": cache, **told}, model.transform(x.clone(), cache)


@check("2.4c")
def logits(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    model = build(m.GPT, build_config(m), rng)
    x, direction = rng.normal(2, 5, 12), rng.normal(2, 5, 11)
    argument = x.clone()
    yield "logits[t, v] = ln_f(x)[t] · wte.weight[v]", model.logits(argument)
    yield "the argument x is left as it was", argument
    yield (
        "ln_f comes first: an x ten times as long, and shifted, gives nearly the same",
        model.logits(10 * x + 3),
    )
    yield "a very small x is normalized too", model.logits(1e-2 * x)
    yield "one position alone gives the same as among others", model.logits(x[:1, 2:3])
    with torch.no_grad():
        model.wte.weight.mul_(2.0)
    yield "the head is the embedding itself: twice as long token vectors, twice the logits", model.logits(x)
    x.requires_grad_()
    inputs = {"x": x, "wte": model.wte.weight, **{f"ln_f.{k}": v for k, v in parameters(model.ln_f).items()}}
    yield equal("gradients reach x, ln_f and wte", gradients(model.logits(x), direction, inputs), DEEP)


@cases("2.4c")
def small_logits(m: Any) -> Any:
    model = m.GPT(build_config(m, vocab_size=3, n_layer=1, n_head=1, n_embd=2))
    fill_whole(model)
    names = ("ln_f.weight", "ln_f.bias", "wte.weight")
    weights = {name: model.get_parameter(name).detach().clone() for name in names}
    for x in ([[[0.0, 2.0]]], [[[0.0, 2.0], [3.0, -1.0]]]):
        yield {"x": torch.tensor(x), **weights}, model.logits(torch.tensor(x))
