"""3.7, AdamW: known mistakes with the two means and the movement."""

from __future__ import annotations

from torch import Tensor

from coursekit.probe import mistake
from step3_pretrain.mistakes.adamw import BETAS, Betas, State, begin, means


@mistake("3.7")
def betas_swapped(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your betas are swapped: the first belongs to the mean of the gradient, the second to that of its
    square. The square has the longer memory.
    """
    mean, square = means(weight, gradient, state, (betas[1], betas[0]))
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def betas_reversed(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your means keep 1 - β of what they were and take β of the new gradient. It is the other way around: β
    says how much stays.
    """
    mean, square = means(weight, gradient, state, (1 - betas[0], 1 - betas[1]))
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def eps_in_root(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your eps stands inside the root: √(v̂ + eps). There 1e-8 counts as much as 1e-4 outside, and small
    gradients no longer move the weight: √v̂ + eps.
    """
    mean, square = means(weight, gradient, state, betas)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square + eps).sqrt())


@mistake("3.7")
def eps_before_correction(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your eps is added to the root of the mean square before the correction, so that at first it counts
    several times as much. Correct first, then take the root, then add eps.
    """
    mean, _ = means(weight, gradient, state, betas)
    root = (state["v"].sqrt() + eps) / (1 - betas[1] ** state["t"]) ** 0.5
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / root)


@mistake("3.7")
def no_root(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your movement is divided by the mean square itself: the root is missing. Small gradients would make
    huge steps.
    """
    mean, square = means(weight, gradient, state, betas)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square + eps))


@mistake("3.7")
def no_square(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your second mean is that of the gradient's magnitude. It is that of its square, whose root is taken in
    the end: rare large gradients count for more.
    """
    t = begin(weight, state)
    state["m"] = betas[0] * state["m"] + (1 - betas[0]) * gradient
    state["v"] = betas[1] * state["v"] + (1 - betas[1]) * gradient.abs()
    mean, size = state["m"] / (1 - betas[0] ** t), state["v"] / (1 - betas[1] ** t)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (size + eps))


@mistake("3.7")
def square_of_mean(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your second mean is that of the mean's square. It is that of the gradient's own square: only then does
    a gradient that changes its sign make short steps.
    """
    t = begin(weight, state)
    state["m"] = betas[0] * state["m"] + (1 - betas[0]) * gradient
    mean = state["m"] / (1 - betas[0] ** t)
    state["v"] = betas[1] * state["v"] + (1 - betas[1]) * mean**2
    square = state["v"] / (1 - betas[1] ** t)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def sum_of_gradients(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your means take the whole new value instead of 1 - β of it: m ← β1·m + g. They grow to ten times the
    gradient and more.
    """
    t = begin(weight, state)
    state["m"] = betas[0] * state["m"] + gradient
    state["v"] = betas[1] * state["v"] + gradient**2
    mean, square = state["m"] / (1 - betas[0] ** t), state["v"] / (1 - betas[1] ** t)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def uphill(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your step goes with the gradient, uphill: the loss rises. Subtract."""
    mean, square = means(weight, gradient, state, betas)
    weight.mul_(1 - lr * weight_decay).add_(lr * mean / (square.sqrt() + eps))
