"""Probes of latent attention: what is kept of a position (2.11a) and attention from it (2.11b)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.chain import Chain
from coursekit.probe import at_most, cases, check, equal, steps
from step2_model.checks.observe import DEEP, build, fill_whole, fix_chance, gradients, parameters

# In DeepSeek's models the plain part of a key is as wide as a value. Here the latent is as wide as both, so
# that code which takes one for the other gives numbers and not an error.
ALIKE = {"kv_lora_rank": 6, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 6}
APART = {"kv_lora_rank": 8, "qk_nope_head_dim": 5, "qk_rope_head_dim": 4, "v_head_dim": 6}


def latent_args(m: Any, sizes: dict[str, int], **changes: Any) -> Any:
    """Return a small configuration of latent attention with three heads."""
    base = {"d_model": 22, "n_layers": 1, "n_heads": 3, "n_kv_heads": 3, "intermediate_size": 9}
    return m.ModelArgs(**({**base, "vocab_size": 11, "max_seq_len": 64} | sizes | changes))


def turns(rng: Any, B: int, T: int, Dr: int = 4) -> Any:
    """Return cos and sin, each (B, T, Dr/2), of random angles: other ones for every row and position."""
    angles = rng.uniform(-3, 3, B, T, Dr // 2)
    return angles.cos(), angles.sin()


def kept_cache(m: Any, rng: Any = None, S: int = 0, R: int = 8, Dr: int = 4, B: int = 2) -> Any:
    """Return a cache of `m` that keeps tensors of any shape, with S random past positions."""

    class Kept(m.GrowingCache):
        k: Any
        v: Any

        def __len__(self) -> int:
            return 0 if self.k is None else int(self.k.shape[-2])

        def append(self, k: Any, v: Any) -> None:
            self.k = k if self.k is None else torch.cat([self.k, k], dim=-2)
            self.v = v if self.v is None else torch.cat([self.v, v], dim=-2)

    cache = Kept()
    if S:
        cache.append(rng.normal(B, S, R), rng.normal(B, S, Dr))
    return cache


def pick(pair: Any, i: int) -> Any:
    """Return one of two results, or the whole where there are not two."""
    return pair[i] if isinstance(pair, tuple) and len(pair) == 2 else pair


@check("2.11a")
def compress(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    square = build(m.MLA, latent_args(m, {**ALIKE, "kv_lora_rank": 4}), rng)
    still, rope = (torch.ones(2, 7, 2), torch.zeros(2, 7, 2)), turns(rng, 2, 7)
    x = rng.normal(2, 7, 22)
    yield (
        "the latent is the first R outputs of kv_a_proj_with_mqa, normalized",
        pick(square.compress(x, rope), 0),
    )
    yield "the key is the last Dr outputs (angles of 0: as they are)", pick(square.compress(x, still), 1)
    yield "the key is rotated by the angles of its row and position", pick(square.compress(x, rope), 1)
    layer = build(m.MLA, latent_args(m, APART), rng)
    arguments = x.clone(), rope[0].clone(), rope[1].clone()
    yield "latent (B, T, R) and key (B, T, Dr), in this order", layer.compress(arguments[0], arguments[1:])
    yield "the arguments are left as they were", arguments
    yield "one position alone", layer.compress(x[:, 3:4], (rope[0][:, 3:4], rope[1][:, 3:4]))
    careful = build(m.MLA, latent_args(m, APART, norm_eps=1e-4), rng)
    yield "small latents: the eps of kv_a_layernorm counts", careful.compress(0.01 * x, rope)
    x.requires_grad_()
    latent, key = (pick(layer.compress(x, rope), i) for i in (0, 1))
    inputs = {"x": x, "projection": layer.kv_a_proj_with_mqa.weight}
    with_gain = {**inputs, "gain": layer.kv_a_layernorm.weight}
    yield equal("gradients reach the latent's parts", gradients(latent, rng.normal(2, 7, 8), with_gain), DEEP)
    yield equal("gradients reach the key's parts", gradients(key, rng.normal(2, 7, 4), inputs), DEEP)


def small_layer(m: Any, kind: str, n_heads: int, **changes: Any) -> Any:
    """Return a layer of the smallest widths, latents of 3 and all else 2, and its small whole weights."""
    sizes = dict.fromkeys(("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 2)
    sizes["kv_lora_rank"] = 3
    args = latent_args(m, sizes, d_model=2, n_heads=n_heads, n_kv_heads=n_heads, **changes)
    layer = getattr(m, kind)(args)
    return layer, fill_whole(layer)


def quarters(*turned: int, rows: int = 1) -> Any:
    """Return cos and sin (rows, T, 1) of quarter turns: whole numbers."""
    cos = torch.tensor([[[(1.0, 0.0, -1.0, 0.0)[n % 4]] for n in turned]])
    sin = torch.tensor([[[(0.0, 1.0, 0.0, -1.0)[n % 4]] for n in turned]])
    return cos.expand(rows, -1, -1), sin.expand(rows, -1, -1)


SMALL_X = [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]


@cases("2.11a")
def small_compressions(m: Any) -> Any:
    """The last two: rows that stand at different positions, and a key of two pairs, one of them turned."""
    rows = [torch.cat(pair) for pair in zip(quarters(0), quarters(1))]
    pairs = [torch.tensor([[turned]]) for turned in ([0.0, 1.0], [1.0, 0.0])]
    narrow, wide = (small_layer(m, "MLA", 2, qk_rope_head_dim=Dr) for Dr in (2, 4))
    calls: list[Any] = [(narrow, [SMALL_X[:T]], quarters(*range(T))) for T in (1, 2, 3)]
    calls += [(narrow, [SMALL_X[:1]] * 2, rows), (wide, [SMALL_X[2:]], pairs)]
    for (layer, weights), numbers, rope in calls:
        x = torch.tensor(numbers)
        taken = {name: weight for name, weight in weights.items() if name.startswith("kv_a_")}
        yield {"x": x, "cos": rope[0], "sin": rope[1], **taken}, layer.compress(x.clone(), tuple(rope))


@steps("2.11a")
def chain_of_compress(m: Any, rng: Any) -> Any:
    layer, rope = build(m.MLA, latent_args(m, APART), rng), turns(rng, 2, 7)
    x = rng.normal(2, 7, 22)
    chain = Chain()
    chain.returns("kv_a_proj_with_mqa returns", layer.kv_a_proj_with_mqa)
    chain.reads("kv_a_layernorm reads (latent)", layer.kv_a_layernorm)
    chain.returns("kv_a_layernorm returns", layer.kv_a_layernorm)
    chain.calls(m, "rotate", "rotate reads (key)", returns="rotate returns")
    yield from chain.of(lambda: layer.compress(x, rope), "the result")


def some_readable(rng: Any, T: int, S: int) -> torch.Tensor:
    """Return a mask (2, 1, T, S), True where a key may be read: any, whether before or after, and its own."""
    own = torch.eye(S, dtype=torch.bool)[S - T :]
    return (rng.uniform(0, 1, 2, 1, T, S) < 0.5) | own


def attention_claims(m: Any, rng: Any, make: Any, run: str) -> Any:
    """Yield what latent attention has to do, however it is computed; `run` names the method.

    `make(sizes)` returns a layer of these widths.
    """
    x, rope = 2 * rng.normal(2, 7, 22), turns(rng, 2, 7)

    def attend(layer: Any, *cut: slice, mask: Any = None, cache: Any = None) -> Any:
        where = cut[0] if cut else slice(None)
        return getattr(layer, run)(x[:, where], tuple(t[:, where] for t in rope), mask, cache)

    alike = make(ALIKE)
    yield "one position reads only itself: its value, through o_proj", attend(alike, slice(1))
    yield "each of 7 positions reads itself and those before it", attend(alike)
    layer = make(APART)
    yield "latent, key and value of different widths", attend(layer)
    arguments = x.clone(), rope[0].clone(), rope[1].clone()
    getattr(layer, run)(arguments[0], arguments[1:])
    yield "the arguments are left as they were", arguments
    yield "a mask that is given decides alone who is read", attend(layer, mask=some_readable(rng, 7, 7))
    cache = kept_cache(m)
    yield "an empty cache is filled: 3 positions", attend(layer, slice(3), cache=cache)
    yield "then 4 more, which read the past", attend(layer, slice(3, 7), cache=cache)
    yield "the cache keeps latents (R) and rotary keys (Dr), nothing wider", (cache.k, cache.v)
    past = kept_cache(m, rng, 5)
    yield "one new position after 5 others", attend(layer, slice(1), cache=past)
    late = some_readable(rng, 2, 8)
    yield "a mask and a past: 2 queries over 8 positions", attend(layer, slice(2), mask=late, cache=past)
    x.requires_grad_()
    inputs = {"x": x, **parameters(layer)}
    yield equal(
        "gradients reach x and every parameter",
        gradients(attend(layer), rng.normal(2, 7, 22), inputs),
        DEEP,
    )


@check("2.11b")
def latent_attention(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    yield from attention_claims(m, rng, lambda sizes: build(m.MLA, latent_args(m, sizes), rng), "forward")
    layer, cache = build(m.MLA, latent_args(m, APART), rng), kept_cache(m)
    x, rope = rng.normal(2, 7, 22), turns(rng, 2, 7)
    layer(x, rope, None, cache)
    wide = sum(t.numel() for t in (cache.k, cache.v) if t is not None) / 14
    yield at_most("a cached position costs R + Dr = 12 numbers", wide, 12)


@cases("2.11b")
def small_attentions(m: Any) -> Any:
    for n_heads in (1, 2):
        layer, weights = small_layer(m, "MLA", n_heads)
        for T in (1, 2, 3):
            x, rope = torch.tensor([SMALL_X[:T]]), quarters(*range(T))
            inputs = {"x": x, "cos": rope[0], "sin": rope[1], "n_heads": n_heads, **weights}
            yield inputs, layer(x.clone(), rope)
    yield from small_masked_attention(m)
    layer, weights = small_layer(m, "MLA", 2)
    x, rope, cache = torch.tensor([SMALL_X[1:]]), quarters(1, 2), kept_cache(m)
    latent, key = torch.tensor([[[1.0, -1.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]])
    cache.append(latent.clone(), key.clone())
    inputs = {"x": x, "cos": rope[0], "sin": rope[1], "latent in the cache": latent}
    yield {**inputs, "key in the cache": key, **weights}, layer(x.clone(), rope, None, cache)
    yield from small_attention_of_other_widths(m)


def small_masked_attention(m: Any) -> Any:
    """Yield a case whose mask leaves every position itself alone."""
    layer, weights = small_layer(m, "MLA", 1)
    x, rope, mask = torch.tensor([SMALL_X[:2]]), quarters(0, 1), torch.eye(2, dtype=torch.bool)[None, None]
    inputs = {"x": x, "cos": rope[0], "sin": rope[1], "mask": mask}
    yield {**inputs, "n_heads": 1, **weights}, layer(x.clone(), rope, mask.clone())


def small_attention_of_other_widths(m: Any) -> Any:
    """Yield a case in which Dn, Dr and Dv differ, so that each root divides the scores by something else."""
    widths = {"qk_nope_head_dim": 1, "qk_rope_head_dim": 2, "v_head_dim": 4}
    layer, weights = small_layer(m, "MLA", 1, **widths)
    x, rope = torch.tensor([SMALL_X[:2]]), quarters(0, 1)
    inputs = {"x": x, "cos": rope[0], "sin": rope[1], "n_heads": 1}
    yield {**inputs, **widths, **weights}, layer(x.clone(), rope)


def along_latents(m: Any, rng: Any, S: int) -> Any:
    """Yield the values on the way through latent attention, with S past positions."""
    layer, rope = build(m.MLA, latent_args(m, APART), rng), turns(rng, 2, 7)
    x, cache = 2 * rng.normal(2, 7, 22), kept_cache(m, rng, S) if S else None
    chain = Chain()
    chain.returns("kv_a_layernorm returns (latent)", layer.kv_a_layernorm)
    chain.reads("kv_b_proj reads (all latents)", layer.kv_b_proj)
    chain.returns("kv_b_proj returns", layer.kv_b_proj)
    chain.calls(m, "cached_attention", returns="cached_attention returns")
    chain.reads("o_proj reads (heads)", layer.o_proj)
    yield from chain.of(lambda: layer(x, rope, None, cache), "the result")


@steps("2.11b")
def chain_of_latents(m: Any, rng: Any) -> Any:
    yield from along_latents(m, rng, 0)


@steps("2.11b")
def chain_of_latents_with_cache(m: Any, rng: Any) -> Any:
    """with a cache of 5 past positions"""
    yield from along_latents(m, rng, 5)
