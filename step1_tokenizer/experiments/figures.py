"""The figures of step 1's tutorial: each function draws one idea and returns a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from coursekit.widgets.canvas import COLORS, canvas


def falling(counts: Sequence[int]) -> Figure:
    """Draw how often the pair of each merge stood in the text when it was chosen, over its rank."""
    figure, (ax,) = canvas()
    ax.plot(range(len(counts)), counts, color=COLORS[0])
    ax.set(yscale="log", xlabel="merge", ylabel="times in the text")
    return figure
