"""All parts of the further chapter in one loop, with the functions of one module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from step3_pretrain.experiments import further_runs as runs

RATE, OTHER_RATE, WARMUP = 0.05, 0.01, 5


def take_steps(
    mine: Any, model: Any, steps: int, parts: int, dtype: torch.dtype, seed: int = 0
) -> list[float]:
    """Train the model for so many steps with what `mine` has, and return the loss before each.

    A batch of 8 blocks comes in `parts` parts, products are taken in `dtype`, the matrices of the layers are
    Muon's, and the rate falls within the last quarter of the steps.
    """
    groups = mine.muon_groups(model, RATE, OTHER_RATE)
    peaks = [group["lr"] for group in groups]
    optimizer = mine.Muon(groups)
    device = next(model.parameters()).device.type
    scaler = torch.amp.GradScaler(device, enabled=mine.needs_scaler(dtype))

    def loss_of(ids: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = scaler.scale(mine.forward_mixed(model, ids, labels, dtype).loss)
        return loss

    losses = []
    for step in range(steps):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = mine.stable_learning_rate(step, peak, min(WARMUP, steps // 4), steps // 4, steps)
        optimizer.zero_grad()
        ids = runs.text().blocks(step, seed=seed)
        loss = mine.accumulate_gradients(loss_of, [(part, part) for part in ids.chunk(parts)])
        losses.append(loss.item() / scaler.get_scale() if scaler.is_enabled() else loss.item())
        mine.scaled_step(optimizer, scaler, list(model.parameters()), runs.PEAK_NORM)
    return losses
