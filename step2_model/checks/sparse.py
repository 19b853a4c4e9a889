"""Probe of a layer with experts: each runs on the tokens that chose it, and shared ones on all (2.13c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from coursekit.chain import Chain
from coursekit.probe import at_most, cases, check, equal, redraw, steps
from step2_model.checks.counting import Products
from step2_model.checks.observe import DEEP, fill_whole, fix_chance, gradients, parameters

# Sizes of which no two are equal: C 6, F 4, E 7, K 3.
SIZES = {"d_model": 6, "n_experts": 7, "n_experts_per_tok": 3, "moe_intermediate_size": 4}
ONE_EXPERT = 2 * 3 * 6 * 4
SIGMOID = {"router": "sigmoid", "n_shared_experts": 2, "routed_scaling_factor": 2.5}


def build_sparse(m: Any, rng: Any, kind: str, **changes: Any) -> Any:
    """Return `m.Experts` or `m.MoE` of small sizes with every parameter, and the router's bias, redrawn."""
    layer = redraw(getattr(m, kind)(m.ModelArgs(**(SIZES | changes))), rng)
    for _, buffer in sorted(layer.named_buffers()):
        buffer.copy_(0.3 * rng.normal(*buffer.shape))
    return layer


def routing(rng: Any, N: int, allowed: Sequence[int] = range(7), K: int = 3) -> Any:
    """Return weights (N, K), which do not sum to 1, and K different experts for each token."""
    choices = [rng.generator.permutation(allowed)[:K].tolist() for _ in range(N)]
    return rng.uniform(0.2, 0.9, N, K), torch.tensor(choices)


