"""The processes of a run: which one this is, and what all of them have to agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# Preparing a large corpus takes the first process hours, while the others wait.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class World:
    """`size` processes, of which this is number `rank`; the default is one process alone.

    What is asked of the world is asked by all processes, in the same order: each answer is one for all.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there are no others."""
        return self.size == 1

    def rows(self, ids: Tensor) -> Tensor:
        """Return this process's rows of a global batch, as many as every other process has."""
        return ids.chunk(self.size)[self.rank]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a number over all processes."""
        return value if self.is_alone else self.sum(value) / self.size

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.is_alone:
            return value
        found = value.detach().clone()
        dist.all_reduce(found)
        return found

    def share(self, count: Tensor) -> float:
        """Return how many times as many there are here as on average: what this process's mean counts."""
        return 1.0 if self.is_alone else float(count * self.size / self.sum(count))

    def any(self, flag: bool, device: str) -> bool:
        """Return whether the flag is set in any process."""
        return flag if self.is_alone else bool(self.sum(torch.tensor(float(flag), device=device)) > 0)

    def first(self, number: float, device: str) -> float:
        """Return the number that the first process has."""
        if self.is_alone:
            return number
        found = torch.tensor(number, dtype=torch.float64, device=device)
        dist.broadcast(found, src=0)
        return float(found)

    def wait(self) -> None:
        """Wait for the others."""
        if not self.is_alone:
            dist.barrier()

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process run the block before the others do: what it leaves on the disk, they find."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


ALONE = World()


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Yield the world that `torchrun` has started this process in; one process alone where it has not.

    With GPUs each process takes one, and they talk by NCCL; else by gloo.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    has_gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if has_gpu else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def spread(model: Any, kind: str, world: World, device: str) -> Any:
    """Return the model as all processes train it together: "ddp" keeps all of it in each, "fsdp" a share.

    Either way each gradient is the mean over the processes. FSDP2 replaces the parameters of `model` itself
    by their shares, layer by layer: make the optimizer afterwards.
    """
    if world.is_alone:
        return model
    if kind == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device, (world.size,))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor of which every process holds a share."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_weights(model: nn.Module, world: World) -> dict[str, Tensor]:
    """Return all weights of a model of which every process may hold a share, in the first process alone."""
    weights = {}
    for name, tensor in model.state_dict().items():
        found = whole(tensor.detach())
        if world.is_first:
            weights[name] = found.cpu()
    return weights
