"""3.6, clipping: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from coursekit.probe import mistake, variant

Parameters = Iterable[nn.Parameter]


def gradients_of(parameters: Parameters) -> list[Tensor]:
    """Return the gradients that there are."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def length(gradients: Iterable[Tensor]) -> Tensor:
    """Return the length of all gradients as one vector."""
    return torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()


def shrink(gradients: Iterable[Tensor], max_norm: float, norm: Tensor) -> None:
    """Scale the gradients in place where the norm is above the limit."""
    for gradient in gradients:
        gradient.mul_((max_norm / norm).clamp(max=1.0))


@mistake("3.6")
def scales_up(parameters: Parameters, max_norm: float) -> Tensor:
    """Your gradients are scaled to `max_norm` always, small ones up as well. Near a minimum, where gradients
    are small, every step would be as long as in the beginning. Leave those within the limit alone.
    """
    gradients = gradients_of(parameters)
    norm = length(gradients)
    for gradient in gradients:
        gradient.mul_(max_norm / norm.clamp(min=1e-12))
    return norm


@mistake("3.6")
def divided_by_zero(parameters: Parameters, max_norm: float) -> Tensor:
    """Your scaling makes NaN of gradients that are all 0: 0 · max_norm / 0. They are within the limit and
    stay as they are; one NaN would spread through all weights.
    """
    gradients = gradients_of(parameters)
    norm = length(gradients)
    for gradient in gradients:
        gradient.copy_(torch.where(norm > max_norm, gradient * max_norm / norm, gradient * (norm / norm)))
    return norm


@mistake("3.6")
def each_tensor(parameters: Parameters, max_norm: float) -> Tensor:
    """Your limit holds for each tensor by itself. A model of a hundred tensors could still take a step ten
    times as long, and the direction of the whole step changes. The limit is for all of them together.
    """
    gradients = gradients_of(parameters)
    norm = length(gradients)
    for gradient in gradients:
        shrink([gradient], max_norm, length([gradient]))
    return norm


@mistake("3.6")
def sum_of_lengths(parameters: Parameters, max_norm: float) -> Tensor:
    """Your norm is the sum of the tensors' lengths. Lengths at right angles do not add: it is the root of the
    sum of their squares.
    """
    gradients = gradients_of(parameters)
    norm = torch.stack([length([gradient]) for gradient in gradients]).sum()
    shrink(gradients, max_norm, norm)
    return norm


@mistake("3.6")
def longest_tensor(parameters: Parameters, max_norm: float) -> Tensor:
    """Your norm is that of the longest tensor alone. All of them together are longer: the root of the sum of
    all squares.
    """
    gradients = gradients_of(parameters)
    norm = torch.stack([length([gradient]) for gradient in gradients]).max()
    shrink(gradients, max_norm, norm)
    return norm


@mistake("3.6")
def largest_number(parameters: Parameters, max_norm: float) -> Tensor:
    """Your norm is the largest number of all gradients, the infinity norm. The length counts them all: the
    root of the sum of their squares.
    """
    gradients = gradients_of(parameters)
    norm = torch.stack([gradient.abs().max() for gradient in gradients]).max()
    shrink(gradients, max_norm, norm)
    return norm


@mistake("3.6")
def no_root(parameters: Parameters, max_norm: float) -> Tensor:
    """Your norm is the sum of the squares: the root is missing. A limit of 10 would clip what is 4 long."""
    gradients = gradients_of(parameters)
    norm = length(gradients).square()
    shrink(gradients, max_norm, norm)
    return norm


@mistake("3.6")
def mean_square(parameters: Parameters, max_norm: float) -> Tensor:
    """Your norm is the root of the mean square. It hardly grows with the model, so that a limit of 1 would
    clip nothing: take the sum of the squares, not their mean.
    """
    gradients = gradients_of(parameters)
    norm = length(gradients) / sum(gradient.numel() for gradient in gradients) ** 0.5
    shrink(gradients, max_norm, norm)
    return norm


@mistake("3.6")
def each_number(parameters: Parameters, max_norm: float) -> Tensor:
    """Your clipping cuts every number off at ±max_norm. That turns the step into another direction; scale all
    numbers by one factor, so that it only becomes shorter.
    """
    gradients = gradients_of(parameters)
    norm = length(gradients)
    for gradient in gradients:
        gradient.clamp_(-max_norm, max_norm)
    return norm


@mistake("3.6")
def length_afterwards(parameters: Parameters, max_norm: float) -> Tensor:
    """Your result is the length after clipping. It would never be above the limit, and a run that blows up
    would not show in the logs: return the length from before.
    """
    gradients = gradients_of(parameters)
    shrink(gradients, max_norm, length(gradients))
    return length(gradients)


@mistake("3.6")
def read_twice(parameters: Parameters, max_norm: float) -> Tensor:
    """Your function goes through `parameters` twice. `model.parameters()` is an iterator: the second time it
    is empty, and nothing is scaled. Make a list first.
    """
    norm = length(gradients_of(parameters))
    shrink(gradients_of(parameters), max_norm, norm)
    return norm


@mistake("3.6")
def new_tensors(parameters: Parameters, max_norm: float) -> Tensor:
    """Your gradients are replaced by new tensors. Whoever holds the old ones, as distributed training does,
    never sees the clipped numbers: change them in place.
    """
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    norm = length(gradients_of(parameters))
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad = parameter.grad * (max_norm / norm).clamp(max=1.0)
    return norm


@mistake("3.6")
def fills_in_zeros(parameters: Parameters, max_norm: float) -> Tensor:
    """Your function gives a gradient of zeros to parameters that have none. They took no part in the loss;
    with a gradient, even of 0, the optimizer would move and shrink them.
    """
    parameters = list(parameters)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = gradients_of(parameters)
    norm = length(gradients)
    shrink(gradients, max_norm, norm)
    return norm


@mistake("3.6")
def length_of_weights(parameters: Parameters, max_norm: float) -> Tensor:
    """Your norm is that of the weights. What is to be limited is the step: the length of their gradients."""
    parameters = list(parameters)
    norm = length(parameter.detach() for parameter in parameters)
    shrink(gradients_of(parameters), max_norm, norm)
    return norm


@variant("3.6")
def as_one_vector(parameters: Parameters, max_norm: float) -> Tensor:
    """All gradients are laid out as one vector."""
    gradients = [parameter.grad for parameter in list(parameters) if parameter.grad is not None]
    norm = torch.cat([gradient.reshape(-1) for gradient in gradients]).norm()
    if norm > max_norm:
        for gradient in gradients:
            gradient /= norm / max_norm
    return norm


@variant("3.6")
def norm_of_norms(parameters: Parameters, max_norm: float) -> Tensor:
    """The norm of the tensors' norms, with a little added before the division, as torch does it."""
    gradients = [p.grad.detach() for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    scale = torch.clamp(max_norm / (norm + 1e-12), max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)
    return norm


@variant("3.6")
def in_float64(parameters: Parameters, max_norm: float) -> Tensor:
    """Summed in float64, number by number; the factor is a number of Python."""
    gradients = []
    total = 0.0
    for parameter in parameters:
        if parameter.grad is not None:
            gradients.append(parameter.grad.data)
            total += float(parameter.grad.double().pow(2).sum())
    norm = total**0.5
    with torch.no_grad():
        for gradient in gradients:
            gradient.copy_(gradient * (min(1.0, max_norm / norm) if norm else 1.0))
    return torch.tensor(norm)
