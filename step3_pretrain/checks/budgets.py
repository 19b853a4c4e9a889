"""Probes of what is decided for a whole run: the rate of each step (3.13), what decays (3.14), and what a
token costs (3.15).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from coursekit.probe import cases, check


def rates(m: Any, steps: Iterable[int], *numbers: float) -> Any:
    """Return the rates of several steps, as numbers of one kind."""
    return torch.tensor(
        [float(m.stable_learning_rate(step, *numbers)) for step in steps], dtype=torch.float64
    )


@check("3.13")
def stable_learning_rate(m: Any, rng: Any) -> Any:
    peak = 0.001 * rng.integer(2, 9)
    warmup, decay, total = rng.integer(4, 8), rng.integer(11, 19), rng.integer(50, 80)
    numbers = (peak, warmup, decay, total)
    yield "warm-up: peak/warmup at step 0, the peak at step warmup - 1", rates(m, range(warmup), *numbers)
    yield "then level", rates(m, range(warmup, total - decay), *numbers)
    yield (
        "still the peak at step total - decay, and the first step below it after that",
        rates(m, range(total - decay, total - decay + 2), *numbers),
    )
    yield "down in a straight line", rates(m, range(total - decay, total), *numbers)
    yield "0 at step total, and after it", rates(m, (total, total + 1, 3 * total), *numbers)
    yield (
        "no warm-up: the peak from step 0 on",
        rates(m, range(total + 1), peak, 0, decay, total),
    )
    yield "no decay: the peak until the end", rates(m, range(total), peak, warmup, 0, total)
    yield (
        "a run made longer before its decay: nothing before that changes",
        rates(m, range(total - decay + 1), peak, warmup, decay, 10 * total),
    )
    yield (
        "no level part: the decay follows the warm-up at once",
        rates(m, range(warmup + decay + 1), peak, warmup, decay, warmup + decay),
    )


@cases("3.13")
def small_rates(m: Any) -> Any:
    for warmup, decay, total in ((2, 2, 6), (0, 4, 6), (2, 4, 6), (1, 0, 3)):
        for step in range(total + (decay > 0) * 2):
            inputs = {"step": step, "peak": 8.0, "warmup": warmup, "decay": decay, "total": total}
            yield inputs, float(m.stable_learning_rate(**inputs))


class Sparse(nn.Module):
    """A model with every kind of parameter: embeddings, matrices, experts, gains and biases."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(7, 4)
        self.layers = nn.ModuleList(self.make_layer() for _ in range(2))
        self.norm = nn.LayerNorm(4)
        self.lm_head = nn.Linear(4, 7, bias=False)
        self.scale = nn.Parameter(torch.ones(()))

    def make_layer(self) -> nn.Module:
        """Return a layer whose experts are one parameter of three dimensions."""
        layer = nn.ModuleDict({"norm": nn.RMSNorm(4), "q_proj": nn.Linear(4, 4), "gate": nn.Linear(4, 3)})
        layer.register_parameter("experts", nn.Parameter(torch.zeros(3, 4, 4)))
        return layer


