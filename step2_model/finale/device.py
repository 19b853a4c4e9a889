"""Where a training computes: the names that `--device` takes."""

from __future__ import annotations

import torch

NAMES = ("auto", "cpu", "cuda", "mps")
HELP = "where to train: %(choices)s; checks judge on the CPU anyway (%(default)s)"


def device_named(name: str) -> str:
    """Return the device of this name; for "auto" the fastest kind there is. ValueError if it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, is_there in there.items() if is_there)
    if not there.get(name, False):
        has = ", ".join(device for device, is_there in there.items() if is_there)
        raise ValueError(f"--device must be one that this machine has ({has}), got {name}")
    return name
