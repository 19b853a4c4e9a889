"""Probes of the two small parts of the modern block: RMSNorm (2.7) and SwiGLU (2.8)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.chain import Chain
from coursekit.probe import cases, check, equal, steps
from step2_model.checks.modern import build_modern
from step2_model.checks.observe import DEEP, fill_whole, fix_chance, gradients, parameters

# float16 keeps 11 bits: code that rounds once more on the way is off by 5e-4. What overflows is off by all.
HALF = 1e-2


@check("2.7")
def rms_norm(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    x, direction = 2 * rng.normal(2, 5, 6) + 1, rng.normal(2, 5, 6)
    norm = build_modern(m.RMSNorm, rng, 6)
    argument = x.clone()
    yield "every position: x / √(mean(x²) + eps) · weight", norm(argument)
    yield "the argument x is left as it was", argument
    yield "one vector alone: (C,)", norm(x[0, 0])
    yield "three leading dimensions, as for heads", norm(rng.normal(2, 3, 4, 6))
    yield "a large x comes out at the same size", norm(1e4 * x)
    yield "a small x: eps counts, inside the root", norm(1e-3 * x)
    yield "a vector of zeros stays zeros", norm(torch.zeros(2, 3, 6))
    yield "another eps: the layer's own, self.eps", build_modern(m.RMSNorm, rng, 6, 0.5)(x)
    half = build_modern(m.RMSNorm, rng, 6).half()
    yield equal("float16: the result has the dtype of x", half(x.half()), HALF)
    yield equal(
        "float16 of size 600, whose squares do not fit: computed in float32", half(600 * x.half()), HALF
    )
    x.requires_grad_()
    found = gradients(norm(x), direction, {"x": x, **parameters(norm)})
    yield equal("gradients reach x and the gain", found, DEEP)


@cases("2.7")
def small_rms_norm(m: Any) -> Any:
    for x, gain, eps in (
        ([[0.0, 0.0]], [1.0, 1.0], 1.0),
        ([[3.0, 3.0]], [1.0, 2.0], 0.0),
        ([[1.0, 7.0]], [1.0, 2.0], 0.0),
        ([[1.0, 7.0]], [1.0, 2.0], 11.0),
        ([[1.0, 7.0], [5.0, 5.0]], [1.0, 2.0], 0.0),
    ):
        norm = m.RMSNorm(2, eps)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor(gain))
        inputs = {"x": torch.tensor(x), "weight": torch.tensor(gain), "eps": eps}
        yield inputs, norm(torch.tensor(x))
    half = torch.tensor([[300.0, 300.0]], dtype=torch.float16)
    yield {"x": half, "weight": torch.ones(2).half(), "eps": 0.0}, m.RMSNorm(2, 0.0).half()(half)


@check("2.8")
def swiglu(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    layer = build_modern(m.SwiGLU, rng, 6, 10)
    x, direction = rng.normal(2, 5, 6), rng.normal(2, 5, 6)
    argument = x.clone()
    yield "every position: down_proj of silu(gate_proj(x)) · up_proj(x)", layer(argument)
    yield "the argument x is left as it was", argument
    yield "large activations: an open gate passes them, a shut one stops them", layer(20 * x)
    yield "one vector alone: (C,)", layer(x[0, 0])
    yield "any leading dimensions, as for tokens of an expert: (N, C)", layer(rng.normal(7, 6))
    yield "narrower inside than outside", build_modern(m.SwiGLU, rng, 6, 4)(x)
    x.requires_grad_()
    found = gradients(layer(x), direction, {"x": x, **parameters(layer)})
    yield equal("gradients reach x and every parameter", found, DEEP)


@cases("2.8")
def small_swiglu(m: Any) -> Any:
    layer = m.SwiGLU(1, 1)
    ones = {"gate_proj.weight": 1.0, "up_proj.weight": 3.0, "down_proj.weight": 1.0}
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(ones[name])
    for x in ([[0.0]], [[1.0]], [[-1.0], [2.0]]):
        yield {"x": torch.tensor(x), **ones}, layer(torch.tensor(x))
    wide = m.SwiGLU(2, 3)
    weights = fill_whole(wide)
    rows = torch.tensor([[1.0, 0.0], [1.0, -2.0]])
    yield {"x": rows, **weights}, wide(rows)


@steps("2.8")
def chain_of_swiglu(m: Any, rng: Any) -> Any:
    layer, x = build_modern(m.SwiGLU, rng, 6, 10), 2 * rng.normal(2, 5, 6)
    chain = Chain()
    chain.returns("gate_proj returns", layer.gate_proj)
    chain.returns("up_proj returns", layer.up_proj)
    chain.reads("down_proj reads (silu(gate) · up)", layer.down_proj)
    chain.returns("down_proj returns", layer.down_proj)
    yield from chain.of(lambda: layer(x), "the result")
