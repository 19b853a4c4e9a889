"""What a step does: rates compared, one bad batch, the first moves of Adam, two ways to decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from step3_pretrain.experiments import small

BAD_STEP = 60


def with_a_bad_batch(
    module: Any, lesson: small.Lesson, max_norm: float, count: int = 110, adamw: bool = False
) -> tuple[list[float], list[float]]:
    """Train a small decoder by momentum, or AdamW; return its losses and the lengths of its gradients.

    Gradients are clipped to `max_norm`; infinity leaves them as they are. At step `BAD_STEP` the batch is one
    token, again and again, as a broken file may hold it.
    """
    model = small.decoder(len(lesson.tokenizer))
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    if adamw:
        optimizer = torch.optim.AdamW(model.parameters(), 3e-3, betas=(0.9, 0.95))
    losses, norms = [], []
    for step in range(small.steps(count)):
        ids = module.sample_blocks(lesson.stream, small.BLOCK, small.BATCH, 0, step)
        if step == BAD_STEP:
            ids = torch.full_like(ids, lesson.end_of_text)
        optimizer.zero_grad()
        loss = model(ids, labels=ids).loss
        loss.backward()
        norms.append(float(module.clip_gradients(model.parameters(), max_norm)))
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def by_schedule(
    module: Any, lesson: small.Lesson, rate_of: Callable[[int, int], float], count: int = 200
) -> list[float]:
    """Train a small decoder with clipping and AdamW; step i of n has the rate `rate_of(i, n)`."""
    model, total = small.decoder(len(lesson.tokenizer)), small.steps(count)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95))
    losses = []
    for step in range(total):
        optimizer.param_groups[0]["lr"] = rate_of(step, total)
        ids = module.sample_blocks(lesson.stream, small.BLOCK, small.BATCH, 0, step)
        losses.append(module.training_step(model, optimizer, ids, 1.0).item())
    return losses


def moves(module: Any, gradients: Tensor, lr: float = 0.1, **settings: Any) -> Tensor:
    """Return by how much `module.adamw_step` moves a weight for each of the gradients, one after another."""
    weight, found = torch.zeros(1), []
    state: dict[str, Any] = {}
    for gradient in gradients:
        before = weight.clone()
        module.adamw_step(weight, gradient.view(1), state, lr, weight_decay=0.0, **settings)
        found.append(weight - before)
    return torch.cat(found)


def uncorrected_moves(
    gradients: Tensor, lr: float = 0.1, betas: tuple[float, float] = (0.9, 0.999)
) -> Tensor:
    """Return the moves of Adam without the correction of its two means."""
    mean = square = torch.zeros(())
    found = []
    for gradient in gradients:
        mean = betas[0] * mean + (1 - betas[0]) * gradient
        square = betas[1] * square + (1 - betas[1]) * gradient**2
        found.append(-lr * mean / (square.sqrt() + 1e-8))
    return torch.stack(found)


def decayed(module: Any, sizes: Tensor, decoupled: bool, count: int = 200) -> Tensor:
    """Return what is left of weights of size 1 after `count` steps, of gradients of these sizes around 0.

    Decoupled the decay shrinks the weight itself; else it is added to the gradient, which is called L2.
    """
    chance = torch.Generator().manual_seed(0)
    weight = torch.ones(len(sizes))
    state: dict[str, Any] = {}
    decay = 0.1
    for _ in range(count):
        gradient = sizes * torch.randn(len(sizes), generator=chance)
        if not decoupled:
            gradient = gradient + decay * weight
        module.adamw_step(weight, gradient, state, 0.01, weight_decay=decay if decoupled else 0.0)
    return weight
