"""Newton-Schulz: one singular value walks through the five steps, beside those of a whole matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from coursekit.widgets.explorer import Explorer

# What each step makes of a singular value s: a·s + b·s³ + c·s⁵.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS, SHOWN = 5, 12
# Where five steps bring every singular value of 0.0016 or more.
LOW, HIGH = 0.68, 1.21


def spectrum(mine: Any, matrix: Tensor, start: float = 0.02) -> Explorer:
    """Let the reader choose a singular value and follow it through the steps of `mine.orthogonalize`.

    The bars are singular values of the matrix itself after 0 to 5 steps, as `mine` computes them; the path of
    the value that the reader moves is computed in the page. Raises ValueError for what is no matrix of
    numbers, and for a start outside of 0 to 1.
    """
    if matrix.dim() != 2 or not matrix.isfinite().all() or not matrix.any():
        raise ValueError(f"matrix must be two-dimensional, finite and not all 0, got {tuple(matrix.shape)}")
    if not 0 < start <= 1:
        raise ValueError(f"start must be above 0 and at most 1, got {start}")
    with torch.no_grad():
        after = [torch.linalg.svdvals(mine.orthogonalize(matrix, steps=k).float()) for k in range(STEPS + 1)]
    count = min(SHOWN, len(after[0]))
    places = torch.linspace(0, len(after[0]) - 1, count).round().long()
    values = torch.stack(after)
    within = ((values[-1] > LOW) & (values[-1] < HIGH)).sum()
    says = (
        f"Newton-Schulz on a matrix of {matrix.shape[0]} × {matrix.shape[1]}: its singular values lie "
        f"between {values[0].min():.4f} and {values[0].max():.2f} at first, and {within} of "
        f"{values.shape[1]} between {LOW} and {HIGH} after {STEPS} steps."
    )
    label = whose(mine, "3.12a")

    def picture() -> Figure:
        return _picture(values[:, places], places, label)

    return Explorer(
        Path(__file__).with_suffix(".js"),
        {
            "coefficients": COEFFICIENTS,
            "start": start,
            "places": (places + 1).tolist(),
            "low": LOW,
            "high": HIGH,
        },
        {"values": values[:, places]},
        whose=label,
        says=says,
        picture=picture,
    )


def _picture(values: Tensor, places: Tensor, label: str) -> Figure:
    """Draw some singular values over the number of steps."""
    figure, (ax,) = canvas()
    for i, column in enumerate(range(0, values.shape[1], max(1, values.shape[1] // 4))):
        name = f"singular value {int(places[column]) + 1}"
        color, style, marker = (kind[i % len(kind)] for kind in (COLORS, STYLES, MARKERS))
        ax.plot(values[:, column], color=color, linestyle=style, marker=marker, ms=4, label=name)
    ax.axhspan(LOW, HIGH, color="0.92", zorder=0)
    ax.set(xlabel="step", ylabel="size", yscale="log")
    ax.legend(frameon=False, fontsize=9)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
