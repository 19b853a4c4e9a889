"""Functions of step 3 written wrong, to be planted in a run, each in the place of the right one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

Parts = Mapping[str, Callable[..., Any]]


def one_batch(module: Any) -> Parts:
    """Draw the batch of step 0 at every step."""
    right = module.sample_blocks
    return {"sample_blocks": lambda stream, T, B, seed, step: right(stream, T, B, seed, 0)}


def shifted_twice(module: Any) -> Parts:
    """Shift the labels, which the model shifts as well."""

    def training_step(
        model: Any, optimizer: Any, ids: Any, max_norm: float | None = None, labels: Any = None
    ) -> Any:
        model.train()
        optimizer.zero_grad()
        loss = model(ids[:, :-1], labels=ids[:, 1:]).loss
        loss.backward()
        if max_norm is not None:
            module.clip_gradients(model.parameters(), max_norm)
        optimizer.step()
        return loss.detach()

    return {"training_step": training_step}


def each_tensor(module: Any) -> Parts:
    """Clip the gradient of each tensor by its own length."""

    def clip_gradients(parameters: Any, max_norm: float) -> Any:
        for parameter in parameters:
            parameter.grad.mul_((max_norm / parameter.grad.norm()).clamp(max=1.0))

    return {"clip_gradients": clip_gradients}


def uncorrected(module: Any) -> Parts:
    """Leave out the correction of the two running means."""

    def adamw_step(
        weight: Any,
        gradient: Any,
        state: Any,
        lr: float,
        betas: Any = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> None:
        if not state:
            state.update(mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
        mean = state["mean"].lerp_(gradient, 1 - betas[0])
        square = state["square"].lerp_(gradient**2, 1 - betas[1])
        weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))

    return {"adamw_step": adamw_step}


def padding_counted(module: Any) -> Parts:
    """Multiply the mean loss of a batch by all its places."""

    def evaluate(model: Any, batches: Any, num_bytes: int) -> float:
        was_training, nats = model.training, 0.0
        model.eval()
        with torch.no_grad():
            for ids, labels in batches:
                nats += model(ids, labels=labels).loss.item() * labels.numel()
        model.train(was_training)
        return nats / math.log(2) / num_bytes

    return {"evaluate": evaluate}


def stuck_at_step_0(module: Any) -> Parts:
    """Give every step the rate of step 0."""
    right = module.learning_rate
    return {"learning_rate": lambda step, *rest, **settings: right(0, *rest, **settings)}


def without_root(module: Any) -> Parts:
    """Divide by the mean square instead of its root."""

    def adamw_step(
        weight: Any,
        gradient: Any,
        state: Any,
        lr: float,
        betas: Any = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> None:
        if not state:
            state.update(step=0, mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - betas[0]) / (1 - betas[0] ** state["step"])
        square = state["square"].lerp_(gradient**2, 1 - betas[1]) / (1 - betas[1] ** state["step"])
        weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square + eps))

    return {"adamw_step": adamw_step}


def decay_without_rate(module: Any) -> Parts:
    """Shrink weights by the whole decay at every step."""
    right = module.adamw_step

    def adamw_step(weight: Any, gradient: Any, state: Any, lr: float, **settings: Any) -> None:
        decay = settings.pop("weight_decay", 0.1)
        right(weight, gradient, state, lr, weight_decay=0.0, **settings)
        weight.mul_(1 - decay)

    return {"adamw_step": adamw_step}
