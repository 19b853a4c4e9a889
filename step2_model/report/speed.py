"""How long a model takes on this machine: reading, a step of training, a step of writing."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn

from step2_model.report.validation import sizes_of


def benchmark_model(model: nn.Module, batch: int = 1, length: int = 0, repeats: int = 5) -> dict[str, Any]:
    """Return median times in milliseconds, and tokens per second, of reading, training and writing.

    `length` tokens are read at once (0: 128, or as many as fit); writing adds one token to a cache of
    `length` - 1. Every job runs once before it is timed. The figures are those of this machine at this
    moment; compare models by ratios of one run. The model, its gradients and its mode are left as they
    were.
    """
    vocab_size, longest = sizes_of(model)
    length = min(length or 128, longest)
    if batch < 1 or repeats < 1 or length < 2:
        raise ValueError(
            f"batch and repeats must be at least 1 and length 2, got {batch}, {repeats}, {length}"
        )
    device = next(model.parameters()).device
    ids = torch.randint(vocab_size, (batch, length), generator=torch.Generator().manual_seed(0)).to(device)
    kept = [parameter.grad for parameter in model.parameters()]
    was_training = model.training
    try:
        found = _measured(model, ids, repeats)
    finally:
        for parameter, grad in zip(model.parameters(), kept):
            parameter.grad = grad
        model.train(was_training)
    numbers = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    setting = {"batch": batch, "length": length, "device": str(device), "threads": torch.get_num_threads()}
    return {**setting, "weights_bytes": numbers, **found}


def _measured(model: Any, ids: torch.Tensor, repeats: int) -> dict[str, float]:
    def read() -> None:
        with torch.no_grad():
            model.eval()(ids)

    def train() -> None:
        model.train()(ids, labels=ids).loss.backward()
        model.zero_grad(set_to_none=True)

    caches = []
    with torch.no_grad():
        for _ in range(repeats + 1):
            caches.append(model.new_cache())
            model.eval()(ids[:, :-1], cache=caches[-1])

    def write() -> None:
        with torch.no_grad():
            model.eval()(ids[:, -1:], cache=caches.pop())

    found: dict[str, float] = {}
    tokens = {"read": ids.numel(), "train": ids.numel(), "write": len(ids)}
    for name, job in (("read", read), ("train", train), ("write", write)):
        seconds = _median_seconds(job, repeats, ids.device)
        found |= {f"{name}_ms": 1000 * seconds, f"{name}_tokens_per_second": tokens[name] / seconds}
    return found


def _median_seconds(job: Callable[[], None], repeats: int, device: torch.device) -> float:
    def once() -> float:
        start = time.perf_counter()
        job()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    once()
    return median(once() for _ in range(repeats))
