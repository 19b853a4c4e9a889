"""Probe of the modern decoder as a whole (2.10b)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.chain import Chain
from coursekit.probe import cases, check, equal, steps
from step2_model.checks.modern import build_args, build_modern, fill_heads
from step2_model.checks.observe import DEEP, fill_whole, fix_chance, gradients, parameters

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


@cases("2.10b")
def small_decoder(m: Any) -> Any:
    for is_tied in (True, False):
        for n_layers in (1, 2):
            sizes = {"d_model": 2, "n_layers": n_layers, "n_heads": 1, "n_kv_heads": 1, "attention": "gqa"}
            sizes |= {"intermediate_size": 2, "vocab_size": 3, "max_seq_len": 4, "tie_embeddings": is_tied}
            model = m.Transformer(m.ModelArgs(**sizes))
            weights = fill_whole(model)
            for ids in ([[1]], [[1, 2]], [[1, 2, 0], [0, 0, 1]]):
                yield {"ids": torch.tensor(ids), **sizes, **weights}, model(torch.tensor(ids)).logits
    yield from small_calls(model, {**sizes, **weights})


def small_calls(model: Any, told: dict[str, Any]) -> Any:
    """Yield cases with labels, with padding and with a cache."""
    ids, padding = torch.tensor([[1, 2, 0]]), torch.tensor([1])
    yield {"ids": ids, "labels": ids, "shown": "the loss", **told}, model(ids, ids).loss
    shown = {"shown": "the logits of the last two", **told}
    yield {"ids": ids, "padding": padding, **shown}, model(ids, padding=padding).logits[:, 1:]
    cache = model.new_cache()
    model(ids[:, :2], cache=cache)
    inputs = {"ids": ids[:, 2:], "cache": "holds the tokens 1 and 2", **told}
    yield inputs, model(ids[:, 2:], cache=cache).logits


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
