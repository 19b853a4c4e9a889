"""The figures of the further chapter: each function draws one idea and returns a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from step2_model.experiments.figures import smooth


def histogram(gradients: Mapping[str, Tensor], marks: Mapping[str, float]) -> Figure:
    """Draw how large the numbers of each gradient are (zeros left out), and some sizes as vertical lines."""
    figure, (ax,) = canvas()
    bins = torch.linspace(-16, 2, 73)
    for i, (label, gradient) in enumerate(gradients.items()):
        sizes = gradient[gradient != 0].abs().log10().clamp(-16, 2)
        shares = torch.histogram(sizes, bins).hist / sizes.numel()
        ax.stairs(shares, bins, color=COLORS[i], linestyle=STYLES[i], label=label, linewidth=1.6)
    for label, size in marks.items():
        place = float(torch.tensor(size).log10())
        ax.axvline(place, color="#444444", linewidth=1)
        ax.annotate(
            label, (place, 1.0), xycoords=("data", "axes fraction"), rotation=90, ha="right", va="top"
        )
    ax.set(xlabel="size of a number, as a power of ten", ylabel="share of the numbers")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def polynomial(step: Callable[[Tensor], Tensor], times: int = 5) -> Figure:
    """Draw what one step makes of a singular value between 0 and 1, and what so many steps do."""
    figure, (ax,) = canvas()
    s = torch.linspace(0, 1, 501)
    ax.plot(s, s, color="#AAAAAA", linewidth=1, label="unchanged")
    after = s
    for number in range(1, times + 1):
        after = step(after)
        if number in (1, times):
            i = int(number > 1)
            label = "after 1 step" if number == 1 else f"after {number} steps"
            ax.plot(s, after, color=COLORS[i], linestyle=STYLES[i], label=label)
    ax.axhline(1, color="#444444", linewidth=0.8)
    ax.set(xlabel="singular value before", ylabel="after", ylim=(0, 1.35))
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def spectra(values: Mapping[str, Tensor]) -> Figure:
    """Draw singular values from the largest to the smallest, a line for each matrix."""
    figure, (ax,) = canvas()
    for i, (label, line) in enumerate(values.items()):
        color, style = COLORS[i % len(COLORS)], STYLES[i % len(STYLES)]
        ax.plot(range(1, len(line) + 1), line, color=color, linestyle=style, label=label)
    ax.set(xlabel="singular value, the largest first", ylabel="its size", yscale="log")
    ax.legend(frameon=False, fontsize=9)
    return figure


def rates(schedules: Mapping[str, Sequence[float]]) -> Figure:
    """Draw learning rates over the steps, as shares of the peak."""
    figure, (ax,) = canvas()
    for i, (label, values) in enumerate(schedules.items()):
        ax.plot(values, color=COLORS[i], linestyle=STYLES[i % len(STYLES)], label=label)
    ax.set(xlabel="step", ylabel="share of the peak", ylim=(0, 1.05))
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def losses(curves: Mapping[str, tuple[int, Sequence[float]]], width: int = 10) -> Figure:
    """Draw losses (means over `width` steps) from the step on at which each of them begins."""
    figure, (ax,) = canvas()
    for i, (label, (start, values)) in enumerate(curves.items()):
        line = smooth(values, width)
        steps = range(start + len(values) - len(line), start + len(values))
        color, style = COLORS[i % len(COLORS)], STYLES[i % len(STYLES)]
        ax.plot(steps, line, color=color, linestyle=style, label=label)
    ax.set(xlabel="step", ylabel="loss in nats")
    ax.legend(frameon=False, fontsize=9)
    return figure


def shares(lines: Mapping[str, Sequence[float]], places: Sequence[int], xlabel: str, ylabel: str) -> Figure:
    """Draw shares between 0 and 1 over places that double."""
    figure, (ax,) = canvas()
    for i, (label, values) in enumerate(lines.items()):
        ax.plot(places, values, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], ms=4, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log", ylim=(0, 1.05))
    ax.set_xticks(places, [f"{place:,}" for place in places])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9)
    return figure
