"""A race in calls of the large model: one token a call against rounds of drafts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from coursekit.widgets.explorer import Explorer

DRAFTS, START, NEW = (0, 1, 2, 3, 4, 6, 8), 4, 48
Race = dict[str, Any]


def speculation(
    mine: Any, model: Any, draft_model: Any, ids: Tensor, names: Sequence[str], seed: int = 0
) -> Explorer:
    """Let the reader go from call to call of the large model, and choose how many drafts a round has.

    Each number of drafts is a text of its own, written by `mine.generate_speculative` at temperature 1; with
    0 drafts every call brings one token. `ids` (1, T) is the prompt. Raises ValueError where no room is left
    in it for what is written.
    """
    races = [race(mine, model, draft_model, ids, count, seed) for count in DRAFTS]
    for one in races:
        one["names"] = [names[token] for token in one.pop("tokens")]
    label = whose(mine, "4.12")
    chosen = races[DRAFTS.index(START)]
    says = (
        f"With {START} drafts a round the large model is asked {len(chosen['brought'])} times for {NEW} "
        f"tokens, and {NEW} times one by one."
    )
    return Explorer(
        Path(__file__).with_suffix(".js"),
        {"races": races, "drafts": DRAFTS, "start": DRAFTS.index(START), "new": NEW},
        {},
        whose=label,
        says=says,
        picture=lambda: gained(races, label),
    )


def race(mine: Any, model: Any, draft_model: Any, ids: Tensor, num_drafts: int, seed: int) -> Race:
    """Return what is written, how many tokens each call of the large model brought, how many it had to read,
    and how often the small one was asked before.
    """
    read, starts, drafted = list[int](), list[int](), [0]

    def note(_: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        read.append((args[0] if args else given["ids"]).shape[1])
        starts.append(len(given["cache"][0]))
        drafted.append(0)

    def note_draft(*_: Any) -> None:
        drafted[-1] += 1

    handles = [
        model.register_forward_pre_hook(note, with_kwargs=True),
        draft_model.register_forward_pre_hook(note_draft, with_kwargs=True),
    ]
    try:
        generator, args = torch.Generator().manual_seed(seed), mine.SamplingArgs()
        text = mine.generate_speculative(model, draft_model, ids, NEW, num_drafts, args, generator)
    finally:
        for handle in handles:
            handle.remove()
    # Before a call the cache holds all of the text but its last token; before the first, nothing.
    lengths = [ids.shape[1], *(start + 1 for start in starts[1:]), text.shape[1]]
    brought = [after - before for before, after in pairwise(lengths)]
    tokens = text[0, ids.shape[1] :].tolist()
    return {"tokens": tokens, "brought": brought, "read": read, "drafted": drafted[: len(read)]}


def gained(races: Sequence[Race], label: str) -> Figure:
    """Draw how many tokens there are after each call of the large model, for some numbers of drafts."""
    figure, (ax,) = canvas(height=2.8)
    for i, count in enumerate((0, 1, 4, 8)):
        brought = races[DRAFTS.index(count)]["brought"]
        line = torch.tensor([0, *brought]).cumsum(dim=0)
        style, mark = STYLES[i % len(STYLES)], MARKERS[i % len(MARKERS)]
        ax.plot(line, color=COLORS[i], linestyle=style, marker=mark, ms=3, label=f"{count} drafts")
    ax.set(xlabel="calls of the large model", ylabel="tokens written")
    ax.legend(frameon=False, fontsize=9)
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
