"""The figures of step 3's chapter: each function draws one idea and returns a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from step2_model.experiments.figures import smooth

Curves = Mapping[str, Sequence[float]]


def losses(curves: Curves, levels: Mapping[str, float] | None = None, *, first: int = 0) -> Figure:
    """Draw losses in nats over steps (means over 10), and known levels as horizontal lines."""
    figure, (ax,) = canvas()
    for i, (label, values) in enumerate(curves.items()):
        means = smooth(values)
        places = range(first, first + len(means))
        ax.plot(places, means, color=COLORS[i % 6], linestyle=STYLES[i % 4], label=label)
    for label, level in (levels or {}).items():
        ax.axhline(level, color="#444444", linewidth=1)
        ax.annotate(
            label, (1.0, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9
        )
    ax.set(xlabel="step", ylabel="loss in nats")
    ax.legend(frameon=False, fontsize=9)
    return figure


def over(xs: Sequence[float], curves: Curves, xlabel: str, ylabel: str, *, log: str = "") -> Figure:
    """Draw curves over common places; `log` names the axes that are logarithmic, "x", "y" or "xy"."""
    figure, (ax,) = canvas()
    for i, (label, values) in enumerate(curves.items()):
        ax.plot(
            xs, values, color=COLORS[i % 6], linestyle=STYLES[i % 4], marker=MARKERS[i % 4], ms=4, label=label
        )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set(xscale="log" if "x" in log else "linear", yscale="log" if "y" in log else "linear")
    if len(curves) > 1:
        ax.legend(frameon=False, fontsize=9)
    return figure


def lines(curves: Curves, xlabel: str, ylabel: str, *, log: bool = False) -> Figure:
    """Draw one value per step for each label, without markers."""
    figure, (ax,) = canvas()
    for i, (label, values) in enumerate(curves.items()):
        ax.plot(values, color=COLORS[i % 6], linestyle=STYLES[i % 4], linewidth=1.3, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if len(curves) > 1:
        ax.legend(frameon=False, fontsize=9)
    return figure


def rows(parts: Sequence[Sequence[tuple[float, str]]], names: Sequence[str], xlabel: str) -> Figure:
    """Draw rows of stacked bars: each part is its length and what it is called."""
    figure, (ax,) = canvas(height=0.9 + 0.28 * len(parts))
    labels = list(dict.fromkeys(label for row in parts for _, label in row))
    told: set[str] = set()
    for y, row in enumerate(parts):
        left = 0.0
        for length, label in row:
            i = labels.index(label)
            ax.barh(
                y,
                length,
                left=left,
                color=COLORS[i],
                hatch=["", "//", ".."][i % 3],
                edgecolor="white",
                label=None if label in told else label,
            )
            told.add(label)
            left += length
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel=xlabel)
    ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def exhibits(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], sound: Sequence[float]) -> Figure:
    """Draw recorded runs side by side: the loss of each, dots for held-out stories, the sound run in gray.

    Each run is its losses and its held-out losses, the latter at equal distances over the run.
    """
    columns = 3
    height = 2.3 * -(-len(curves) // columns)
    figure = Figure(figsize=(8.4, height), facecolor="white", layout="constrained")
    all_axes = figure.subplots(-(-len(curves) // columns), columns, sharex=True, sharey=True, squeeze=False)
    for ax, (name, (values, held_out)) in zip(all_axes.flat, curves.items()):
        ax.set_facecolor("white")
        ax.spines[["top", "right"]].set_visible(False)
        ax.plot(smooth(sound, 5), color="#999999", linewidth=1, label="sound")
        ax.plot(smooth(values, 5), color=COLORS[0], linewidth=1.4, label="this run")
        places = [(i + 1) * len(values) / len(held_out) for i in range(len(held_out))]
        ax.plot(places, held_out, "o", color=COLORS[1], ms=3.5, label="held out")
        ax.set_title(f"run {name}", fontsize=10)
        ax.set_ylim(0, 8)
    for ax in all_axes[:, 0]:
        ax.set_ylabel("nats per token")
    for ax in all_axes[-1]:
        ax.set_xlabel("step")
    all_axes[0, 0].legend(frameon=False, fontsize=8)
    return figure
