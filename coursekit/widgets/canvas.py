"""What every figure of the course is drawn on: white, open at two sides, in colors that stay apart."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# The palette of Okabe and Ito stays apart for every common kind of color blindness; line styles repeat it.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
STYLES = ("-", "--", "-.", ":")
MARKERS = "os^D"


def canvas(columns: int = 1, width: float = 7.0, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """Return a white figure with `columns` axes side by side, open at the top and at the right."""
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for ax in axes:
        ax.set_facecolor("white")
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes
