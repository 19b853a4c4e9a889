"""3.12b, Muon: known mistakes with the running mean, the scale and the decay; accepted variants."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step3_pretrain.further_solution import orthogonalize


def average(weight: Tensor, gradient: Tensor, state: Any, momentum: float) -> Tensor:
    """Move the running mean toward the gradient, and return it."""
    mean: Tensor = state.setdefault("mean", torch.zeros_like(weight))
    return mean.lerp_(gradient, 1 - momentum)


def ahead(weight: Tensor, gradient: Tensor, state: Any, momentum: float) -> Tensor:
    """Return the direction, looking ahead, before it is orthogonalized."""
    return gradient.lerp(average(weight, gradient, state, momentum), momentum)


def scale_of(weight: Tensor) -> float:
    """Return how much further a tall matrix moves."""
    return math.sqrt(max(1.0, weight.shape[0] / weight.shape[1]))


def move(
    weight: Tensor, direction: Tensor, lr: float, weight_decay: float, scale: float | None = None
) -> None:
    """Decay the weight, and move it against the direction."""
    weight.mul_(1 - lr * weight_decay)
    weight.sub_(direction, alpha=lr * (scale_of(weight) if scale is None else scale))


@mistake("3.12b", called="The direction is the running mean itself, without looking ahead")
def without_nesterov(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your direction is the running mean alone. Muon looks one step ahead (Nesterov): (1 - μ)·g + μ·m, so
    that the newest gradient has a say of its own. With m as it was before the step that is the plain mean
    again.
    """
    move(weight, orthogonalize(average(weight, gradient, state, momentum)), lr, weight_decay)


@mistake("3.12b", called="The running mean plays no part: the direction is the gradient's")
def without_momentum(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your direction is that of the gradient alone: no step knows of those before it. One batch is noise; the
    running mean is what is left when it cancels.
    """
    move(weight, orthogonalize(gradient), lr, weight_decay)


@mistake("3.12b", called="The gradients are summed, m ← μ·m + g, and then mixed as if m were a mean")
def sum_for_mean(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your m is a sum, m ← μ·m + g, where the mean (1 - μ)·g + μ·m is asked for. It is 1/(1 - μ) times as
    large, 20 times, so that (1 - μ)·g + μ·m hardly contains the newest gradient.
    """
    total = state.setdefault("mean", torch.zeros_like(weight)).mul_(momentum).add_(gradient)
    move(weight, orthogonalize(gradient.lerp(total, momentum)), lr, weight_decay)


@mistake("3.12b", called="μ and 1 - μ are exchanged in the running mean")
def exchanged(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your mean takes μ of the new gradient and 1 - μ of itself: it forgets at once. lerp_ moves by its
    second argument, which is 1 - μ.
    """
    mean = average(weight, gradient, state, 1 - momentum)
    move(weight, orthogonalize(gradient.lerp(mean, momentum)), lr, weight_decay)


@mistake("3.12b", called="The running mean begins at the first gradient, not at 0")
def begins_at_gradient(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your mean begins at the first gradient. It counts in full then, for twenty steps, while all others
    count by 1 - μ. It begins at 0; its size does not matter, since the direction is orthogonalized.
    """
    state.setdefault("mean", gradient.clone())
    move(weight, orthogonalize(ahead(weight, gradient, state, momentum)), lr, weight_decay)


@mistake("3.12b", called="Each gradient is orthogonalized before it enters the mean")
def orthogonalized_first(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your mean is one of orthogonalized gradients, and not orthogonal itself. First the mean, in which noise
    cancels; then make the directions of what is left equally large.
    """
    move(weight, ahead(weight, orthogonalize(gradient), state, momentum), lr, weight_decay)


@mistake("3.12b", called="The direction is not orthogonalized")
def not_orthogonalized(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your direction is not orthogonalized: this is momentum as usual; large directions drown the small."""
    move(weight, ahead(weight, gradient, state, momentum), lr, weight_decay)


@mistake("3.12b", called="The scale is the root of columns over rows")
def columns_over_rows(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your scale is √max(1, columns/rows): wide matrices move further. It is tall ones, rows over columns,
    that make many features of few.
    """
    rows, columns = weight.shape
    direction = orthogonalize(ahead(weight, gradient, state, momentum))
    move(weight, direction, lr, weight_decay, math.sqrt(max(1.0, columns / rows)))


@mistake("3.12b", called="Wide matrices move less: the scale has no least value of 1")
def no_least_scale(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your scale is √(rows/columns), below 1 for a wide matrix. It is at least 1: √max(1, rows/columns)."""
    direction = orthogonalize(ahead(weight, gradient, state, momentum))
    move(weight, direction, lr, weight_decay, math.sqrt(weight.shape[0] / weight.shape[1]))


@mistake("3.12b", called="The scale lacks its root")
def no_root(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your scale is rows over columns itself: its root is missing."""
    direction = orthogonalize(ahead(weight, gradient, state, momentum))
    move(weight, direction, lr, weight_decay, scale_of(weight) ** 2)


@mistake("3.12b", called="Tall matrices move no further than others")
def no_scale(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your step does not scale with the shape: tall matrices move by lr, like all others."""
    move(weight, orthogonalize(ahead(weight, gradient, state, momentum)), lr, weight_decay, 1.0)


@mistake("3.12b", called="The step goes along the direction, not against it")
def uphill(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your weight moves along the direction instead of against it: the loss would rise."""
    move(weight, -orthogonalize(ahead(weight, gradient, state, momentum)), lr, weight_decay)


@variant("3.12b")
def sum_of_gradients(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """A sum in place of the mean, looked ahead from as sums are: g + μ·m. The size of it does not matter."""
    state["sum"] = momentum * state.get("sum", 0) + gradient
    direction = orthogonalize(gradient + momentum * state["sum"])
    weight.copy_(weight - lr * weight_decay * weight - lr * scale_of(weight) * direction)


@variant("3.12b")
def written_out(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """The two means written out; the scale with a branch."""
    mean = (1 - momentum) * gradient + momentum * state.get("m", torch.zeros_like(gradient))
    state["m"] = mean
    rows, columns = weight.shape
    factor = (rows / columns) ** 0.5 if rows > columns else 1.0
    weight *= 1 - lr * weight_decay
    weight -= lr * factor * orthogonalize((1 - momentum) * gradient + momentum * mean)


@variant("3.12b")
def transposed(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """The direction of the transposed matrix, transposed."""
    direction = orthogonalize(ahead(weight, gradient, state, momentum).mT.contiguous()).mT
    move(weight, direction, lr, weight_decay)
