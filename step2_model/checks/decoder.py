"""Probe of the modern block (2.10a)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coursekit.chain import Chain
from coursekit.probe import cases, check, equal, holds, steps
from step2_model.checks.modern import build_args, build_modern, fill_heads, rope_from
from step2_model.checks.observe import (
    DEEP,
    DROPOUT,
    count_zeros,
    drops_a_quarter,
    fix_chance,
    gradients,
    largest_factor,
    parameters,
    silence,
)


def build_block(m: Any, rng: Any, **changes: Any) -> Any:
    """Return a block with grouped attention and SwiGLU, every parameter redrawn."""
    args = build_args(m, **changes)
    attention, mlp = m.GroupedQueryAttention(args), m.SwiGLU(args.d_model, args.intermediate_size)
    return build_modern(m.DecoderBlock, rng, args, attention, mlp)


@check("2.10a")
def decoder_block(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    x, direction = rng.normal(2, 5, 24), rng.normal(2, 5, 24)
    rope = rope_from(m, build_args(m), 2, 0, 5)
    attends, thinks, whole = (build_block(m, rng) for _ in range(3))
    silence(attends.mlp.down_proj)
    argument = x.clone()
    yield "where the MLP answers 0: x plus self_attn(input_layernorm(x))", attends(argument, rope)
    yield "the argument x is left as it was (x += ... would change it)", argument
    silence(thinks.self_attn.o_proj)
    yield "where attention answers 0: x plus mlp(post_attention_layernorm(x))", thinks(x, rope)
    yield "both: the MLP reads, and adds to, what attention left", whole(x, rope)
    yield "a large x passes through: the stream itself is never normalized", whole(100 * x + 30, rope)
    yield "a very small x: both norms are those of the block, eps included", whole(1e-3 * x, rope)
    yield from handed_on(m, rng, whole, x)
    yield from dropout_of_block(m, rng)
    x.requires_grad_()
    found = gradients(whole(x, rope), direction, {"x": x, **parameters(whole)})
    yield equal("gradients reach x and every parameter", found, DEEP)


def handed_on(m: Any, rng: Any, block: Any, x: Any) -> Any:
    """Yield what attention must get: rope, mask and cache."""
    args = build_args(m)
    turned = m.rope_at(rng.integers(0, 50, 2, 5), args.rope_dim, args.rope_theta)
    yield "rope is handed on: angles of any kind turn queries and keys", block(x, turned)
    mask = torch.eye(5, dtype=torch.bool) | rng.integers(0, 2, 5, 5).bool()
    yield "the mask is handed on: what it allows is read", block(x, turned, mask)
    later = rope_from(m, args, 2, 4, 5)
    past = fill_heads(m, rng, 2, 3, 4, 4)
    yield "the cache is handed on: 4 past positions are read", block(x, later, None, past)
    long = torch.ones(5, 9, dtype=torch.bool).tril(4) & (rng.normal(9) > -1)
    long |= torch.eye(9, dtype=torch.bool)[4:]
    past = fill_heads(m, rng, 2, 3, 4, 4)
    yield "mask and cache together", block(x, later, long, past)
    cache, first_rope, next_rope = m.KVCache(), rope_from(m, args, 2, 0, 3), rope_from(m, args, 2, 3, 2)
    first, then = block(x[:, :3], first_rope, None, cache), block(x[:, 3:], next_rope, None, cache)
    yield "an empty cache is filled: three positions, then two more", (first, then, len(cache))


def dropout_of_block(m: Any, rng: Any) -> Any:
    """Yield what dropout must do in the block: off in evaluation, on each of the two answers, once."""
    x, rope = rng.normal(8, 16, 24), rope_from(m, build_args(m), 8, 0, 16)
    parts = {"attention's answer": "mlp.down_proj", "the MLP's answer": "self_attn.o_proj"}
    for answer, silent in parts.items():
        block = build_block(m, rng, dropout=DROPOUT, max_seq_len=16)
        silence(block.get_submodule(silent))
        torch.manual_seed(rng.integer(0, 2**31))
        evaluated = difference(block.eval()(x, rope), x)
        yield equal(f"in evaluation nothing of {answer} is dropped", evaluated, DEEP)
        trained = difference(block.train()(x, rope), x)
        yield holds(f"dropout zeroes a share p of {answer}", count_zeros(trained), drops_a_quarter)
        once = f"dropout is applied once to {answer}: what it keeps grows by 1/(1 - p)"
        yield equal(once, largest_factor(trained, evaluated), DEEP)


def difference(y: Any, x: torch.Tensor) -> Any:
    """Return what was added to x."""
    is_like_x = isinstance(y, torch.Tensor) and y.shape == x.shape
    return (y - x).detach() if is_like_x else y


class Told(nn.Module):
    """Stands for attention: ten times what it reads, plus what it was handed: cos, mask, past positions."""

    def forward(self, y: Any, rope: Any, mask: Any = None, cache: Any = None) -> Any:
        handed = float(rope[0].sum()) + (0.0 if mask is None else 100 * float(mask.sum()))
        return 10 * y + handed + (0.0 if cache is None else 1000 * len(cache))


class Hundredfold(nn.Module):
    """Stands for the feed-forward layer."""

    def forward(self, y: Any) -> Any:
        return 100 * y


@cases("2.10a")
def small_decoder_block(m: Any) -> Any:
    block = m.DecoderBlock(m.ModelArgs(d_model=2, norm_eps=0.0), Told(), Hundredfold())
    with torch.no_grad():
        block.post_attention_layernorm.weight.fill_(2.0)
    parts = {"self_attn(y, ...)": "10 y + sum of cos + 100 sum of mask + 1000 len(cache)"}
    parts |= {"mlp(y)": "100 y", "input_layernorm": "gain 1", "post_attention_layernorm": "gain 2"}
    cache = m.KVCache()
    cache.append(torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2))
    mask = torch.ones(1, 1, dtype=torch.bool)
    for x, cos, given in (
        ([[[1.0, 7.0]]], 0.0, (None, None)),
        ([[[1.0, 7.0]]], 1.0, (None, None)),
        ([[[1.0, 7.0]]], 0.0, (mask, None)),
        ([[[1.0, 7.0]]], 0.0, (None, cache)),
    ):
        rope = torch.full((1, 1, 1), cos), torch.zeros(1, 1, 1)
        kept = "3 positions" if given[1] else None
        inputs = {"x": torch.tensor(x), "rope": rope, "mask": given[0], "cache": kept, **parts}
        yield inputs, block(torch.tensor(x), rope, *given)


def along_decoder_block(m: Any, rng: Any, start: int, cache: Any) -> Any:
    """Yield the values on the way through a block."""
    block, x = build_block(m, rng), rng.normal(2, 5, 24)
    rope = rope_from(m, build_args(m), 2, start, 5)
    chain = Chain()
    chain.reads("input_layernorm reads (x)", block.input_layernorm)
    chain.returns("input_layernorm returns", block.input_layernorm)
    chain.reads("self_attn reads", block.self_attn)
    chain.returns("self_attn returns", block.self_attn)
    chain.reads("post_attention_layernorm reads (x + self_attn)", block.post_attention_layernorm)
    chain.returns("post_attention_layernorm returns", block.post_attention_layernorm)
    chain.reads("mlp reads", block.mlp)
    chain.returns("mlp returns", block.mlp)
    yield from chain.of(lambda: block(x, rope, None, cache), "the result")


@steps("2.10a")
def chain_of_decoder_block(m: Any, rng: Any) -> Any:
    yield from along_decoder_block(m, rng, 0, None)


@steps("2.10a")
def chain_of_decoder_block_with_cache(m: Any, rng: Any) -> Any:
    """with a cache of 4 past positions"""
    yield from along_decoder_block(m, rng, 4, fill_heads(m, rng, 2, 3, 4, 4))
