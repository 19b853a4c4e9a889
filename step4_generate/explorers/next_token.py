"""The next token of a model, at every place of a text: what a temperature and three cuts make of its law."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.canvas import COLORS
from coursekit.widgets.explorer import Explorer

TEMPERATURES = (0.0, 0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
KS = (1, 2, 3, 5, 10, 20, 50, 100)
PS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
MIN_PS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SHOWN = 12
P = 0.9


def next_token(
    mine: Any, names: Sequence[str], logits: Tensor, vocabulary: Sequence[str], position: int = -1
) -> Explorer:
    """Let the reader cut the law of the next token at any place of a text, and see what stays and how free
    the choice still is.

    `names` are the tokens of a text, (T), and `logits` what the model says after each, (T, V); `vocabulary`
    names all V tokens. The page computes the cuts itself, in the order of `transformers`; how many tokens a
    top-p of 0.9 keeps is told by `mine.keep_top_p`, too. Raises ValueError where the three do not fit
    together.
    """
    T, V = logits.shape
    if (len(names), len(vocabulary)) != (T, V) or not -T <= position < T:
        raise ValueError(
            f"logits must be (T, V) for T names and V of the vocabulary, with the position in the text, "
            f"got {T, V} for {len(names), len(vocabulary)}, and {position}"
        )
    kept = mine.keep_top_p(logits.float(), P).isfinite().sum(dim=-1)
    place = position % T
    law = logits[place].double().softmax(dim=-1)
    label = whose(mine, "4.4a")
    says = (
        f"After {''.join(names[: place + 1])!r} the likeliest token is {vocabulary[int(law.argmax())]!r} "
        f"with {law.max():.1%}; a top-p of {P} keeps {kept[place]} of {V} tokens."
    )

    def picture() -> Figure:
        shown = law.topk(min(SHOWN, V)).indices.tolist()
        return kept_and_cut(law[shown].tolist(), [vocabulary[i] for i in shown], int(kept[place]), label)

    values = {
        "tokens": list(names),
        "vocabulary": list(vocabulary),
        "position": place,
        "shown": min(SHOWN, V),
        "temperatures": TEMPERATURES,
        "ks": [*(k for k in KS if k < V), V],
        "ps": PS,
        "minPs": MIN_PS,
        "p": P,
    }
    arrays = {"logits": logits, "kept": kept}
    return Explorer(
        Path(__file__).with_suffix(".js"), values, arrays, whose=label, says=says, picture=picture
    )


def kept_and_cut(p: Sequence[float], names: Sequence[str], count: int, label: str) -> Figure:
    """Draw the likeliest tokens, and where a top-p cuts them."""
    figure = Figure(figsize=(7.0, 0.9 + 0.22 * len(p)), facecolor="white", layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    places = torch.arange(len(p)).tolist()
    for what, rows, color, hatch in (
        ("kept", places[:count], COLORS[0], ""),
        ("cut", places[count:], "#BBBBBB", "//"),
    ):
        ax.barh(rows, [p[i] for i in rows], color=color, hatch=hatch, edgecolor="white", label=what)
    for i, share in enumerate(p):
        ax.text(share, i, f" {share:.1%}", va="center", fontsize=8)
    ax.set_yticks(places, names, family="monospace", fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel=f"probability; a top-p of {P}", xlim=(0, 1.15 * max(p)))
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
