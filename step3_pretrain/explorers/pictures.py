"""The pictures that stand in for the explorers of step 3 where no widget can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas


def rates_over_steps(steps: Sequence[int], rates: Sequence[float], label: str) -> Figure:
    """Draw the rate of each step."""
    figure, (ax,) = canvas()
    ax.plot(steps, rates, color=COLORS[0])
    ax.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure


def paths_in_a_valley(paths: Mapping[str, Tensor], height: Callable[[Tensor], Tensor], label: str) -> Figure:
    """Draw the paths (steps, 2) of optimizers over the lines of equal height of a valley."""
    figure, (ax,) = canvas(height=3.6)
    x, y = torch.meshgrid(torch.linspace(-4, 4, 120), torch.linspace(-1.2, 1.8, 80), indexing="xy")
    heights = height(torch.stack([x, y], dim=-1))
    ax.contour(x, y, heights, levels=[0.02, 0.2, 0.8, 2, 5, 10, 20], colors="#BBBBBB", linewidths=0.8)
    for i, (name, path) in enumerate(paths.items()):
        ax.plot(
            path[:, 0],
            path[:, 1],
            color=COLORS[i],
            linestyle=STYLES[i],
            marker=MARKERS[i],
            ms=2.5,
            label=name,
        )
    ax.set(xlim=(-4, 4), ylim=(-1.2, 1.8), xlabel="first weight", ylabel="second weight")
    ax.legend(frameon=False, fontsize=8, ncols=2)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure


def blocks_on_a_stream(
    starts: Sequence[int], size: int, ends: Sequence[int], length: int, label: str
) -> Figure:
    """Draw where the blocks of one step lie on the stream, and where its documents end."""
    figure, (ax,) = canvas(height=0.9 + 0.3 * len(starts))
    for row, start in enumerate(starts):
        ax.barh(row, size, left=start, color=COLORS[0], height=0.6)
    for end in ends:
        ax.axvline(end, color="#AAAAAA", linewidth=0.8)
    ax.invert_yaxis()
    ax.set(xlim=(0, length), xlabel="place in the stream; gray: a document ends", ylabel="block")
    ax.set_yticks(range(len(starts)), [str(row) for row in range(len(starts))])
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
