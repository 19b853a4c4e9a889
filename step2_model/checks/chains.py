"""What step 2's code computes on its way, exercise by exercise: after a failure, the first value that differs
is pointed at. Shapes are those of `build_config`; dropout is off.
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.chain import Chain
from coursekit.probe import steps
from step2_model.checks.milestones import SIZES, gpt2_weights, load
from step2_model.checks.observe import DEEP, build, build_config, fill_cache


@steps("2.1")
def chain_of_mlp(m: Any, rng: Any) -> Any:
    layer, x = build(m.MLP, build_config(m, n_embd=6), rng), 2 * rng.normal(2, 5, 6)
    chain = Chain()
    chain.returns("c_fc returns", layer.c_fc)
    chain.reads("c_proj reads (GELU)", layer.c_proj)
    chain.returns("c_proj returns", layer.c_proj)
    yield from chain.of(lambda: layer(x), "the result")


def along_block(m: Any, rng: Any, cache: Any) -> Any:
    """Yield the values on the way through a block."""
    layer, x = build(m.Block, build_config(m), rng), rng.normal(2, 5, 12)
    chain = Chain()
    chain.reads("ln_1 reads (x)", layer.ln_1)
    chain.returns("ln_1 returns", layer.ln_1)
    chain.reads("attn reads", layer.attn)
    chain.returns("attn returns", layer.attn)
    chain.reads("ln_2 reads (x + attn)", layer.ln_2)
    chain.returns("ln_2 returns", layer.ln_2)
    chain.reads("mlp reads", layer.mlp)
    chain.returns("mlp returns", layer.mlp)
    yield from chain.of(lambda: layer(x, cache), "the result")


@steps("2.2")
def chain_of_block(m: Any, rng: Any) -> Any:
    yield from along_block(m, rng, None)


@steps("2.2")
def chain_of_block_with_cache(m: Any, rng: Any) -> Any:
    """with a cache of 4 past positions"""
    yield from along_block(m, rng, fill_cache(m, rng, 2, 3, 4, 4))


@steps("2.2")
def chain_of_block_with_empty_cache(m: Any, rng: Any) -> Any:
    """with an empty cache"""
    cache = m.GrowingCache()
    yield from along_block(m, rng, cache)
    yield "len(cache) afterwards", len(cache)


def along_heads(m: Any, rng: Any, cache: Any) -> Any:
    """Yield the values on the way through attention with three heads."""
    layer, x = build(m.CausalSelfAttention, build_config(m), rng), rng.normal(2, 5, 12)
    chain = Chain()
    chain.returns("c_attn returns", layer.c_attn)
    chain.calls(m, "attention_scores", "q in heads", "k in heads", returns="the scores")
    chain.calls(m, "apply_causal_mask", "the mask reads", returns="the mask returns")
    chain.calls(m, "attend", "attend reads", "v in heads", returns="attend returns")
    chain.reads("c_proj reads (heads)", layer.c_proj)
    chain.returns("c_proj returns", layer.c_proj)
    yield from chain.of(lambda: layer(x, cache), "the result")


@steps("2.3d")
def chain_of_heads(m: Any, rng: Any) -> Any:
    yield from along_heads(m, rng, None)


@steps("2.3d")
def chain_of_heads_with_cache(m: Any, rng: Any) -> Any:
    """with a cache of 4 past positions"""
    yield from along_heads(m, rng, fill_cache(m, rng, 2, 3, 4, 4))


@steps("2.3d")
def chain_of_heads_with_empty_cache(m: Any, rng: Any) -> Any:
    """with an empty cache"""
    cache = m.GrowingCache()
    yield from along_heads(m, rng, cache)
    yield "len(cache) afterwards", len(cache)


def along_embedding(m: Any, rng: Any, start: int) -> Any:
    """Yield the values on the way through the embeddings."""
    model = build(m.GPT, build_config(m, n_layer=1), rng)
    ids = rng.integers(0, 11, 3, 5)
    chain = Chain()
    chain.returns("wte returns", model.wte)
    chain.reads("wpe reads (positions)", model.wpe)
    chain.returns("wpe returns", model.wpe)
    chain.reads("drop reads (the sum)", model.drop)
    yield from chain.of(lambda: model.embed(ids, start), "the result")


@steps("2.4a")
def chain_of_embedding(m: Any, rng: Any) -> Any:
    yield from along_embedding(m, rng, 0)


@steps("2.4a")
def chain_of_embedding_from_start(m: Any, rng: Any) -> Any:
    """with start = 3"""
    yield from along_embedding(m, rng, 3)


def along_blocks(m: Any, rng: Any, has_cache: bool) -> Any:
    """Yield what each block reads and returns, and the cache that it gets."""
    model, x = build(m.GPT, build_config(m, n_layer=3), rng), rng.normal(2, 3, 12)
    caches = [fill_cache(m, rng, 2, 3, 2 + i, 4) for i in range(3)] if has_cache else None
    chain = Chain(DEEP)
    for i, block in enumerate(model.h):
        chain.reads(f"block {i} reads", block)
        chain.returns(f"block {i} returns", block)
    yield from chain.of(lambda: model.transform(x, caches), "the result")


@steps("2.4b")
def chain_of_blocks(m: Any, rng: Any) -> Any:
    yield from along_blocks(m, rng, False)


@steps("2.4b")
def chain_of_blocks_with_caches(m: Any, rng: Any) -> Any:
    """with a cache for each block"""
    yield from along_blocks(m, rng, True)


@steps("2.4c")
def chain_of_logits(m: Any, rng: Any) -> Any:
    model, x = build(m.GPT, build_config(m), rng), 3 * rng.normal(2, 5, 12) + 1
    chain = Chain()
    chain.reads("ln_f reads (x)", model.ln_f)
    chain.returns("ln_f returns", model.ln_f)
    yield from chain.of(lambda: model.logits(x), "the result")


@steps("2.gpt2")
def chain_of_gpt2(m: Any, rng: Any) -> Any:
    model = load(m, gpt2_weights(rng))
    ids = rng.integers(0, SIZES["vocab_size"], 2, 11)
    yield from along_model(model, lambda: model(ids).logits)


@steps("2.learns")
def chain_of_training(m: Any, rng: Any) -> Any:
    """before the first step"""
    model, ids = build(m.GPT, build_config(m), rng), rng.integers(0, 11, 2, 7)
    yield from along_model(model, lambda: model(ids, ids).logits)
    yield "the loss", model(ids, ids).loss


def along_model(model: Any, run: Any) -> Any:
    """Yield what the parts of a GPT return; of transformers' GPT-2 too, which keeps its parts elsewhere."""
    inner = getattr(model, "model", model)
    parts = getattr(inner, "transformer", inner)
    chain = Chain()
    chain.returns("wte returns", parts.wte)
    chain.returns("wpe returns", parts.wpe)
    for i, block in enumerate(parts.h):
        chain.reads(f"block {i} reads", block)
        chain.returns(f"block {i} returns", block)
    chain.returns("ln_f returns", parts.ln_f)
    with torch.no_grad():
        yield from chain.of(run, "the logits")
