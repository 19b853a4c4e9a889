"""3.12b, Muon: known mistakes with the decay, and with what is kept or changed."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from coursekit.probe import mistake
from step3_pretrain.further_solution import muon_step, orthogonalize
from step3_pretrain.mistakes.muon import ahead, average, scale_of


@mistake("3.12b", called="The weight decays after it has moved")
def decay_after(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your weight decays after it has moved, so that the newest step is shrunk, too. Decay first."""
    muon_step(weight, gradient, state, lr, momentum, weight_decay=0.0)
    weight.mul_(1 - lr * weight_decay)


@mistake("3.12b", called="The decay is multiplied by the scale of tall matrices, too")
def decay_scaled(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your decay is part of the direction, and is scaled with it: tall matrices decay faster. Only the step
    is scaled; the weight is shrunk by 1 - lr · weight_decay, whatever its shape.
    """
    direction = orthogonalize(ahead(weight, gradient, state, momentum))
    weight.sub_(direction + weight_decay * weight, alpha=lr * scale_of(weight))


@mistake("3.12b", called="The decay is added to the gradient")
def decay_in_gradient(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your decay is added to the gradient (L2). It goes through mean and orthogonalization then, which makes
    all directions equally large: nothing decays, the step only turns. Shrink the weight itself.
    """
    muon_step(weight, gradient + weight_decay * weight, state, lr, momentum, weight_decay=0.0)


@mistake("3.12b", called="The decay lacks lr")
def decay_without_rate(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your weight is shrunk by 1 - weight_decay at each step, without lr: by a tenth each time, with 0.1."""
    weight.mul_(1 - weight_decay)
    muon_step(weight, gradient, state, lr, momentum, weight_decay=0.0)


@mistake("3.12b", called="No weight decays")
def no_decay(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your weight does not decay: weight_decay plays no part."""
    muon_step(weight, gradient, state, lr, momentum, weight_decay=0.0)


@mistake("3.12b")
def gradient_changed(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your step changes the gradient (lerp_ or mul_ on it). The numbers of this step are right; whoever reads
    the gradient after it, for a plot or a second optimizer, reads something else.
    """
    mean = average(weight, gradient, state, momentum)
    direction = orthogonalize(gradient.lerp_(mean, momentum))
    weight.mul_(1 - lr * weight_decay).sub_(direction, alpha=lr * scale_of(weight))


@mistake("3.12b", called="The weight is not changed: the new one is another tensor")
def not_in_place(
    weight: Tensor, gradient: Tensor, state: Any, lr: float, momentum: float = 0.95, weight_decay: float = 0.1
) -> None:
    """Your step computes a new weight and leaves the old one as it was: weight = ... names another tensor.
    Use mul_ and sub_, which change it in place.
    """
    direction = orthogonalize(ahead(weight, gradient, state, momentum))
    weight = weight * (1 - lr * weight_decay) - lr * scale_of(weight) * direction