@check("2.13c")
def running_experts(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    layer = build_sparse(m, rng, "Experts")
    x, (weights, experts) = 2 * rng.normal(9, 6), routing(rng, 9)
    first = experts[:, :1]
    yield "one choice of weight 1: the answer is that expert's SwiGLU", layer(x, torch.ones(9, 1), first)
    yield "one choice: its answer times its weight", layer(x, weights[:, :1], first)
    arguments = x.clone(), weights.clone(), experts.clone()
    yield "three choices: the weighted sum of three answers", layer(*arguments)
    yield "the arguments x, weights and experts are left as they were", arguments
    yield "one token alone is answered as among others", layer(x[3:4], weights[3:4], experts[3:4])
    few = routing(rng, 9, (1, 4, 6))
    yield "only three experts are chosen", layer(x, *few)
    yield from what_experts_cost(m, rng)
    half = build_sparse(m, rng, "Experts").to(torch.bfloat16)
    answer = half(x.to(torch.bfloat16), weights, experts)
    yield "x in bfloat16, weights in float32: the answer has the dtype of x", str(answer.dtype)
    x.requires_grad_()
    weights.requires_grad_()
    inputs = {"x": x, "weights": weights, **parameters(layer)}
    yield equal(
        "gradients reach x, the weights and all experts' matrices",
        gradients(layer(x, weights, experts), rng.normal(9, 6), inputs),
        DEEP,
    )
    yield from whole_layer(m, rng)


def what_experts_cost(m: Any, rng: Any) -> Any:
    """Yield the work that 64 experts do for 64 tokens: operations first, then how often a matrix product was
    begun.
    """
    layer, x = build_sparse(m, rng, "Experts", n_experts=64), rng.normal(64, 6)
    with Products() as seen:
        layer(x, *routing(rng, 64, range(64)))
    yield at_most(
        "operations in matrix products: one SwiGLU for each choice of each token",
        seen.flops,
        64 * 3 * ONE_EXPERT,
    )
    with Products() as seen:
        layer(x, *routing(rng, 64, (3, 17, 40), K=1))
    yield at_most(
        "64 tokens, three experts: only these run, once each, with at most three matrix products",
        seen.count,
        9,
    )
    with Products() as seen:
        layer(x, *routing(rng, 64, range(64), K=40))
    yield at_most(
        "40 choices for each token: still each of 64 experts runs once, with at most three matrix products",
        seen.count,
        192,
    )


def whole_layer(m: Any, rng: Any) -> Any:
    """Yield what the layer around the experts must do."""
    x = 2 * rng.normal(2, 5, 6)
    layer = build_sparse(m, rng, "MoE")
    argument = x.clone()
    yield "MoE: every token of the batch is routed, and answered by its experts, in the shape of x", layer(x)
    yield "MoE: the argument x is left as it was", argument
    yield "MoE: balance holds the load-balance loss of this pass", layer.balance
    shared = build_sparse(m, rng, "MoE", n_shared_experts=2)
    yield "MoE: the shared experts' answer is added, without a weight", shared(x)
    deep = build_sparse(m, rng, "MoE", **SIGMOID)
    yield "MoE: with DeepSeek's router, its bias and its scale", deep(x)
    yield "MoE: one token alone is answered as among others", deep(x[1:, 2:3])
    with Products() as seen:
        deep(x)
    # Ten tokens: a row of the router for each of 7 experts, three chosen and two shared ones.
    yield at_most(
        "MoE: operations of the router, and of K chosen and the shared experts for each token",
        seen.flops,
        10 * (2 * 7 * 6 + 5 * ONE_EXPERT),
    )
    x.requires_grad_()
    yield equal(
        "MoE: gradients reach x, the router and every expert",
        gradients(deep(x), rng.normal(2, 5, 6), {"x": x, **parameters(deep)}),
        DEEP,
    )


@cases("2.13c")
def small_experts(m: Any) -> Any:
    sizes = {"d_model": 2, "n_experts": 2, "n_experts_per_tok": 1, "moe_intermediate_size": 1}
    layer = m.Experts(m.ModelArgs(**sizes))
    matrices = fill_whole(layer)
    for x, weights, experts in (
        ([[1.0, 2.0]], [[1.0]], [[0]]),
        ([[1.0, 2.0]], [[0.5]], [[1]]),
        ([[1.0, 2.0]], [[0.5, 1.0]], [[1, 0]]),
        (
            [[1.0, 2.0], [0.0, 3.0], [2.0, -1.0]],
            [[0.5, 1.0], [1.0, 0.0], [0.5, 0.5]],
            [[1, 0], [0, 1], [0, 1]],
        ),
    ):
        given = torch.tensor(x), torch.tensor(weights), torch.tensor(experts)
        inputs = dict(zip(("x", "weights", "experts"), given))
        yield {**inputs, **matrices}, layer(*(t.clone() for t in given))
    yield from small_layers(m, sizes)


def small_layers(m: Any, sizes: dict[str, int]) -> Any:
    """Yield cases of the layer around the experts, and one of experts whose middle is two wide."""
    one, two = [[[1.0, 2.0], [-2.0, 1.0]]], [[[1.0, 2.0], [-2.0, 1.0]], [[0.0, 1.0], [3.0, -1.0]]]
    for x, changes in (
        (one, {}),
        (one, {"n_shared_experts": 1}),
        (two, {}),
        ([[[1.0, 2.0]]], {"moe_intermediate_size": 2}),
        ([[[1.0, 2.0]]], {"n_shared_experts": 1, "router": "sigmoid", "routed_scaling_factor": 2.0}),
    ):
        layer, tokens = m.MoE(m.ModelArgs(**(sizes | changes))), torch.tensor(x)
        yield {"x": tokens, **changes, **fill_whole(layer)}, layer(tokens.clone())
    layer = m.Experts(m.ModelArgs(**sizes)).to(torch.bfloat16)
    given = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16), torch.ones(1, 1), torch.tensor([[0]])
    matrices = fill_whole(layer)
    yield dict(zip(("x", "weights", "experts"), given)) | matrices, layer(*(t.clone() for t in given))


@steps("2.13c")
def chain_of_experts(m: Any, rng: Any) -> Any:
    """in MoE.forward, with shared experts"""
    layer, x = build_sparse(m, rng, "MoE", n_shared_experts=2), 2 * rng.normal(2, 5, 6)
    chain = Chain(DEEP)
    chain.reads("gate reads (all tokens in one list)", layer.gate)
    chain.reads("experts reads", layer.experts)
    chain.returns("experts returns", layer.experts)
    chain.reads("shared_experts reads", layer.shared_experts)
    chain.returns("shared_experts returns", layer.shared_experts)
    yield from chain.of(lambda: layer(x), "the result")
