"""The figures of step 2's tutorial: each function draws one idea and returns a matplotlib Figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from step2_model.experiments import measure


def smooth(values: Sequence[float], width: int = 10) -> Tensor:
    """Return the running mean over `width` values, so that a noisy curve can be read."""
    return torch.tensor(values).unfold(0, min(width, len(values)), 1).mean(dim=-1)


def losses(curves: Mapping[str, Sequence[float]], levels: Mapping[str, float] | None = None) -> Figure:
    """Draw losses in nats over optimizer steps (means over 10), and known levels as horizontal lines."""
    figure, (ax,) = canvas()
    for i, (label, values) in enumerate(curves.items()):
        ax.plot(smooth(values), color=COLORS[i], linestyle=STYLES[i], label=label)
    for label, level in (levels or {}).items():
        ax.axhline(level, color="#444444", linewidth=1)
        ax.annotate(label, (1.0, level), xycoords=("axes fraction", "data"), ha="right", va="top", fontsize=9)
    ax.set(xlabel="optimizer step", ylabel="loss in nats", ylim=(-0.05, None))
    ax.legend(frameon=False, loc="lower left", fontsize=9)
    return figure


def bend() -> Figure:
    """Draw GELU and ReLU, and what two linear layers can fit with GELU between them and without."""
    figure, (left, right) = canvas(2)
    x = torch.linspace(-3, 3, 121)
    left.plot(x, F.gelu(x), color=COLORS[0], label="GELU")
    left.plot(x, F.relu(x), color=COLORS[1], linestyle="--", label="ReLU")
    left.set(title="two ways to bend a number", xlabel="x")
    left.legend(frameon=False)
    x, wave, straight = measure.fit_wave(lambda h: h)
    right.plot(x, wave, color="#AAAAAA", linewidth=5, label="wanted")
    right.plot(x, straight, color=COLORS[1], linestyle="--", label="nothing between")
    right.plot(x, measure.fit_wave(F.gelu)[2], color=COLORS[0], label="GELU between")
    right.set(title="what two linear layers can fit", xlabel="x", ylim=(-1.3, 2.6))
    right.legend(frameon=False, loc="upper center", ncols=2, fontsize=9)
    return figure


def response(layer: Callable[[Tensor], Tensor], width: int) -> Figure:
    """Draw what some outputs of a layer do while its input moves along one random direction."""
    amounts = torch.linspace(-4, 4, 161)
    middle, direction = torch.randn(2, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = layer((middle + amounts.unsqueeze(1) * direction).unsqueeze(0))[0]
    figure, (ax,) = canvas()
    for i in range(4):
        ax.plot(amounts, y[:, i], color=COLORS[i], linestyle=STYLES[i], label=f"output {i}")
    ax.set(xlabel="how far the input moves along one direction", ylabel="output")
    ax.legend(frameon=False, fontsize=9, ncols=4)
    return figure


def by_block(
    values: Mapping[str, Sequence[float]], ylabel: str, *, log: bool = False, first: int = 1
) -> Figure:
    """Draw one value per block for each label; the first value belongs to block number `first`."""
    figure, (ax,) = canvas()
    for i, (label, heights) in enumerate(values.items()):
        places = range(first, first + len(heights))
        ax.plot(places, heights, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], ms=4, label=label)
    ax.set(xlabel="block", ylabel=ylabel, yscale="log" if log else "linear")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(values) > 1:
        ax.legend(frameon=False, fontsize=9)
    return figure


def softness(scores: Mapping[str, Callable[[Tensor, Tensor], Tensor]], num_keys: int = 64) -> Figure:
    """Draw the entropy of attention's weights over the head width, for each way to compute scores."""
    widths = [2**power for power in range(9)]
    figure, (ax,) = canvas()
    for i, (label, score) in enumerate(scores.items()):
        bits = measure.entropies(score, widths, num_keys)
        ax.plot(widths, bits, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], ms=5, label=label)
    ceiling = math.log2(num_keys)
    ax.axhline(ceiling, color="#444444", linewidth=1)
    ax.annotate(f"all {num_keys} keys alike: {ceiling:.0f} bits", (1, ceiling), va="bottom", fontsize=9)
    ax.set(xlabel="head width D", ylabel="entropy of the weights, bits", xscale="log", ylim=(0, 7))
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.minorticks_off()
    ax.legend(frameon=False, loc="lower left")
    return figure


def matrices(
    pictures: Mapping[str, Tensor], *, xlabel: str = "key", ylabel: str = "query", numbers: bool = False
) -> Figure:
    """Draw matrices side by side, from white (0) to dark (the largest); `numbers` writes the values in.

    Up to six columns have room for two decimals.
    """
    figure, axes = canvas(len(pictures), width=2.6 * len(pictures) + 0.6, height=2.9)
    for ax, (title, matrix) in zip(axes, pictures.items(), strict=True):
        ax.imshow(matrix.detach().numpy(), cmap="Blues", vmin=0, vmax=max(matrix.max().item(), 1e-9))
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
        ax.set_xticks(range(matrix.shape[1]) if matrix.shape[1] <= 10 else [])
        ax.set_yticks(range(matrix.shape[0]) if matrix.shape[0] <= 10 else [])
        for (t, s), value in zip(torch.cartesian_prod(*map(torch.arange, matrix.shape)), matrix.flatten()):
            if numbers:
                dark = value > 0.6 * matrix.max()
                told = f"{value:.{2 if matrix.shape[1] <= 6 else 1}f}"
                ax.text(s, t, told, ha="center", va="center", fontsize=8, color="w" if dark else "k")
    return figure


def bars(rows: Mapping[str, Sequence[float]], names: Sequence[str], ylabel: str) -> Figure:
    """Draw rows of numbers as groups of bars, one group per name."""
    figure, (ax,) = canvas()
    width = 0.8 / len(rows)
    for i, (label, heights) in enumerate(rows.items()):
        places = [place + (i - (len(rows) - 1) / 2) * width for place in range(len(names))]
        ax.bar(
            places, heights, width, color=COLORS[i], edgecolor="black", hatch=["", "//", ".."][i], label=label
        )
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel=ylabel)
    if len(rows) > 1:
        ax.legend(frameon=False, fontsize=9)
    return figure


def surprise() -> Figure:
    """Draw the loss at one token, -log p, over the probability p that the model gave to it."""
    figure, (ax,) = canvas()
    p = torch.linspace(0.001, 1, 1000)
    ax.plot(p, -p.log(), color=COLORS[0])
    for share, label in ((1 / 256, "one byte of 256, guessing"), (0.5, "one of two"), (1.0, "certain")):
        ax.plot(share, -math.log(share), "o", color=COLORS[1])
        ax.annotate(
            label,
            (share, -math.log(share)),
            xytext=(6, 6),
            textcoords="offset points",
            fontsize=9,
            annotation_clip=False,
        )
    ax.set(
        xlabel="probability given to the token that came",
        ylabel="surprise in nats",
        xlim=(0, 1.05),
        ylim=(-0.3, 7),
    )
    return figure


def sizes(widths: Sequence[int], exact: Sequence[int], estimate: Sequence[int]) -> Figure:
    """Draw exact and estimated parameter counts over the model width, both axes logarithmic."""
    figure, (ax,) = canvas()
    ax.plot(widths, exact, color=COLORS[0], marker="o", label="exact")
    ax.plot(widths, estimate, color=COLORS[1], linestyle="--", label="12 · L · C²")
    ax.set(xlabel="model width C", ylabel="parameters", xscale="log", yscale="log")
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.minorticks_off()
    ax.legend(frameon=False)
    return figure
