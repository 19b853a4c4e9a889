"""What stands in a model's weights: a row for each parameter, and a figure for each kind of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from coursekit.widgets.canvas import COLORS

LAYER = re.compile(r"\b(?:layers|h)\.\d+\.")
MOST_PANELS, MOST_NUMBERS, COLUMNS = 20, 200_000, 4


@torch.no_grad()
def weight_statistics(model: nn.Module) -> list[dict[str, Any]]:
    """Return name, shape, count, mean, standard deviation, extremes and share of zeros of each parameter.

    The standard deviation divides by the count, so that it is 0 for a single number.
    """
    return [
        {
            "name": name,
            "shape": list(parameter.shape),
            "count": parameter.numel(),
            "mean": float(parameter.float().mean()),
            "std": float(parameter.float().std(correction=0)),
            "min": float(parameter.min()),
            "max": float(parameter.max()),
            "zeros": float((parameter == 0).float().mean()),
        }
        for name, parameter in model.named_parameters()
    ]


def by_kind(model: nn.Module) -> Mapping[str, list[Tensor]]:
    """Return the parameters under their names without the number of the layer, in the model's order."""
    kinds: dict[str, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        kinds.setdefault(LAYER.sub("", name), []).append(parameter.detach().flatten().float().cpu())
    return kinds


def plot_weights(model: nn.Module, path: str | Path | None = None) -> Figure:
    """Draw how the numbers of each kind of parameter are spread, all layers together; save it if a path is
    given.

    At most 20 kinds are drawn, those with the most numbers, and of each at most 200,000, evenly taken.
    """
    kinds = {name: torch.cat(parts) for name, parts in by_kind(model).items()}
    largest = sorted(kinds, key=lambda name: -len(kinds[name]))[:MOST_PANELS]
    shown = [name for name in kinds if name in largest]
    rows = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(10, 1.9 * rows), facecolor="white", layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    for ax, name in zip(axes, shown):
        numbers = kinds[name][:: -(-len(kinds[name]) // MOST_NUMBERS)]
        ax.hist(numbers.numpy(), bins=60, color=COLORS[0])
        ax.set_title(name, fontsize=8)
        ax.set_yticks([])
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.set_xlabel(f"std {numbers.std(correction=0):.3g}", fontsize=7)
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
