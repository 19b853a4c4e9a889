"""Where a run computes, and in which numbers: asked for, or chosen by measuring."""

from __future__ import annotations

import time

import torch

from step2_model.finale.device import device_named
from step3_pretrain.trainer.errors import CannotTrain

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# How much faster a product in bfloat16 must be before its coarser numbers pay.
WORTH = 1.5
SIZE = 1_024
REPEATS = 5


def choose_device(name: str) -> str:
    """Return the device of this name. Raises CannotTrain where this machine does not have it."""
    try:
        return device_named(name)
    except ValueError as error:
        raise CannotTrain(str(error)) from None


def choose_dtype(name: str, device: str) -> torch.dtype:
    """Return the dtype of matrix products; for "auto" bfloat16 where it is at least 1.5 times as fast."""
    if name != "auto":
        return DTYPES[name]
    return torch.bfloat16 if bf16_gain(device) >= WORTH else torch.float32


def bf16_gain(device: str) -> float:
    """Return how many times as fast as in float32 a matrix product is in bfloat16 on this device."""
    slow, fast = (seconds_of_product(device, dtype) for dtype in (torch.float32, torch.bfloat16))
    return slow / fast


def seconds_of_product(device: str, dtype: torch.dtype, size: int = SIZE) -> float:
    """Return the least of five times that a product of two square matrices takes."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(size, size, generator=generator).to(device, dtype)
    found = []
    for _ in range(REPEATS):
        wait_for(device)
        begin = time.perf_counter()
        a @ a
        wait_for(device)
        found.append(time.perf_counter() - begin)
    return min(found)


def wait_for(device: str) -> None:
    """Wait until everything that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
