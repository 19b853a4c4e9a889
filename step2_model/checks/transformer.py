"""Probe of the modern decoder as a whole (2.10b)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coursekit.chain import Chain
from coursekit.probe import cases, check, equal, steps
from step2_model.checks.modern import build_args, build_modern, fill_heads
from step2_model.checks.observe import DEEP, Affine, fix_chance, gradients, parameters

NONE = -100


def build_decoder(m: Any, rng: Any, **changes: Any) -> Any:
    """Return a decoder of two layers over 13 tokens, every parameter redrawn."""
    return build_modern(m.Transformer, rng, build_args(m, **changes))


@check("2.10b")
def decoder(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    ids = rng.integers(0, 13, 2, 7)
    model = build_decoder(m, rng)
    argument = ids.clone()
    out = model(argument)
    yield equal("embed, all layers in order, norm, lm_head: logits for every position", out.logits, DEEP)
    yield "the argument ids is left as it was", argument
    yield "without labels there is no loss, and never an auxiliary one", (out.loss, out.aux_loss)
    tied = build_decoder(m, rng, tie_embeddings=True, n_layers=3)
    yield equal("tied embeddings: the head is the matrix of embed_tokens", tied(ids).logits, DEEP)
    latent = build_decoder(m, rng, attention="mla")
    yield equal("the same with latent attention in the layers", latent(ids).logits, DEEP)
    yield from losses_of_decoder(model, rng, ids)
    yield from cached_decoder(m, rng, model, ids)
    yield from padded_decoder(model, ids)
    found = gradients(model(ids).logits, rng.normal(2, 7, 13), parameters(model))
    yield equal("gradients reach every parameter", found, DEEP)


def losses_of_decoder(model: Any, rng: Any, ids: torch.Tensor) -> Any:
    """Yield the loss with labels that are the ids, and with labels that are not."""
    out = model(ids, ids)
    yield equal("with labels: the loss of predicting each next token", out.loss, DEEP)
    yield equal("with labels: the logits are the same as without", out.logits, DEEP)
    labels = rng.integers(0, 13, 2, 7)
    labels[0, 2:4] = NONE
    yield equal("labels that differ from the ids, some of them -100", model(ids, labels).loss, DEEP)


def cached_decoder(m: Any, rng: Any, model: Any, ids: torch.Tensor) -> Any:
    """Yield logits of tokens that follow those in the caches."""
    filled = [fill_heads(m, rng, 2, 3, 4, 4) for _ in model.layers]
    late = model(ids[:, :3], cache=filled).logits
    yield equal("each layer's cache holds 4 positions: three tokens at positions 4, 5 and 6", late, DEEP)
    cache = model.new_cache()
    first = model(ids[:, :4], cache=cache).logits
    yield equal("an empty cache for each layer: the first four tokens", first, DEEP)
    yield "afterwards the cache of every layer holds these four", [len(layer) for layer in cache]
    then = model(ids[:, 4:], cache=cache).logits
    yield equal("three more tokens: they stand at positions 4, 5 and 6", then, DEEP)
    cache = model.new_cache()
    singly = [model(ids[:, t : t + 1], cache=cache).logits for t in range(5)]
    yield equal("one token at a time, as in generation", singly, DEEP)


def padded_decoder(model: Any, ids: torch.Tensor) -> Any:
    """Yield logits of rows with padding on the left; only those of real tokens count."""
    padding = torch.tensor([0, 3])
    labels = ids.clone()
    labels[1, :4] = NONE
    out = model(ids, labels, padding=padding)
    yield equal("three tokens of padding: what is real is as without them", real_only(out.logits, 3), DEEP)
    yield equal("padding and labels: the loss of what is real", out.loss, DEEP)
    cache = model.new_cache()
    model(ids[:, :5], cache=cache, padding=padding)
    then = model(ids[:, 5:], cache=cache, padding=padding).logits
    yield equal("padding and a cache: two more tokens", then, DEEP)


def real_only(logits: Any, padding: int) -> Any:
    """Return the logits of both rows without the second's padding."""
    is_whole = isinstance(logits, torch.Tensor) and logits.dim() == 3 and logits.shape[0] == 2
    return [logits[0], logits[1, padding:]] if is_whole else logits


