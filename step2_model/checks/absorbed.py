"""Probes of MLA on the latents themselves: queries (2.12a), absorbed attention (2.12b), requests (2.12c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from coursekit.chain import Chain
from coursekit.probe import at_most, cases, check, equal, steps
from step2_model.checks.counting import Products, storage_of
from step2_model.checks.latent import (
    APART,
    SMALL_X,
    attention_claims,
    kept_cache,
    latent_args,
    pick,
    quarters,
    small_layer,
    turns,
)
from step2_model.checks.observe import DEEP, build, fix_chance, gradients, parameters

# Where costs are counted: one of key and value is wide, the other as narrow as can be, so that it shows which
# of them is expanded. WIDE is what a position of each row costs without that: 2 · H · (2R + Dr) FLOPs.
KEYS = {"kv_lora_rank": 32, "qk_nope_head_dim": 64, "qk_rope_head_dim": 4, "v_head_dim": 1}
VALUES = {**KEYS, "qk_nope_head_dim": 1, "v_head_dim": 64}
WIDE = 2 * 8 * (32 + 4 + 32)


class Operations(TorchDispatchMode):
    """Counts what torch does: operations, and those that make a new tensor of `least` numbers or more."""

    def __init__(self, least: int = 1) -> None:
        super().__init__()
        self.least = least
        self.count = self.large = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = [t for arg in args for t in (arg if isinstance(arg, list | tuple) else [arg])]
        old = {storage_of(t) for t in given if isinstance(t, torch.Tensor)}
        made = [t for t in (out if isinstance(out, list | tuple) else [out]) if isinstance(t, torch.Tensor)]
        self.count += 1
        self.large += any(t.numel() >= self.least and storage_of(t) not in old for t in made)
        return out


def latent_layer(m: Any, rng: Any, sizes: dict[str, int], sharpness: float = 1.0, **changes: Any) -> Any:
    """Return a `LatentAttention` with redrawn parameters whose queries are multiplied by `sharpness`."""
    layer = build(m.LatentAttention, latent_args(m, sizes, **changes), rng)
    layer.sharpness = sharpness
    return layer


@check("2.12a")
def compressed_queries(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    x, rope = rng.normal(2, 7, 22), turns(rng, 2, 7)
    still = torch.ones(2, 7, 2), torch.zeros(2, 7, 2)
    alike = latent_layer(m, rng, {**APART, "qk_nope_head_dim": 4}, n_heads=4, n_kv_heads=4, q_lora_rank=10)
    yield (
        "one position, angles of 0: down, normalize, up, as heads",
        alike.queries(x[:, :1], (still[0][:, :1], still[1][:, :1])),
    )
    yield "the plain part is the first Dn features of each head", pick(alike.queries(x, rope), 0)
    yield "the rotary part is the Dr behind them, rotated", pick(alike.queries(x, rope), 1)
    layer = latent_layer(m, rng, APART, q_lora_rank=10)
    arguments = x.clone(), rope[0].clone(), rope[1].clone()
    yield "parts of different widths", layer.queries(arguments[0], arguments[1:])
    yield "the arguments are left as they were", arguments
    sharp = latent_layer(m, rng, APART, 1.7, q_lora_rank=10)
    yield "every query is multiplied by sharpness, once", sharp.queries(x, rope)
    careful = latent_layer(m, rng, APART, 2.5, q_lora_rank=10, norm_eps=1e-4)
    yield "small x: the eps of q_a_layernorm counts", careful.queries(0.01 * x, rope)
    yield "without q_lora_rank: q_proj, as before", latent_layer(m, rng, APART, 1.7).queries(x, rope)
    x.requires_grad_()
    inputs = {"x": x, **{name: p for name, p in parameters(sharp).items() if name.startswith("q_")}}
    direction = rng.normal(2, 3, 7, 5), rng.normal(2, 3, 7, 4)
    found = [gradients(pick(sharp.queries(x, rope), i), direction[i], inputs) for i in (0, 1)]
    yield equal("gradients reach x and the three parameters", found, DEEP)


@cases("2.12a")
def small_queries(m: Any) -> Any:
    for n_heads, sharpness in ((1, 1.0), (2, 1.0), (2, 3.0)):
        layer, weights = small_layer(m, "LatentAttention", n_heads, q_lora_rank=2)
        layer.sharpness = sharpness
        weights = {name: weight for name, weight in weights.items() if name.startswith("q_")}
        for T in (1, 2):
            x, rope = torch.tensor([SMALL_X[:T]]), quarters(*range(T))
            inputs = {"x": x, "cos": rope[0], "sin": rope[1], "sharpness": sharpness, "n_heads": n_heads}
            yield {**inputs, **weights}, layer.queries(x.clone(), rope)


@steps("2.12a")
def chain_of_queries(m: Any, rng: Any) -> Any:
    layer, rope = latent_layer(m, rng, APART, 1.7, q_lora_rank=10), turns(rng, 2, 7)
    x = rng.normal(2, 7, 22)
    chain = Chain()
    chain.returns("q_a_proj returns", layer.q_a_proj)
    chain.reads("q_a_layernorm reads", layer.q_a_layernorm)
    chain.returns("q_a_layernorm returns", layer.q_a_layernorm)
    chain.returns("q_b_proj returns", layer.q_b_proj)
    yield from chain.of(lambda: layer.queries(x, rope), "the result")


def cost_of_a_step(layer: Any, run: Callable[[Any, int], Any]) -> tuple[float, int]:
    """Return how many FLOPs one more past position of one row adds to a step, and how often the step makes a
    tensor that holds a latent for every head. `run(layer, S)` is the step after S positions, in two rows.
    """
    flops = []
    for S in (40, 240):
        with torch.no_grad(), Products() as products, Operations(2 * 8 * S * 32) as operations:
            run(layer, S)
        flops.append(products.flops)
    return (flops[1] - flops[0]) / (2 * 200), operations.large


def cost_claims(m: Any, rng: Any, run: Callable[[Any, int], Any]) -> Any:
    """Yield what a past position may cost."""
    keys, values = (latent_layer(m, rng, sizes, n_heads=8, n_kv_heads=8) for sizes in (KEYS, VALUES))
    label = "a step reads each past latent as it is, 2 · H · (2R + Dr) FLOPs: no {} is expanded from it"
    yield at_most(label.format("key"), cost_of_a_step(keys, run)[0], 2 * WIDE)
    yield at_most(label.format("value"), cost_of_a_step(values, run)[0], 2 * WIDE)
    copies = "all heads read one latent: no tensor holds a copy for each of them (B · H · S · R numbers)"
    yield at_most(copies, cost_of_a_step(values, run)[1], 0)


@check("2.12b")
def absorbed_attention(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    yield from attention_claims(m, rng, lambda sizes: latent_layer(m, rng, sizes), "attend_absorbed")

    def step(layer: Any, S: int) -> Any:
        cache = kept_cache(m, rng, S, 32)
        return layer.attend_absorbed(rng.normal(2, 1, 22), turns(rng, 2, 1), None, cache)

    yield from cost_claims(m, rng, step)


@cases("2.12b")
def small_absorbed(m: Any) -> Any:
    for n_heads in (1, 2):
        layer, weights = small_layer(m, "LatentAttention", n_heads)
        for T in (1, 2, 3):
            x, rope = torch.tensor([SMALL_X[:T]]), quarters(*range(T))
            inputs = {"x": x, "cos": rope[0], "sin": rope[1], "n_heads": n_heads, **weights}
            yield inputs, layer.attend_absorbed(x.clone(), rope)
    layer, weights = small_layer(m, "LatentAttention", 1)
    x, rope, mask = torch.tensor([SMALL_X[:2]]), quarters(0, 1), torch.eye(2, dtype=torch.bool)[None, None]
    inputs = {"x": x, "cos": rope[0], "sin": rope[1], "mask": mask, "n_heads": 1, **weights}
    yield inputs, layer.attend_absorbed(x.clone(), rope, mask)
    layer, weights = small_layer(m, "LatentAttention", 2)
    x, rope, cache = torch.tensor([SMALL_X[1:]]), quarters(1, 2), kept_cache(m)
    latent, key = torch.tensor([[[1.0, -1.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]])
    cache.append(latent.clone(), key.clone())
    inputs = {"x": x, "cos": rope[0], "sin": rope[1], "latent in the cache": latent}
    yield {**inputs, "key in the cache": key, **weights}, layer.attend_absorbed(x.clone(), rope, None, cache)


@steps("2.12b")
def chain_of_absorbed(m: Any, rng: Any) -> Any:
    """with a cache of 5 past positions"""
    layer, rope = latent_layer(m, rng, APART), turns(rng, 2, 7)
    x, cache = 2 * rng.normal(2, 7, 22), kept_cache(m, rng, 5)
    chain = Chain()
    chain.returns("kv_a_layernorm returns (latent)", layer.kv_a_layernorm)
    chain.reads("o_proj reads (heads)", layer.o_proj)
    yield from chain.of(lambda: layer.attend_absorbed(x, rope, None, cache), "the result")


def requests(m: Any, rng: Any, lengths: tuple[int, ...], room: int = 3, R: int = 8, Dr: int = 4) -> Any:
    """Return a cache of requests with these many past positions, and large numbers in all of its room."""
    latents = [rng.normal(length, R) for length in lengths]
    cache = m.RaggedCache(latents, [rng.normal(length, Dr) for length in lengths], room)
    for b, length in enumerate(lengths):
        cache.latent[b, length:] = 5 * rng.normal(*cache.latent[b, length:].shape)
        cache.key[b, length:] = 5 * rng.normal(*cache.key[b, length:].shape)
    return cache


@check("2.12c")
def ragged_decoding(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    layer = latent_layer(m, rng, APART, 1.3, q_lora_rank=10)

    def decode(cache: Any, own: Any = layer) -> Any:
        B = len(cache.lengths)
        return own.decode_ragged(2 * rng.normal(B, 1, 22), turns(rng, B, 1), cache)

    yield "one request without a past reads itself", decode(requests(m, rng, (0,)))
    yield "one request with a past of 4", decode(requests(m, rng, (4,)))
    yield "three requests of the same length", decode(requests(m, rng, (4, 4, 4)))
    cache = requests(m, rng, (5, 2, 0, 7))
    yield "requests of different lengths: each reads its own positions and no others", decode(cache)
    filled = [(cache.latent[b, :S], cache.key[b, :S]) for b, S in enumerate((6, 3, 1, 8))]
    yield "every new position is kept behind its own past", (cache.lengths, filled)
    yield "a second step follows the first", decode(cache)
    alike = latent_layer(m, rng, {**APART, "kv_lora_rank": 6, "qk_nope_head_dim": 6})
    yield "other widths, no bottleneck", decode(requests(m, rng, (2, 5), R=6), alike)
    work = []
    for lengths in ((3, 5), (3, 5, 2, 4, 1, 5)):
        cache = requests(m, rng, lengths)
        with torch.no_grad(), Operations() as operations:
            decode(cache)
        work.append(operations.count)
    yield at_most("three times as many requests, not more operations of torch", work[1] - work[0], 0)
    yield from cost_claims(m, rng, lambda layer, S: decode(requests(m, rng, (S, S), R=32), layer))


@cases("2.12c")
def small_requests(m: Any) -> Any:
    layer, weights = small_layer(m, "LatentAttention", 1)
    # The last: a shorter request with a past, and numbers in the room behind it.
    for lengths, rest in (
        ((0,), 0.0),
        ((1,), 0.0),
        ((1, 1), 0.0),
        ((2, 0), 0.0),
        ((0, 2), 0.0),
        ((2, 1), 1.0),
    ):
        latents = [torch.tensor([[1.0, -1.0, 0.0], [0.0, 2.0, 1.0]])[:S] for S in lengths]
        keys = [torch.tensor([[0.0, 2.0], [1.0, 1.0]])[:S] for S in lengths]
        cache = m.RaggedCache([t.clone() for t in latents], [t.clone() for t in keys], 1)
        for b, S in enumerate(lengths):
            cache.latent[b, S:], cache.key[b, S:] = rest, rest
        x = torch.tensor(SMALL_X[: len(lengths)]).unsqueeze(1)
        rope = tuple(torch.cat([quarters(S)[i] for S in lengths]) for i in (0, 1))
        inputs = {"x": x, "cos": rope[0], "sin": rope[1], "latents kept": latents, "keys kept": keys}
        inputs |= {"every number in the room behind": rest}
        yield {**inputs, **weights}, layer.decode_ragged(x.clone(), rope, cache)


@steps("2.12c")
def chain_of_requests(m: Any, rng: Any) -> Any:
    """with pasts of 5, 2 and 7 positions"""
    layer, cache = latent_layer(m, rng, APART), requests(m, rng, (5, 2, 7))
    x, rope = 2 * rng.normal(3, 1, 22), turns(rng, 3, 1)
    chain = Chain()
    chain.returns("kv_a_layernorm returns (latent)", layer.kv_a_layernorm)
    chain.reads("o_proj reads (heads)", layer.o_proj)
    yield from chain.of(lambda: layer.decode_ragged(x, rope, cache), "the result")
    yield "lengths afterward", cache.lengths
