"""3.7, AdamW: known mistakes with the correction, the decay and the order of both."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake

State = dict[str, Any]
Betas = tuple[float, float]
BETAS = (0.9, 0.95)


def begin(weight: Tensor, state: State) -> int:
    """Prepare the state at the first step; count the step and return its number."""
    if not state:
        state.update(t=0, m=torch.zeros_like(weight), v=torch.zeros_like(weight))
    state["t"] += 1
    return int(state["t"])


def means(weight: Tensor, gradient: Tensor, state: State, betas: Betas) -> tuple[Tensor, Tensor]:
    """Move both running means and return them corrected."""
    t = begin(weight, state)
    state["m"] = betas[0] * state["m"] + (1 - betas[0]) * gradient
    state["v"] = betas[1] * state["v"] + (1 - betas[1]) * gradient**2
    return state["m"] / (1 - betas[0] ** t), state["v"] / (1 - betas[1] ** t)


@mistake("3.7")
def no_correction(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your means are not corrected for their beginning at 0. The mean square is much too small at first, and
    the mean as well, but not by as much: the first steps are of the wrong length. Divide by 1 - β^t.
    """
    means(weight, gradient, state, betas)
    weight.mul_(1 - lr * weight_decay).sub_(lr * state["m"] / (state["v"].sqrt() + eps))


@mistake("3.7")
def mean_alone_corrected(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your mean is corrected, your mean square is not. Near the beginning it is too small, and the steps are
    too long: divide it by 1 - β2^t.
    """
    mean, _ = means(weight, gradient, state, betas)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (state["v"].sqrt() + eps))


@mistake("3.7")
def counts_from_zero(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your correction counts the first step as t = 0: it divides by 1 - β^0, which is 0. The first step is t
    = 1.
    """
    t = begin(weight, state) - 1
    state["m"] = betas[0] * state["m"] + (1 - betas[0]) * gradient
    state["v"] = betas[1] * state["v"] + (1 - betas[1]) * gradient**2
    mean, square = (state[n] / torch.tensor(1 - beta**t) for n, beta in zip("mv", betas))
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def counts_ahead(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your correction is one step ahead: the first step is counted as t = 2, as when the counter goes up
    twice. After t steps a mean that began at 0 has seen 1 - β^t of its weight.
    """
    begin(weight, state)
    mean, square = means(weight, gradient, state, betas)
    state["t"] -= 1
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def decay_in_gradient(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your decay is added to the gradient, which is L2 regularization, Adam without the W. It then goes
    through both means and is divided by the root: weights with large gradients hardly decay.
    """
    mean, square = means(weight, gradient + weight_decay * weight, state, betas)
    weight.sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def decay_without_rate(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your decay is not multiplied by the learning rate. A weight loses weight_decay of itself at every step
    and is gone after a few dozen; the factor is 1 - lr · weight_decay.
    """
    mean, square = means(weight, gradient, state, betas)
    weight.mul_(1 - weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def decay_afterwards(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your decay shrinks the weight after it has moved, so that the movement shrinks, too. The order is:
    decay, then move.
    """
    mean, square = means(weight, gradient, state, betas)
    weight.sub_(lr * mean / (square.sqrt() + eps)).mul_(1 - lr * weight_decay)


@mistake("3.7")
def no_decay(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your step has no decay: `weight_decay` plays no part. Shrink the weight by the factor 1 - lr ·
    weight_decay.
    """
    mean, square = means(weight, gradient, state, betas)
    weight.sub_(lr * mean / (square.sqrt() + eps))
