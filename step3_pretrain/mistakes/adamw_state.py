"""3.7, AdamW: known mistakes with what is kept and what is changed; accepted variants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step3_pretrain.mistakes.adamw import BETAS, Betas, State, begin, means

# What a step counter outside of the states would be.
COUNT = {"t": 0}


@mistake("3.7")
def forgets(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your means are not kept in `state`: every step is a first step, and goes by lr in the direction of the
    sign. Write them back.
    """
    mean, square = means(weight, gradient, {}, betas)
    begin(weight, state)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def one_counter(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your steps are counted outside of `state`, for all tensors together. The first step of one is taken for
    the third of another, and its means are corrected for too little.
    """
    if not state:
        COUNT["t"] = 0
    begin(weight, state)
    COUNT["t"] += 1
    state["t"] = COUNT["t"] - 1
    mean, square = means(weight, gradient, state, betas)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def changes_gradient(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your step changes the gradient: an in-place operation writes into it. Clipping, logging and
    accumulation read it afterwards: work on copies.
    """
    held = gradient.clone()
    gradient.add_(weight_decay * weight)
    mean, square = means(weight, held, state, betas)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@mistake("3.7")
def new_weight(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your new weight is a new tensor, and the model keeps the old one: `weight = ...` only gives another
    name. Change it in place, with sub_ or mul_.
    """
    mean, square = means(weight, gradient, state, betas)
    weight = weight * (1 - lr * weight_decay) - lr * mean / (square.sqrt() + eps)


@mistake("3.7")
def keeps_alias(
    weight: Tensor,
    gradient: Tensor,
    state: State,
    lr: float,
    betas: Betas = BETAS,
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Your state keeps the first gradient itself, not a copy of it. Its memory is used again for the next
    gradient, which changes the mean behind your back.
    """
    if not state:
        state.update(t=1, m=gradient, v=gradient**2 * (1 - betas[1]))
        mean, square = gradient.clone(), gradient**2
    else:
        first = state["m"] * (1 - betas[0]) if state["t"] == 1 else state["m"]
        state["m"] = first
        mean, square = means(weight, gradient, state, betas)
    weight.mul_(1 - lr * weight_decay).sub_(lr * mean / (square.sqrt() + eps))


@variant("3.7")
def as_in_torch(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """The corrections are drawn into the step's size and the root's scale, as torch does it."""
    if len(state) == 0:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(weight)
        state["exp_avg_sq"] = torch.zeros_like(weight)
    state["step"] += 1
    t = state["step"].item()
    weight.mul_(1 - lr * weight_decay)
    state["exp_avg"].lerp_(gradient, 1 - betas[0])
    state["exp_avg_sq"].mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    root = (state["exp_avg_sq"].sqrt() / (1 - betas[1] ** t) ** 0.5).add_(eps)
    weight.addcdiv_(state["exp_avg"], root, value=-lr / (1 - betas[0] ** t))


@variant("3.7")
def in_float64(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Means in float64; the whole change is one subtraction."""
    g = gradient.double()
    t = state.get("t", 0) + 1
    m = betas[0] * state.get("m", torch.zeros_like(g)) + (1 - betas[0]) * g
    v = betas[1] * state.get("v", torch.zeros_like(g)) + (1 - betas[1]) * g * g
    state["t"], state["m"], state["v"] = t, m, v
    ratio = (m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)) ** 0.5 + eps)
    weight -= (lr * weight_decay * weight.double() + lr * ratio).to(weight.dtype)


@variant("3.7")
def powers_kept(
    weight: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Instead of the number of the step, the powers of both betas are kept, and all in one tensor each."""
    kept = state.setdefault("means", torch.zeros(2, *weight.shape))
    left = state.setdefault("left", torch.ones(2, dtype=torch.float64))
    rates = torch.tensor(betas, dtype=torch.float64)
    left *= rates
    for i, new in enumerate((gradient, gradient**2)):
        kept[i] += (1 - betas[i]) * (new - kept[i])
    mean, square = (kept[i] / float(1 - left[i]) for i in range(2))
    weight.copy_(weight - lr * weight_decay * weight - lr * mean / (torch.sqrt(square) + eps))
