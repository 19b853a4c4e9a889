"""The pictures that stand in for the explorers of part two where no widget can run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas


def by_distance(scores: Tensor, label: str) -> Figure:
    """Draw the product of a query and a key over the distance between them."""
    figure, (ax,) = canvas()
    ax.plot(scores.numpy(), color=COLORS[0])
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set(xlabel="distance between query and key", ylabel="query · key")
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure


def bytes_by_context(kept: Mapping[str, int], model: str, label: str) -> Figure:
    """Draw the bytes of a cache over the length of the context, a line for each kind of attention."""
    figure, (ax,) = canvas()
    contexts = [2**i for i in range(8, 18)]
    for i, (kind, count) in enumerate(kept.items()):
        gib = [count * context / 2**30 for context in contexts]
        ax.loglog(
            contexts, gib, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], markersize=4, label=kind
        )
    ax.set(xlabel="tokens of context", ylabel="GiB in 16 bits", title=model)
    ax.legend(frameon=False)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure


def weights_and_load(weights: Tensor, names: Sequence[str], label: str) -> Figure:
    """Draw which token goes to which expert (N, E), and how much each expert has to do."""
    figure, (left, right) = canvas(2, width=7.6, height=1.4 + 0.2 * len(names))
    left.imshow(weights.numpy(), cmap="Blues", vmin=0, aspect="auto")
    left.set_yticks(range(len(names)), names, family="monospace", size=8)
    left.set(xlabel="expert", title="weights")
    load = (weights > 0).sum(dim=0).tolist()
    right.bar(range(len(load)), load, color=COLORS[0])
    right.axhline(sum(load) / len(load), color=COLORS[1], linestyle="--", label="equal shares")
    right.set(xlabel="expert", title="tokens that chose it")
    right.legend(frameon=False)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure


def work_by_context(
    naive: Sequence[float], absorbed: Sequence[float], contexts: Sequence[int], label: str
) -> Figure:
    """Draw the multiply-adds of one decoded token over the context, expanded and absorbed."""
    figure, (ax,) = canvas()
    for i, (name, work) in enumerate((("latents expanded", naive), ("absorbed", absorbed))):
        ax.loglog(
            contexts, work, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], markersize=4, label=name
        )
    ax.set(xlabel="positions in the cache", ylabel="multiply-adds for one token")
    ax.legend(frameon=False)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
