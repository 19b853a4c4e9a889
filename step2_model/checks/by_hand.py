"""Probes of RMSNorm's backward pass by hand (2.16a) and of three feed-forward layers (2.16b)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coursekit.probe import cases, check, equal, redraw
from step2_model.checks.longer import part
from step2_model.checks.modern import build_args
from step2_model.checks.observe import DEEP, fill_whole, fix_chance


@check("2.16a")
def rms_backward(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    x, grad = rng.normal(2, 3, 5, 6)
    weight, ones = 1 + 0.5 * rng.normal(6), torch.ones(6)
    arguments = x.clone(), weight.clone(), grad.clone()
    plain = m.rms_norm_backward(x, ones, 1e-6, grad)
    yield "all gains 1: x's gradient, (g - n · mean(g · n)) / r", part(plain, 0)
    found = m.rms_norm_backward(arguments[0], arguments[1], 1e-6, arguments[2])
    yield "random gains: x's gradient, with g = grad · weight inside the mean", part(found, 0)
    yield "the gain's gradient: the sum of grad · n over all positions", part(found, 1)
    yield "the arguments are left as they were", arguments
    yield "the larger x, the smaller its gradient", part(m.rms_norm_backward(30 * x, weight, 1e-6, grad), 0)
    along = m.rms_norm_backward(x, ones, 0.5, x)
    yield "a gradient along x itself: only the share of eps is left for x", part(along, 0)
    small = m.rms_norm_backward(3e-3 * x, weight, 1e-5, grad)
    yield equal("small x, where eps counts: x's gradient", part(small, 0), DEEP)
    yield equal("small x, where eps counts: the gain's gradient", part(small, 1), DEEP)
    yield "another eps", m.rms_norm_backward(x, weight, 0.5, grad)
    yield "one position alone: x is (C,)", m.rms_norm_backward(x[0, 0], weight, 1e-6, grad[0, 0])
    two, three = rng.normal(2, 4, 6), rng.normal(2, 2, 3, 4, 6)
    yield "no batch: x is (T, C)", m.rms_norm_backward(two[0], weight, 1e-6, two[1])
    yield "three leading dimensions", m.rms_norm_backward(three[0], weight, 1e-6, three[1])


@cases("2.16a")
def small_backward(m: Any) -> Any:
    """With eps = 0.5 and these x, r is a whole number, or its square is."""
    for x, weight, grad in (
        ([1.0], [1.0], [1.0]),
        ([1.0, 0.0], [1.0, 1.0], [1.0, 0.0]),
        ([1.0, 0.0], [1.0, 1.0], [1.0, 1.0]),
        ([1.0, 0.0], [1.0, 2.0], [1.0, 1.0]),
        ([1.0, 2.0], [1.0, 2.0], [1.0, 0.0]),
        ([[1.0, 0.0], [0.0, 1.0]], [1.0, 2.0], [[1.0, 1.0], [2.0, 1.0]]),
        ([[[1.0, 0.0]], [[0.0, 1.0]]], [1.0, 2.0], [[[1.0, 1.0]], [[2.0, 1.0]]]),
    ):
        inputs = {"x": torch.tensor(x), "weight": torch.tensor(weight), "eps": 0.5}
        inputs["grad"] = torch.tensor(grad)
        yield inputs, m.rms_norm_backward(**inputs)


def sizes_of(layer: Any) -> Any:
    """Return the sizes of a module's parameters by name, and what came back instead, where it is none."""
    if not isinstance(layer, nn.Module):
        return layer.__name__ if isinstance(layer, type) else layer
    return {name: list(parameter.shape) for name, parameter in sorted(layer.named_parameters())}


def refusal(m: Any, args: Any, ffn_type: str) -> Any:
    """Return which error came, and which of the three kinds it names; or what came back instead of one."""
    try:
        return sizes_of(m.get_ffn(args, ffn_type))
    except (ValueError, LookupError, TypeError, AssertionError, NameError, AttributeError) as error:
        return [type(error).__name__, *(name in str(error) for name in ("swiglu", "geglu", "standard"))]


@check("2.16b")
def three_layers(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    args = build_args(m)
    x = 2 * rng.normal(2, 5, args.d_model)
    kinds = {kind: m.get_ffn(args, kind) for kind in ("swiglu", "geglu", "standard")}
    yield "swiglu: three matrices, as wide in the middle as the configuration says", sizes_of(kinds["swiglu"])
    yield "geglu: three matrices of the same sizes", sizes_of(kinds["geglu"])
    yield "standard: two matrices, 3F/2 wide in the middle", sizes_of(kinds["standard"])
    for kind, formula in (
        ("swiglu", "down(silu(gate) · up)"),
        ("geglu", "down(gelu(gate) · up)"),
        ("standard", "down(gelu(up))"),
    ):
        yield f"{kind} computes {formula}", answer(kinds[kind], rng, x)
    yield "no kind named: swiglu", answer(m.get_ffn(args), rng, x)
    odd = [build_args(m, intermediate_size=width) for width in (5, 7, 8, 9)]
    yield (
        "an odd F: 3F/2 is rounded up at one half",
        [sizes_of(m.get_ffn(changed, "standard")) for changed in odd],
    )
    yield "another kind is a ValueError that names the three", refusal(m, args, "relu")
    yield "an empty name, too", refusal(m, args, "")
    first, second = m.get_ffn(args, "geglu"), m.get_ffn(args, "geglu")
    is_own = isinstance(first, nn.Module) and first is not second
    yield "every call makes a new layer, with numbers of its own", is_own


def answer(layer: Any, rng: Any, x: torch.Tensor) -> Any:
    """Return what a layer makes of x, with every parameter redrawn; no layer is told as what it is."""
    return redraw(layer, rng)(x) if isinstance(layer, nn.Module) else sizes_of(layer)


@cases("2.16b")
def small_layers(m: Any) -> Any:
    """Sizes first, then what each kind makes of two positions, last a kind that is none."""
    heads = {"d_model": 2, "n_heads": 1, "n_kv_heads": 1}
    for width in (2, 3):
        args = build_args(m, **heads, intermediate_size=width)
        for kind in ("swiglu", "geglu", "standard"):
            inputs = {"d_model": 2, "intermediate_size": width, "ffn_type": kind}
            yield {**inputs, "shown": "the parameters' sizes"}, sizes_of(m.get_ffn(args, kind))
    args, x = build_args(m, **heads, intermediate_size=2), torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    for kind in ("swiglu", "geglu", "standard"):
        layer = m.get_ffn(args, kind)
        weights = fill_whole(layer) if isinstance(layer, nn.Module) else {}
        inputs = {"d_model": 2, "intermediate_size": 2, "ffn_type": kind, "shown": "layer(x)"}
        yield {**inputs, "x": x, **weights}, layer(x.clone()) if weights else sizes_of(layer)
    inputs = {"d_model": 2, "intermediate_size": 2, "ffn_type": "relu"}
    yield {**inputs, "shown": "the error, and what it names"}, refusal(m, args, "relu")
