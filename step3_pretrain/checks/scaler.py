"""Probe of a step on gradients of a scaled loss (3.10b)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coursekit.chain import Chain
from coursekit.probe import cases, check, steps


class Descent:
    """An optimizer as small as one can be: every weight less `lr` times its gradient. Counts its steps."""

    def __init__(self, parameters: list[nn.Parameter], lr: float = 1.0) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": parameters, "lr": lr}]
        self.num_steps = 0

    def step(self) -> None:
        """Change every weight that has a gradient."""
        self.num_steps += 1
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.sub_(group["lr"] * parameter.grad)


class Stage:
    """Weights with gradients of a scaled loss, an optimizer, and a scaler that doubles after a good step."""

    def __init__(
        self, weights: list[Any], gradients: list[Any], scale: float, is_enabled: bool = True
    ) -> None:
        self.scaler = torch.amp.GradScaler("cpu", scale, growth_interval=1, enabled=is_enabled)
        self.scaler.scale(torch.ones(()))  # what a loop does before backward; it makes the scale a tensor
        self.parameters = [nn.Parameter(weight.clone()) for weight in weights]
        self.set_gradients(gradients)
        self.optimizer = Descent(self.parameters)

    def set_gradients(self, gradients: list[Any]) -> None:
        """Put gradients in place, as `backward` does; None for a weight without one."""
        for parameter, gradient in zip(self.parameters, gradients):
            parameter.grad = None if gradient is None else gradient.clone()

    def take(self, m: Any, max_norm: float) -> Any:
        """Take a step; return the length, the weights, the scale of the next step and the steps taken."""
        norm = m.scaled_step(self.optimizer, self.scaler, self.parameters, max_norm)
        weights = [parameter.detach().clone() for parameter in self.parameters]
        return {"norm": norm, "weights": weights, "scale": self.scaler.get_scale(), **self.counted()}

    def counted(self) -> dict[str, int]:
        """Return how many steps the optimizer has taken."""
        return {"steps": self.optimizer.num_steps}


@check("3.10b")
def scaled_step(m: Any, rng: Any) -> Any:
    dtypes = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
    yield "float32, float16, bfloat16, float64: only one lacks exponents", [m.needs_scaler(d) for d in dtypes]
    weights, gradients = [rng.normal(3, 2), rng.normal(4)], [rng.normal(3, 2), rng.normal(4)]
    large = [512 * gradient for gradient in gradients]
    free, clipped = (Stage(weights, large, 512.0).take(m, limit) for limit in (1e6, 0.7))
    yield "no limit in reach: the step is that of gradients divided by the scale", free["weights"][0]
    yield "a limit in reach: it holds for the gradients divided by the scale", clipped["weights"][0]
    yield "their length before clipping, without the scale", clipped["norm"]
    yield "length, weights, steps, and the scale of the next step", [free, clipped]
    yield (
        "a limit between the two lengths clips nothing",
        Stage(weights, large, 512.0).take(m, 100.0),
    )
    yield "weights without a gradient stay", Stage(weights, [large[0], None], 512.0).take(m, 0.7)
    for name, bad in (("infinite", float("inf")), ("no number", float("nan"))):
        broken = [large[0], large[1].clone()]
        broken[1][2] = bad
        stage = Stage(weights, broken, 512.0)
        taken = stage.take(m, 0.7)
        yield (
            f"a gradient is {name}: no step, and half the scale",
            {k: taken[k] for k in taken if k != "norm"},
        )
        stage.set_gradients([0.5 * gradient for gradient in large])
        yield "the next step is taken, with the smaller scale", stage.take(m, 0.7)
    yield (
        "a scaler that is not enabled: an ordinary step",
        Stage(weights, gradients, 512.0, is_enabled=False).take(m, 0.7),
    )
    stage = Stage(weights, large, 512.0)
    stage.take(m, 0.7)
    stage.set_gradients([2 * gradient for gradient in large])
    yield "two steps in a row: the scale of the second is the one that the first chose", stage.take(m, 0.7)


@cases("3.10b")
def small_steps(m: Any) -> Any:
    """Outputs are the length, weight and scale afterwards, and the number of steps taken."""
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        yield {"function": "needs_scaler", "dtype": str(dtype)}, m.needs_scaler(dtype)
    for gradient, max_norm, is_enabled in (
        ([12.0, 16.0], 10.0, True),
        ([12.0, 16.0], 2.5, True),
        ([12.0, 16.0], 10.0, False),
        ([12.0, 16.0], 40.0, False),
        ([float("inf"), 16.0], 10.0, True),
    ):
        stage = Stage([torch.zeros(2)], [torch.tensor(gradient)], 4.0, is_enabled)
        inputs = {"function": "scaled_step", "gradient": torch.tensor(gradient), "max_norm": max_norm}
        said = "scale 4, doubles after every good step" if is_enabled else "not enabled"
        taken = stage.take(m, max_norm)
        output = (taken["norm"], taken["weights"][0], taken["scale"], taken["steps"])
        yield {**inputs, "optimizer": "weight - gradient, from 0", "scaler": said}, output


@steps("3.10b")
def chain_of_step(m: Any, rng: Any) -> Any:
    """where the limit is in reach"""
    weights, gradients = [rng.normal(3, 2), rng.normal(4)], [256 * rng.normal(3, 2), 256 * rng.normal(4)]
    stage = Stage(weights, gradients, 256.0)
    chain = Chain()
    chain.calls(m, "clip_gradients", returns="the length that clip_gradients returns")
    yield from chain.of(lambda: stage.take(m, 0.7), "length, weights, scale and steps")
