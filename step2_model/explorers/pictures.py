"""The pictures that stand in for the explorers of step 2 where no widget can run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from coursekit.widgets.canvas import COLORS

MONO: dict[str, Any] = {"family": "monospace", "size": 8}


def weights_of_a_query(weights: Tensor, query: int, names: Sequence[str], where: str, label: str) -> Figure:
    """Draw one head's weights (T, T) as a map, and one query's row as bars."""
    figure = Figure(figsize=(7.6, 3.6), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.1))
    left.imshow(weights.numpy(), cmap="Blues", vmin=0, vmax=1)
    left.add_patch(_frame(query, len(names)))
    _name(left, names, names)
    left.set(title=where, xlabel="key", ylabel="query")
    row = weights[query].tolist()
    right.barh(range(len(names)), row, color=COLORS[0])
    right.set_yticks(range(len(names)), names, **MONO)
    right.invert_yaxis()
    for s, weight in enumerate(row):
        right.text(weight + 0.01, s, f"{weight:.2f}", va="center", fontsize=8)
    right.spines[["top", "right"]].set_visible(False)
    right.set(title=f"weights of the query {names[query]} at position {query}", xlim=(0, 1.12))
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure


def _frame(row: int, columns: int) -> Rectangle:
    """Return the frame of one row of a matrix."""
    return Rectangle((-0.5, row - 0.5), columns, 1, fill=False, edgecolor="black", linewidth=1.5)


def _name(ax: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Write the names of tokens beside the rows and beneath the columns."""
    ax.set_yticks(range(len(rows)), rows, **MONO)
    ax.set_xticks(range(len(columns)), columns, **MONO)
    ax.tick_params(length=0)


def predictions_by_depth(
    p: Tensor, guesses: Sequence[Sequence[str]], stages: Sequence[str], names: Sequence[str], label: str
) -> Figure:
    """Draw the most likely next token at every depth and position, darker where its probability is higher."""
    figure = Figure(figsize=(7.6, 0.6 + 0.42 * len(stages)), facecolor="white", layout="constrained")
    ax = figure.subplots()
    ax.imshow(p.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(guesses):
        for t, name in enumerate(row):
            color = "white" if p[i, t] > 0.6 else "black"
            ax.text(t, i, name, ha="center", va="center", color=color, **MONO)
    _name(ax, stages, names)
    ax.xaxis.tick_top()
    ax.set_xlabel(f"most likely next token after each part; darker: more likely. {label}", fontsize=9)
    return figure


def law_and_gradient(p: Sequence[float], names: Sequence[str], came: int, title: str, label: str) -> Figure:
    """Draw probabilities of next tokens and the loss's gradient, p minus 1 at the token that came."""
    figure = Figure(figsize=(7.6, 1.2 + 0.22 * len(p)), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    slopes = [share - (i == came) for i, share in enumerate(p)]
    for ax, values, form in ((left, p, "{:.1%}"), (right, slopes, "{:+.3f}")):
        ax.barh(range(len(p)), values, color=[COLORS[1] if value < 0 else COLORS[0] for value in values])
        for i, value in enumerate(values):
            ax.text(max(value, 0), i, " " + form.format(value), va="center", fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    left.set_yticks(range(len(p)), [name + " (came)" * (i == came) for i, name in enumerate(names)], **MONO)
    left.invert_yaxis()
    left.set(xlabel="probability p", xlim=(0, 1.2 * max(p)))
    right.set(xlabel="gradient: p, minus 1 for what came", xlim=(min(slopes) * 1.1, 1.3 * max(max(p), 0.2)))
    # Two dollar signs in a text are no formula.
    figure.suptitle(title, fontsize=9, parse_math=False)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
