"""The figures of step 4's core chapter: each function draws one idea and returns a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas

HATCHES = ("", "//", "..", "xx")


def laws(names: Sequence[str], laws_of: Mapping[str, Sequence[float]]) -> Figure:
    """Draw several laws over the same tokens side by side, a group of bars for each token."""
    figure, (ax,) = canvas(height=2.8)
    width = 0.8 / len(laws_of)
    for i, (label, law) in enumerate(laws_of.items()):
        places = [x - 0.4 + (i + 0.5) * width for x in range(len(names))]
        ax.bar(places, law, width, color=COLORS[i % 6], hatch=HATCHES[i % 4], edgecolor="white", label=label)
    ax.set_xticks(range(len(names)), names, family="monospace", fontsize=8)
    ax.set(ylabel="probability")
    ax.legend(frameon=False, fontsize=9)
    return figure


def along(names: Sequence[str], counts: Mapping[str, Sequence[int]], ylabel: str) -> Figure:
    """Draw a count after each token of a text, on a logarithmic scale."""
    figure, (ax,) = canvas(height=3.2)
    for i, (label, values) in enumerate(counts.items()):
        ax.plot(values, color=COLORS[i], linestyle=STYLES[i % 4], marker=MARKERS[i % 4], ms=3.5, label=label)
    ax.set_xticks(range(len(names)), names, family="monospace", fontsize=7, rotation=90)
    ax.set(yscale="log", ylabel=ylabel)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, fontsize=9)
    return figure


def work(curves: Mapping[str, Sequence[int]]) -> Figure:
    """Draw how many tokens have been read after each new one, one line for each way."""
    figure, (ax,) = canvas(height=2.8)
    for i, (label, values) in enumerate(curves.items()):
        ax.plot(range(1, len(values) + 1), values, color=COLORS[i], linestyle=STYLES[i % 4], label=label)
    ax.set(xlabel="new tokens", ylabel="tokens read so far", ylim=(0, None))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, fontsize=9)
    return figure


def bargains(
    families: Mapping[str, Sequence[tuple[str, float, float]]], goal: tuple[str, float, float]
) -> Figure:
    """Draw quality over diversity: a line for each family of settings, its points named, and the corpus."""
    figure, (ax,) = canvas(height=3.8)
    for i, (family, points) in enumerate(families.items()):
        names, xs, ys = zip(*points, strict=True)
        ax.plot(xs, ys, color=COLORS[i], linestyle=STYLES[i % 4], marker=MARKERS[i % 4], ms=5, label=family)
        for name, x, y in zip(names, xs, ys, strict=True):
            ax.annotate(name, (x, y), xytext=(4, 4 - 12 * (i % 2)), textcoords="offset points", fontsize=8)
    name, x, y = goal
    ax.plot([x], [y], "*", color="black", ms=12, label=name)
    ax.set(xlabel="share of different phrases", ylabel="grammatical and true")
    ax.set(ylim=(-0.03, 1.08))
    ax.margins(x=0.08)
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    return figure
