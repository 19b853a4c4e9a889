"""The pictures that stand in for the explorers of step 1 where no widget can run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from coursekit.widgets.canvas import COLORS, MARKERS, STYLES

NAMED = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


def shown_bytes(data: bytes) -> str:
    """Return a token as a page shows it: as text with its white space visible, or as hexadecimal bytes."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return " ".join(f"{byte:02X}" for byte in data)
    return "".join(NAMED.get(c, c if c.isprintable() else f"<{ord(c):02X}>") for c in text)


def words_as_tokens(rows: Sequence[Sequence[str]], counts: Sequence[int], says: str, label: str) -> Figure:
    """Draw words as rows of framed tokens, with how often each occurs."""
    figure = Figure(figsize=(7.6, 0.6 + 0.3 * len(rows)), facecolor="white")
    ax = figure.add_axes((0.02, 0.12, 0.96, 0.86))
    ax.set_axis_off()
    ax.set(xlim=(0, 60), ylim=(len(rows), 0))
    for y, (tokens, count) in enumerate(zip(rows, counts)):
        ax.text(4, y + 0.6, f"{count} ×", ha="right", fontsize=9, color="#555555")
        x = 5.0
        for name in tokens:
            box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": COLORS[0]}
            ax.text(x, y + 0.6, name, family="monospace", fontsize=9, bbox=box)
            x += 1.2 + 0.85 * len(name)
    figure.text(0.01, 0.02, label, fontsize=9)
    return figure


def cut_texts(rows: Mapping[str, Sequence[str]], label: str) -> Figure:
    """Draw one text under several vocabularies, tokens in alternating shades with bars between them."""
    figure = Figure(figsize=(7.6, 0.5 + 0.5 * len(rows)), facecolor="white")
    ax = figure.add_axes((0.02, 0.15, 0.96, 0.83))
    ax.set_axis_off()
    ax.set(xlim=(0, 100), ylim=(len(rows), 0))
    for y, (name, tokens) in enumerate(rows.items()):
        ax.text(0, y + 0.4, f"{name}: {len(tokens)} tokens", fontsize=9)
        text = "|".join(tokens)
        ax.text(1, y + 0.85, text if len(text) < 100 else text[:99] + "…", family="monospace", fontsize=8)
    figure.text(0.01, 0.03, label, fontsize=9)
    return figure


def weighed(sizes: Sequence[int], buys: Mapping[str, Sequence[float]], width: int, label: str) -> Figure:
    """Draw bytes per token over the vocabulary size, with the parameters of the embedding beneath it."""
    figure = Figure(figsize=(7.6, 3.4), facecolor="white", layout="constrained")
    ax = figure.subplots()
    for i, (name, values) in enumerate(buys.items()):
        style: dict[str, Any] = {"color": COLORS[i], "linestyle": STYLES[i % 4], "marker": MARKERS[i % 4]}
        ax.plot(sizes, values, label=name, **style)
    ax.set(xscale="log", ylabel="bytes per token", ylim=(0, None))
    ax.set_xlabel(f"vocabulary size, with the parameters of an embedding of width {width}")
    ax.set_xticks(sizes, [f"{size:,}\n{size * width / 1e6:.2f} M" for size in sizes], fontsize=8)
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