def told(groups: Any, model: nn.Module) -> Any:
    """Return the names of the parameters of each group, sorted, and its decay."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [
        {
            "params": sorted(" = ".join(names.get(id(p), ["of another model"])) for p in group["params"]),
            "weight_decay": as_float(group.get("weight_decay")),
        }
        for group in groups
    ]


def as_float(number: Any) -> Any:
    """Return a whole number as the float that it stands for, all else as it is."""
    return float(number) if isinstance(number, int) else number


@check("3.14")
def parameter_groups(m: Any, rng: Any) -> Any:
    weight_decay = 0.01 * rng.integer(2, 30)
    layer = nn.Linear(3, 2)
    yield "a linear layer: its matrix decays, its bias does not", told(m.parameter_groups(layer, 0.1), layer)
    norms = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.RMSNorm(3))
    yield "gains do not decay, although they are called weights", told(m.parameter_groups(norms, 0.1), norms)
    model = Sparse()
    whole = told(m.parameter_groups(model, weight_decay), model)
    yield "embeddings and experts decay: two dimensions or more", whole
    model.lm_head.weight = model.embed_tokens.weight
    tied = told(m.parameter_groups(model, weight_decay), model)
    yield "a matrix with two names (a tied head) is there once", tied
    for name in ("layers.0.q_proj.weight", "layers.1.norm.weight"):
        model.get_parameter(name).requires_grad_(False)
    yield "what is frozen is in neither group", told(m.parameter_groups(model, weight_decay), model)
    still = told(m.parameter_groups(model, 0.0), model)
    yield "a decay of 0: two groups all the same", still


@cases("3.14")
def small_groups(m: Any) -> Any:
    """Outputs are the names of the parameters in both groups, and the decay of each."""
    matrix, bias = nn.Linear(2, 2, bias=False), nn.Linear(1, 2)
    models: dict[str, nn.Module] = {
        "a matrix": matrix,
        "a matrix with a bias": bias,
        "a gain alone": nn.RMSNorm(2),
        "an embedding": nn.Embedding(3, 2),
        "an expert layer: a parameter (2, 2, 2)": nn.ParameterList([nn.Parameter(torch.zeros(2, 2, 2))]),
        "a matrix in a layer in a model": nn.Sequential(nn.Sequential(nn.Linear(2, 2, bias=False))),
    }
    twice = nn.Sequential(nn.Embedding(2, 2), nn.Linear(2, 2, bias=False))
    twice[1].weight = twice[0].weight
    models["an embedding and a head that share their matrix"] = twice
    frozen = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    frozen[0].requires_grad_(False)
    models["two matrices with biases, the first two frozen"] = frozen
    for described, model in models.items():
        groups = told(m.parameter_groups(model, 0.5), model)
        yield {"model": described, "weight_decay": 0.5}, [tuple(group.values()) for group in groups]


@check("3.15")
def costs(m: Any, rng: Any) -> Any:
    N, L, W, T = (
        1_000 * rng.integer(90, 999),
        rng.integer(5, 30),
        64 * rng.integer(3, 9),
        rng.integer(500, 900),
    )
    yield "without layers: 6 operations for each weight", m.flops_per_token(N, 0, W, T)
    yield "no weights: attention alone, forward and backward", m.flops_per_token(0, 1, W, T)
    yield "a model of sizes drawn at random", m.flops_per_token(N, L, W, T)
    yield (
        "twice the layers, the width, the block: attention costs twice as much each time",
        [
            m.flops_per_token(N, 2 * L, W, T),
            m.flops_per_token(N, L, 2 * W, T),
            m.flops_per_token(N, L, W, 2 * T),
        ],
    )
    yield "GPT-3: 96 layers of 12,288 features", m.flops_per_token(175_000_000_000, 96, 12_288, 2_048)
    speed, peak = 1_000.0 * rng.integer(5, 90), 1e12 * rng.integer(100, 900)
    yield "utilization is a share: tokens per second · FLOPs over peak", m.utilization(speed, 3e8, peak)
    yield (
        "twice the speed, the cost, the peak: twice, twice, half",
        [
            m.utilization(2 * speed, 3e8, peak),
            m.utilization(speed, 6e8, peak),
            m.utilization(speed, 3e8, 2 * peak),
        ],
    )
    yield "nothing is done: 0", m.utilization(0.0, 3e8, peak)


@cases("3.15")
def small_costs(m: Any) -> Any:
    for sizes in ((1, 0, 1, 1), (0, 1, 1, 1), (0, 2, 3, 1), (0, 1, 1, 5), (10, 2, 3, 4)):
        inputs = dict(zip(("num_weights", "n_layers", "width", "block_size"), sizes))
        yield {"function": "flops_per_token", **inputs}, m.flops_per_token(**inputs)
    for speed, flops, peak in ((1.0, 1.0, 4.0), (2.0, 3.0, 24.0), (0.0, 1.0, 4.0)):
        given = {"tokens_per_second": speed, "flops": flops, "peak": peak}
        yield {"function": "utilization", **given}, m.utilization(**given)
