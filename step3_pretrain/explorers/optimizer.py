"""Four optimizers in a long narrow valley, step by step: where each stands, and why it moved so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step3_pretrain.explorers.pictures import paths_in_a_valley

CURVATURE = (0.05, 2.0)
LOWEST, START = (2.0, 0.5), (-3.0, 1.4)
SGD_RATE, RATE, BETAS = 0.9, 0.2, (0.9, 0.999)
DECAY = 0.3


def optimizer(mine: Any, num_steps: int = 60) -> Explorer:
    """Let the reader step through SGD, Adam without its correction, Adam, and AdamW with decay.

    The valley is steep across and nearly flat along, and its lowest place is not 0, to which decay pulls.
    Adam and AdamW move by `mine.adamw_step`.
    Raises ValueError for fewer than 2 steps, or more than 400.
    """
    if not 2 <= num_steps <= 400:
        raise ValueError(f"num_steps must be from 2 to 400, got {num_steps}")
    paths = {
        "SGD": _sgd(num_steps),
        "Adam, not corrected": _uncorrected(num_steps),
        "Adam": _by(mine, num_steps, 0.0),
        "AdamW, with decay": _by(mine, num_steps, DECAY),
    }
    heights = {name: float(height(path[-1])) for name, path in paths.items()}
    label = whose(mine, "3.7")
    says = (
        f"Four optimizers after {num_steps} steps in a valley {CURVATURE[1] / CURVATURE[0]:.0f} times as "
        f"steep across as along: {', '.join(f'{name} at height {h:.3f}' for name, h in heights.items())}."
    )

    def picture() -> Figure:
        return paths_in_a_valley(paths, height, label)

    values = {"names": list(paths), "curvature": CURVATURE, "lowest": LOWEST, "steps": num_steps}
    arrays = {"paths": torch.stack(list(paths.values()))}
    return Explorer(
        Path(__file__).with_suffix(".js"), values, arrays, whose=label, says=says, picture=picture
    )


def height(weight: Tensor) -> Tensor:
    """Return the height of the valley at one place (2) or at several (..., 2)."""
    return (torch.tensor(CURVATURE) * (weight - torch.tensor(LOWEST)) ** 2).sum(dim=-1) / 2


def slope(weight: Tensor) -> Tensor:
    """Return the gradient of `height`."""
    return torch.tensor(CURVATURE) * (weight - torch.tensor(LOWEST))


def _sgd(num_steps: int) -> Tensor:
    places = [torch.tensor(START)]
    for _ in range(num_steps):
        places.append(places[-1] - SGD_RATE * slope(places[-1]))
    return torch.stack(places)


def _by(mine: Any, num_steps: int, decay: float) -> Tensor:
    weight = torch.tensor(START)
    state: dict[str, Any] = {}
    places = [weight.clone()]
    for _ in range(num_steps):
        mine.adamw_step(weight, slope(weight), state, RATE, betas=BETAS, weight_decay=decay)
        places.append(weight.clone())
    return torch.stack(places)


def _uncorrected(num_steps: int) -> Tensor:
    mean = square = torch.zeros(2)
    places = [torch.tensor(START)]
    for _ in range(num_steps):
        gradient = slope(places[-1])
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient**2
        places.append(places[-1] - RATE * mean / (square.sqrt() + 1e-8))
    return torch.stack(places)
