"""The curves of a run: loss, held-out bits per byte, learning rate, gradients, load of the experts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coursekit.widgets import canvas

# All eight of Okabe and Ito: as many as a layer usually has experts.
COLORS = (*canvas.COLORS, "#000000", "#F0E442")


def plot_run(lines: Sequence[dict[str, Any]], path: Path, floor: float | None = None) -> None:
    """Draw what `metrics.jsonl` holds into a PNG; `floor` is a line in bits per byte."""
    loads = [line for line in lines if "load" in line]
    layers = len(loads[-1]["load"]) if loads else 0
    panels = 4 + layers
    rows = math.ceil(panels / 2)
    figure = Figure(figsize=(10, 2.8 * rows), facecolor="white", layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).flatten()
    draw(axes[0], lines, "loss", "loss (nats a token)")
    draw(axes[1], lines, "bits_per_byte", "held out (bits per byte)", marker="o")
    if floor is not None:
        axes[1].axhline(floor, color=COLORS[1], linestyle="--", label="floor: no model beats it")
        axes[1].legend(fontsize=8)
    draw(axes[2], lines, "lr", "learning rate")
    draw(axes[3], lines, "norm", "length of the gradients")
    axes[3].set_yscale("log")
    for layer in range(layers):
        draw_load(axes[4 + layer], loads, layer)
    for ax in axes[panels:]:
        ax.set_visible(False)
    figure.savefig(path, dpi=120)


def draw(ax: Axes, lines: Sequence[dict[str, Any]], name: str, title: str, marker: str = "") -> None:
    """Draw one quantity over the steps."""
    points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    ax.plot(*zip(*points, strict=True) if points else ([], []), color=COLORS[0], marker=marker, markersize=3)
    dress(ax, title)


def draw_load(ax: Axes, loads: Sequence[dict[str, Any]], layer: int) -> None:
    """Draw how a layer's choices are shared among its experts."""
    steps = [line["step"] for line in loads]
    num_experts = len(loads[-1]["load"][layer])
    for expert in range(num_experts):
        shares = [line["load"][layer][expert] for line in loads]
        style = "-" if expert < len(COLORS) else ":"
        ax.plot(steps, shares, color=COLORS[expert % len(COLORS)], linestyle=style, linewidth=1)
    ax.axhline(1 / num_experts, color="#888888", linewidth=0.8, linestyle="--")
    dress(ax, f"share of choices of each expert, layer {layer} of those with experts")


def dress(ax: Axes, title: str) -> None:
    """Give an axis its title and take away what says nothing."""
    ax.set_title(title, fontsize=9)
    ax.set_xlabel("step", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#dddddd", linewidth=0.5)
