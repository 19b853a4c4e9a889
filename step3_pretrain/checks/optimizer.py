"""Probes of clipping (3.6) and of AdamW's step (3.7)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.probe import cases, check, equal, steps

SHAPES = ((3, 4), (5,), (), (2, 3, 2))


def parameters_of(gradients: Sequence[Tensor | None]) -> list[nn.Parameter]:
    """Return a parameter for each gradient; one without has two weights."""
    found = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.full((2,) if gradient is None else gradient.shape, 3.0))
        parameter.grad = None if gradient is None else gradient.clone()
        found.append(parameter)
    return found


def clipped(m: Any, gradients: Sequence[Tensor | None], max_norm: float) -> Any:
    """Return what comes back, and the gradients afterwards."""
    parameters = parameters_of(gradients)
    norm = m.clip_gradients(parameters, max_norm)
    return norm, [parameter.grad for parameter in parameters]


@check("3.6")
def clip_gradients(m: Any, rng: Any) -> Any:
    few = [torch.tensor([3.0, 4.0])]
    yield "one gradient, (3, 4): it is 5 long", m.clip_gradients(parameters_of(few), 10.0)
    yield "within the limit no gradient changes", clipped(m, few, 10.0)
    yield "above it, a gradient becomes as long as the limit and keeps its direction", clipped(m, few, 2.0)
    many = [2 * rng.normal(*shape, 1).squeeze(-1) + 1 for shape in SHAPES]
    yield "several tensors are one vector: the root of the sum of all squares", clipped(m, many, 1e3)[0]
    yield "all are scaled by the same factor, and the norm is that of before", clipped(m, many, 3.0)
    yield "a limit just above the norm leaves everything as it is", clipped(m, many, 1.01 * length_of(many))
    small = [0.01 * gradient for gradient in many]
    yield "small gradients are not scaled up", clipped(m, small, 3.0)
    yield "a limit below 1", clipped(m, many, 0.25)
    yield "nothing is made of zeros: no number is divided by 0", clipped(m, [torch.zeros(2, 2)], 1.0)

    gaps = [None, many[0], None, many[1]]
    yield "parameters without a gradient do not count, and get none", clipped(m, gaps, 3.0)
    parameters = parameters_of(many)
    held, weights = [p.grad for p in parameters], [p.detach().clone() for p in parameters]
    norm = m.clip_gradients(iter(parameters), 3.0)
    yield "parameters may come as an iterator that is read once", (norm, [p.grad for p in parameters])
    yield "gradients change in place: whoever holds them sees it", held
    yield "the weights stay as they are", [(p - w).detach() for p, w in zip(parameters, weights)]
    yield "the norm holds no graph", bool(getattr(norm, "requires_grad", False))
    yield "a second call finds them within the limit", (m.clip_gradients(parameters, 3.01), held)


def length_of(gradients: Sequence[Tensor]) -> float:
    """Return the length of all as one vector, to choose a limit by."""
    return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())


@cases("3.6")
def small_clippings(m: Any) -> Any:
    for gradients, max_norm in (
        ([[3.0, 4.0]], 10.0),
        ([[3.0, 4.0]], 1.0),
        ([[0.3, 0.4]], 1.0),
        ([[3.0], [4.0]], 5.5),
        ([[3.0], [4.0]], 1.0),
        ([[-6.0, 0.0], [8.0, 0.0]], 2.0),
        ([[2.0], [1.0], [2.0]], 1.5),
        ([None, [3.0, 4.0]], 1.0),
        ([[0.0, 0.0]], 1.0),
    ):
        given = [None if row is None else torch.tensor(row) for row in gradients]
        inputs = {"gradients": given, "max_norm": max_norm, "shown": "the norm, the gradients afterwards"}
        yield inputs, clipped(m, given, max_norm)
    parameters = parameters_of([torch.tensor([3.0, 4.0])])
    held = parameters[0].grad
    m.clip_gradients(iter(parameters), 1.0)
    inputs = {"gradients": [torch.tensor([3.0, 4.0])], "max_norm": 1.0, "parameters": "an iterator"}
    yield inputs | {"shown": "the gradient"}, parameters[0].grad
    yield inputs | {"shown": "the same tensor, held elsewhere"}, held


class Run:
    """A weight that is moved by `adamw_step`, with its state; the buffer of its gradient is used again."""

    def __init__(self, m: Any, weight: Tensor, state: dict[str, Any] | None = None, **settings: Any) -> None:
        self.m, self.weight, self.settings = m, weight.clone(), settings
        self.state: dict[str, Any] = {} if state is None else state
        self.gradient = torch.zeros_like(weight)

    def step(self, gradient: Tensor) -> Tensor:
        """Take one step and return the weight as it is then."""
        self.gradient.copy_(gradient)
        with torch.no_grad():
            self.m.adamw_step(self.weight, self.gradient, self.state, **self.settings)
        return self.weight.clone()

    def steps(self, gradients: Tensor) -> Tensor:
        """Take a step for each gradient and return the weights after each."""
        return torch.stack([self.step(gradient) for gradient in gradients])


# Large rates and few steps: what a fault adds is seen beside weights of about 1.
RATE: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.0}
DECAY: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.5}


@check("3.7")
def adamw_step(m: Any, rng: Any) -> Any:
    weight, gradients = rng.normal(3, 4), rng.normal(8, 3, 4) + 0.5
    first = "the first step is lr against the sign of the gradient, whatever its size"
    # A quotient of two numbers that are both rounded, several times in some styles.
    yield equal(first, one_step(m, weight, gradients[0]), 3e-5)
    yield "a second gradient: both means move", Run(m, weight, **RATE).steps(gradients[:2])
    yield "eight steps", Run(m, weight, **RATE).steps(gradients)
    betas: dict[str, Any] = {"betas": (0.6, 0.8)}
    yield (
        "other betas: the first for the mean, the second for the mean square",
        Run(m, weight, **RATE, **betas).steps(gradients),
    )
    still = torch.zeros(3, 3, 4)
    yield (
        "without a gradient the weight only decays: lr · weight_decay of it at each step",
        Run(m, weight, **DECAY).steps(still),
    )
    yield "decay beside the movement: it goes through neither mean", Run(m, weight, **DECAY).steps(gradients)
    coarse: dict[str, Any] = {"eps": 0.05, "betas": (0.9, 0.95)}
    yield (
        "a large eps: it is added to the root, behind the correction",
        Run(m, weight, **RATE, **coarse).steps(0.05 * gradients),
    )
    yield (
        "the defaults of betas, eps and weight_decay",
        Run(m, weight, lr=0.1).steps(torch.cat([1e-8 * gradients, gradients])),
    )
    yield "gradients a million times smaller move as far", Run(m, weight, **RATE).steps(1e-6 * gradients)

    run = Run(m, weight, **DECAY)
    kept, held = gradients[0].clone(), run.weight
    run.gradient.copy_(kept)
    with torch.no_grad():
        returned = m.adamw_step(run.weight, run.gradient, run.state, **DECAY)
    yield "the weight changes in place, and nothing is returned", (held, returned)
    yield "the gradient stays as it is", run.gradient
    yield from two_tensors(m, rng, weight, gradients)


def one_step(m: Any, weight: Tensor, gradient: Tensor) -> Any:
    """Return how far the first step goes for a gradient, for one ten times as large, and for its negative."""
    return [Run(m, weight, **RATE).step(factor * gradient) - weight for factor in (1.0, 10.0, -1.0)]


def two_tensors(m: Any, rng: Any, weight: Tensor, gradients: Tensor) -> Iterator[Any]:
    """Yield what has to hold of the state: each tensor has its own, and all that is kept is in it."""
    one, two = Run(m, weight, **RATE), Run(m, rng.normal(5), **RATE)
    others = rng.normal(6, 5)
    one.steps(gradients[:3])
    seen = [(one.step(gradients[3 + i]), two.step(others[i])) for i in range(4)]
    yield "two tensors, one of them later: each counts its own steps", seen
    copied = Run(m, one.weight, copy.deepcopy(one.state), **RATE)
    yield (
        "all that is kept is in `state`: a copy of weight and state goes on alike",
        copied.steps(gradients[:3]),
    )
    yield "`state` holds tensors and whole numbers under names that are texts", is_plain(one.state)
    scalar = Run(m, torch.tensor(2.0), **DECAY)
    yield "a weight of one number, without any dimension", scalar.steps(others[:4, 0])


def is_plain(state: Any) -> bool:
    """Tell whether a state holds something, and nothing but tensors and whole numbers under texts."""
    pairs = state.items() if isinstance(state, dict) else ()
    return bool(pairs) and all(type(k) is str and (type(v) is int or isinstance(v, Tensor)) for k, v in pairs)


@cases("3.7")
def small_steps(m: Any) -> Any:
    for weight, gradients, settings in (
        ([1.0], [[2.0]], {"lr": 0.5, "weight_decay": 0.0}),
        ([1.0, 1.0], [[2.0, -4.0]], {"lr": 0.5, "weight_decay": 0.0}),
        ([2.0], [[0.0]], {"lr": 0.5, "weight_decay": 0.5}),
        ([2.0], [[1.0]], {"lr": 0.5, "weight_decay": 0.5}),
        ([1.0], [[2.0], [-1.0]], {"lr": 0.5, "weight_decay": 0.0}),
        ([1.0], [[2.0], [-1.0], [3.0]], {"lr": 0.5, "weight_decay": 0.0}),
        ([1.0], [[2.0], [1.0]], {"lr": 0.5, "betas": (0.5, 0.75), "weight_decay": 0.0}),
        ([1.0], [[2.0], [1.0]], {"lr": 0.5, "eps": 1.0, "weight_decay": 0.0}),
        ([2.0], [[2.0], [1.0]], {"lr": 0.5, "weight_decay": 0.5}),
        ([2.0], [[2.0], [1.0]], {"lr": 0.5}),
    ):
        given = torch.tensor(weight), torch.tensor(gradients)
        inputs = {"weight": given[0], "gradients, step by step": given[1], **settings}
        yield inputs, Run(m, given[0], **settings).steps(given[1])
    run = Run(m, torch.tensor([1.0]), **RATE)
    run.step(torch.tensor([2.0]))
    inputs = {"weight": torch.tensor([1.0]), "gradient": torch.tensor([2.0]), **RATE}
    yield inputs | {"shown": "the gradient afterwards"}, run.gradient
    run, later = Run(m, torch.tensor([1.0]), **RATE), Run(m, torch.tensor([1.0]), **RATE)
    run.step(torch.tensor([2.0]))
    later.step(torch.tensor([2.0]))
    inputs["shown"] = "the second step, if another weight has taken its first between"
    yield inputs, run.step(torch.tensor([1.0]))


@steps("3.7")
def chain_of_adamw(m: Any, rng: Any) -> Any:
    """without decay"""
    run, gradients = Run(m, rng.normal(3, 4), **RATE), rng.normal(4, 3, 4) + 0.5
    for i, gradient in enumerate(gradients):
        yield f"the weight after step {i + 1}", run.step(gradient)


@steps("3.7")
def chain_of_decay(m: Any, rng: Any) -> Any:
    """with decay"""
    run, gradients = Run(m, rng.normal(3, 4), **DECAY), rng.normal(2, 3, 4) + 0.5
    yield "the weight after a step without a gradient", Run(m, run.weight, **DECAY).step(torch.zeros(3, 4))
    for i, gradient in enumerate(gradients):
        yield f"the weight after step {i + 1}", run.step(gradient)