class Reading(nn.Module):
    """Stands for a layer: a multiple of the stream, plus the position, plus ten for each key to be read."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Any, rope: Any, mask: Any = None, cache: Any = None) -> Any:
        # The first pair turns by 1 for each position, so that its angle is the position up to 3.
        position = torch.atan2(rope[1][..., :1], rope[0][..., :1]).round()
        T, past = x.shape[1], 0 if cache is None else len(cache)
        if cache is not None:
            cache.append(*torch.zeros(2, len(x), 1, T, 2))
        if mask is None:
            mask = torch.ones(T, past + T, dtype=torch.bool).tril(past)
        return self.factor * x + position + 10 * mask.sum(dim=-1).reshape(-1, T, 1)


def small_model(m: Any, n_layers: int, is_tied: bool) -> Any:
    """Return a decoder over three tokens with stand-ins for its layers and its norm, and what is in it."""
    sizes = {"d_model": 2, "n_layers": n_layers, "n_heads": 1, "n_kv_heads": 1, "attention": "gqa"}
    sizes |= {"intermediate_size": 2, "vocab_size": 3, "max_seq_len": 4, "tie_embeddings": is_tied}
    model = m.Transformer(m.ModelArgs(**sizes))
    model.layers, model.norm = nn.ModuleList(map(Reading, (2.0, 3.0)[:n_layers])), Affine(10.0)
    weights = {"embed_tokens.weight": [[0.0, 1.0], [1.0, 0.0], [1.0, 2.0]]}
    if not is_tied:
        weights["lm_head.weight"] = [[1.0, -1.0], [0.0, 1.0], [2.0, 0.0]]
    with torch.no_grad():
        for name, numbers in weights.items():
            model.get_parameter(name).copy_(torch.tensor(numbers))
    told: dict[str, Any] = {name: torch.tensor(numbers) for name, numbers in weights.items()}
    told |= {} if not is_tied else {"lm_head": None}
    told |= {f"layers[{i}](x, ...)": f"{i + 2} x + p + 10 m" for i in range(n_layers)}
    told |= {"p": "the position, from rope", "m": "how many keys may be read, past ones too"}
    return model, told | {"norm(x)": "10 x"}


@cases("2.10b")
def small_decoder(m: Any) -> Any:
    for n_layers, numbers in ((1, [[1]]), (1, [[1, 2]]), (2, [[1]]), (2, [[1, 2], [0, 1]])):
        (model, told), ids = small_model(m, n_layers, False), torch.tensor(numbers)
        yield {"ids": ids, **told}, model(ids).logits
    yield from small_calls(model, told)
    # At the end, since code that always takes lm_head stops here.
    (model, told), ids = small_model(m, 1, True), torch.tensor([[1]])
    yield {"ids": ids, **told}, model(ids).logits


def small_calls(model: Any, told: dict[str, Any]) -> Any:
    """Yield cases with labels and without, with padding and with a cache."""
    ids, padding = torch.tensor([[0, 1, 0]]), torch.tensor([1])
    for labels in (ids, torch.tensor([[NONE, NONE, 0]])):
        yield {"ids": ids, "labels": labels, "shown": "the loss", **told}, model(ids, labels).loss
    out = model(ids)
    yield {"ids": ids, "shown": "loss and aux_loss", **told}, (out.loss, out.aux_loss)
    shown = {"shown": "the logits of the last two", **told}
    yield {"ids": ids, "padding": padding, **shown}, model(ids, padding=padding).logits[:, 1:]
    full, empty = model.new_cache(), model.new_cache()
    for layer in full:
        layer.append(*torch.zeros(2, 1, 1, 3, 2))
    ids = torch.tensor([[2]])
    yield {"ids": ids, "cache": "3 positions for each layer", **told}, model(ids, cache=full).logits
    model(torch.tensor([[1, 2]]), cache=empty)
    yield {"ids": ids, "cache": "was empty, then ids = [[1, 2]]", **told}, model(ids, cache=empty).logits


def along_decoder(m: Any, rng: Any, has_cache: bool) -> Any:
    """Yield what the parts of a decoder return."""
    model, ids = build_decoder(m, rng), rng.integers(0, 13, 2, 7)
    cache = [fill_heads(m, rng, 2, 3, 4, 4) for _ in model.layers] if has_cache else None
    chain = Chain(DEEP)
    chain.calls(m, "rope_at", "positions")
    chain.returns("embed_tokens returns", model.embed_tokens)
    for i, layer in enumerate(model.layers):
        chain.reads(f"layer {i} reads", layer)
        chain.returns(f"layer {i} returns", layer)
    chain.reads("norm reads", model.norm)
    chain.returns("norm returns", model.norm)
    yield from chain.of(lambda: model(ids, cache=cache).logits, "the logits")


@steps("2.10b")
def chain_of_decoder(m: Any, rng: Any) -> Any:
    yield from along_decoder(m, rng, False)


@steps("2.10b")
def chain_of_decoder_with_cache(m: Any, rng: Any) -> Any:
    """with a cache of 4 past positions for each layer"""
    yield from along_decoder(m, rng, True)
