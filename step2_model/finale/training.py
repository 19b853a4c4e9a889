"""The training loop that step 2 gives you: batches of windows, two optimizers, a schedule that follows the
clock.

Nothing here is asked of you; step 3 teaches every line of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from coursekit.budget import Budget

# Peak learning rates: of Muon, for the matrices inside the blocks, and of AdamW, for everything else.
RATES = (0.05, 0.02)
WARMUP = 0.02
BATCH = 8


@dataclass(frozen=True)
class Step:
    """What one optimizer step saw: its number (from 1), the loss in nats and in bits, the clock, the
    budget used up.
    """

    step: int
    loss: float
    bits: float
    seconds: float
    fraction: float


def windows(ids: Tensor, size: int, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` windows of `size` neighboring ids, (count, size), each place equally likely."""
    if len(ids) < size:
        raise ValueError(f"the text must hold at least one window of {size} tokens, got {len(ids)}")
    starts = torch.randint(len(ids) - size + 1, (count, 1), generator=generator)
    return ids[starts + torch.arange(size)].long()


class FullPrecision(TorchFunctionMode):
    """Keep float32 where a library asks for bfloat16.

    `torch.optim.Muon` orthogonalizes in bfloat16, which a processor without bfloat16 arithmetic does about
    50 times slower than float32: longer than the rest of a training step.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # A copy, as the conversion would be: Muon goes on to change the result in place.
        return args[0].clone() if func is Tensor.bfloat16 else func(*args, **(kwargs or {}))


def optimizers(model: nn.Module, rates: tuple[float, float] = RATES) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside the blocks and AdamW for everything else.

    Muon makes all directions of a matrix's update equally large, which suits matrices that map features to
    features; embeddings, whose rows are looked up one at a time, and vectors keep AdamW.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
    """
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        is_hidden_matrix = parameter.ndim == 2 and name.startswith("h.")
        (matrices if is_hidden_matrix else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=rates[0], weight_decay=0.01),
        torch.optim.AdamW(others, lr=rates[1], betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate(fraction: float) -> float:
    """Return the learning rate at this fraction of the budget, as a share of its peak: up in a moment,
    then down to 0.
    """
    return min(1.0, fraction / WARMUP + 0.02) * (1 - fraction)


def train(
    model: Any,
    ids: Tensor,
    budget: Budget,
    *,
    seed: int = 0,
    batch_size: int = BATCH,
    rates: tuple[float, float] = RATES,
) -> Generator[Step, None, None]:
    """Train the model on windows of `ids` until the budget is used up, one `Step` per optimizer step.

    The caller may leave the loop at any step (a Stop button, Ctrl-C): the model keeps what it has learned.
    Equal seeds and a budget in steps alone give equal losses. Raises ValueError where the loss is no longer
    a number.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    both = optimizers(model, rates)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in both]
    start = time.perf_counter()
    fraction, step = 0.0, 0
    model.train()
    while fraction < 1.0:
        for optimizer, peak in zip(both, peaks):
            optimizer.param_groups[0]["lr"] = peak * rate(fraction)
        batch = windows(ids, model.config.block_size, batch_size, generator).to(device)
        loss = model(batch, labels=batch).loss
        if not loss.isfinite():
            raise ValueError(f"the loss must be a number, got {loss.item()} after {step} steps")
        for optimizer in both:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with FullPrecision():
            for optimizer in both:
                optimizer.step()
        step += 1
        seconds = time.perf_counter() - start
        fraction = budget.used(seconds, step)
        yield Step(step, loss.item(), loss.item() / math.log(2), seconds, fraction)
