"""Experts at work on a small task, for the chapter's figures: what they are worth, and who is busy.

The task: vectors that come from 8 regions, each with a linear map of its own that has to be learned. One
layer must bend itself to all maps; experts can share them out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

REGIONS = 8
WIDTH = 8


class Regions:
    """The task: `batch(generator)` draws 128 vectors and what each should become."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(7)
        self.centers = 2 * torch.randn(REGIONS, WIDTH, generator=generator)
        self.maps = torch.randn(REGIONS, WIDTH, WIDTH, generator=generator) / WIDTH**0.5

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return x and y, each (1, 128, 8), of as many vectors from every region as chance wants."""
        region = torch.randint(REGIONS, (128,), generator=generator)
        x = self.centers[region] + torch.randn(128, WIDTH, generator=generator)
        return x.unsqueeze(0), torch.einsum("nij,nj->ni", self.maps[region], x).unsqueeze(0)


def start(layer: nn.Module, generator: torch.Generator) -> None:
    """Draw every matrix with a standard deviation of 1/√fan_in."""
    with torch.no_grad():
        for parameter in layer.parameters():
            draw = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(draw / parameter.shape[-1] ** 0.5)


def sparse_layer(module: Any, **changes: Any) -> Any:
    """Return `module.MoE` with 8 experts of width 8, two for each token."""
    sizes = {"d_model": WIDTH, "n_experts": 8, "n_experts_per_tok": 2, "moe_intermediate_size": 8}
    return module.MoE(module.ModelArgs(**(sizes | changes)))


def learn(
    layer: Any, steps: int = 600, *, balance: float = 0.0, head_start: float = 0.0, seed: int = 0
) -> list[float]:
    """Return the error (mean square) at each step while the layer learns the task.

    `balance` is how much the load-balance loss counts. `head_start` is added to the router's row of expert 0,
    along the mean of the inputs, so that expert 0 is ahead in the beginning.
    """
    generator = torch.Generator().manual_seed(seed)
    task = Regions()
    start(layer, generator)
    if head_start:
        mean = task.centers.mean(dim=0)
        with torch.no_grad():
            layer.gate.weight[0] += head_start * mean / mean.norm() ** 2
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    errors = []
    for _ in range(steps):
        x, y = task.batch(generator)
        error = (layer(x) - y).square().mean()
        loss = error + balance * layer.balance if balance else error
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(error.item())
    return errors


@torch.no_grad()
def loads(layer: Any) -> list[float]:
    """Return which share of the choices each expert gets, over 1,280 vectors of the task."""
    generator = torch.Generator().manual_seed(99)
    x = torch.cat([Regions().batch(generator)[0] for _ in range(10)], dim=1)
    experts = layer.gate(x.flatten(0, 1))[2]
    counts = torch.bincount(experts.flatten(), minlength=layer.gate.weight.shape[0])
    shares: list[float] = (counts / counts.sum()).tolist()
    return shares
