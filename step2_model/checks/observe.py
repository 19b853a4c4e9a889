"""What the probes of step 2 have in common: small models with redrawn weights, gradients, dropout in
training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coursekit.probe import redraw

# Sums in another order differ by about 3e-7 of the largest number after one layer, by more after several
# and in gradients. The faults that these claims are for change whole terms.
DEEP = 1e-4
DROPOUT = 0.25


def build_config(m: Any, **changes: Any) -> Any:
    """Return a small configuration in which no two sizes are equal, so that no two dimensions can be
    confused.
    """
    sizes = {"vocab_size": 11, "block_size": 9, "n_layer": 2, "n_head": 3, "n_embd": 12, "dropout": 0.0}
    return m.GPTConfig(**(sizes | changes))


def fix_chance(rng: Any) -> None:
    """Seed torch, so that code which draws at random, as right code does only in dropout, can be known
    again.
    """
    torch.manual_seed(rng.integer(0, 2**31))


def build(kind: Any, config: Any, rng: Any) -> Any:
    """Return a module of this kind with every parameter redrawn: none is 0 or 1."""
    return redraw(kind(config), rng)


def fill_cache(m: Any, rng: Any, *shape: int) -> Any:
    """Return a cache that holds a past of random keys and values (B, H, S, D)."""
    cache = m.GrowingCache()
    cache.append(*rng.normal(2, *shape))
    return cache


class Affine(nn.Module):
    """Stands for a part of a model: answers `factor` times what it reads, plus `shift`, plus the number that
    it gets as its cache, if any; so that a small case can be computed in the head.
    """

    def __init__(self, factor: float, shift: float = 0.0) -> None:
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, x: torch.Tensor, cache: Any = None) -> torch.Tensor:
        return self.factor * x + self.shift + (0.0 if cache is None else cache)


def silence(layer: nn.Linear) -> None:
    """Make a linear layer answer 0 to everything, so that only the rest is seen."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()


def gradients(output: Any, direction: torch.Tensor, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return the gradient of sum(output * direction) for every input by name; None where none arrives."""
    is_usable = isinstance(output, torch.Tensor) and output.shape == direction.shape and output.requires_grad
    if not is_usable:
        return dict.fromkeys(inputs)
    # Summed here: given a direction, torch would import all of sympy to compare two shapes.
    total = (output * direction.to(output.dtype)).sum()
    found = torch.autograd.grad(total, list(inputs.values()), allow_unused=True)
    return dict(zip(inputs, found))


def parameters(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters of a module by name."""
    return dict(module.named_parameters())


def largest_factor(trained: Any, evaluated: Any) -> Any:
    """Return the largest ratio of what training returned to what evaluation returned, among its larger
    numbers.
    """
    if not isinstance(trained, torch.Tensor) or trained.shape != evaluated.shape:
        return trained
    is_large = evaluated.abs() > 0.1 * evaluated.abs().max()
    return float((trained[is_large] / evaluated[is_large]).detach().abs().max())


def count_zeros(trained: Any) -> Any:
    """Return how many numbers are exactly 0, then how many pairs of neighbors both are, along each
    dimension.

    Each count comes with the number of numbers, or of pairs, that were looked at. Pairs do not overlap.
    """
    if not isinstance(trained, torch.Tensor):
        return trained
    is_zero = trained == 0
    counts = [int(is_zero.sum()), is_zero.numel()]
    for dim in range(is_zero.dim()):
        size = is_zero.shape[dim] // 2
        pairs = is_zero.narrow(dim, 0, 2 * size).unflatten(dim, (size, 2)).all(dim=dim + 1)
        counts += [int(pairs.sum()), pairs.numel()]
    return counts


def drops_a_quarter(seen: Any, given: Any) -> bool:
    """Accept zeros in a share of DROPOUT, and pairs of zeros in a share of its square: each number by
    itself.

    Both may be off by seven standard deviations, which right code exceeds once in 10^11.
    """
    if not isinstance(seen, list) or len(seen) < 2 or any(type(number) is not int for number in seen):
        return False
    shares = [DROPOUT] + [DROPOUT**2] * (len(seen) // 2 - 1)
    return all(
        abs(count - share * total) <= 7 * (total * share * (1 - share)) ** 0.5
        for count, total, share in zip(seen[::2], seen[1::2], shares)
    )


def fill_whole(module: nn.Module) -> dict[str, torch.Tensor]:
    """Give every parameter small whole numbers that differ from place to place, and return them by
    name.
    """
    for shift, (_, parameter) in enumerate(sorted(module.named_parameters())):
        numbers = (torch.arange(parameter.numel()) * 2 + shift) % 5 - 2
        with torch.no_grad():
            parameter.copy_(numbers.reshape(parameter.shape))
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
