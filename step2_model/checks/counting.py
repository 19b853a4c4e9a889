"""What code costs, counted where torch carries it out: matrix products, and the tensors made on the way."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
# Where the two factors stand among the arguments.
FACTORS = {aten.mm: 0, aten.bmm: 0, aten.mv: 0, aten.dot: 0, aten.addmm: 1, aten.baddbmm: 1, aten.addmv: 1}


class Products(TorchDispatchMode):
    """Counts matrix products: how many were begun (`count`), if only with no rows, and their operations,
    2 per multiply-add (`flops`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        first = FACTORS.get(func.overloadpacket)
        if first is not None:
            self.count += 1
            self.flops += 2 * out.numel() * args[first].shape[-1]
        return out


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that the code makes (`numel`); views make none."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        known = {storage_of(arg) for arg in args if isinstance(arg, torch.Tensor)}
        for made in out if isinstance(out, tuple | list) else (out,):
            if isinstance(made, torch.Tensor) and storage_of(made) not in known:
                self.numel = max(self.numel, made.untyped_storage().nbytes() // made.element_size())
        return out


def storage_of(tensor: torch.Tensor) -> int:
    """Return where the numbers of a tensor begin in memory, the same for all views of it."""
    return tensor.untyped_storage().data_ptr()
