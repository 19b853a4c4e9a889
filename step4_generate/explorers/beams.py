"""Beam search as a tree: which beginnings are kept at each step, which have ended, which are given up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.canvas import COLORS, canvas
from coursekit.widgets.explorer import Explorer

STEPS, MOST, START = 6, 4, 3
# A candidate goes on, has ended and is kept aside, or is given up.
OPEN, ENDED, DROPPED = "open", "ended", "dropped"
Node = dict[str, Any]
Tree = list[list[Node]]


def beams(
    mine: Any, model: Any, ids: Tensor, names: Sequence[str], end_of_text: int, length_penalty: float = 1.0
) -> Explorer:
    """Let the reader walk through a search step by step, and choose with how many beams.

    The tree is computed here, step by step; what `mine.beam_search` finds after all steps stands beside it.
    `ids` (T) is the prompt, `names` how each token of the vocabulary reads. Raises ValueError where the
    model has another vocabulary.
    """
    with torch.no_grad():
        vocabulary = model(ids[None]).logits.shape[-1]
    if len(names) != vocabulary:
        raise ValueError(f"names must be those of all {vocabulary} tokens, got {len(names)}")
    trees, found = [], []
    for num_beams in range(1, MOST + 1):
        trees.append(search_tree(model, ids, num_beams, STEPS, end_of_text))
        best = mine.beam_search(model, ids, num_beams, STEPS, end_of_text, length_penalty)[0]
        found.append({"text": "".join(names[token] for token in best.ids), "score": best.score})
    named = [[[node | {"name": names[node["token"]]} for node in step] for step in tree] for tree in trees]
    label = whose(mine, "4.11")
    best = found[START - 1]
    says = f"With {START} beams and {STEPS} steps the best is {best['text']!r}, score {best['score']:.2f}."
    return Explorer(
        Path(__file__).with_suffix(".js"),
        {"trees": named, "found": found, "start": START, "penalty": length_penalty},
        {},
        whose=label,
        says=says,
        picture=lambda: drawn(named[START - 1], label),
    )


@torch.no_grad()
def search_tree(model: Any, ids: Tensor, num_beams: int, steps: int, end_of_text: int) -> Tree:
    """Return the candidates of each step, best first: token, sum, state, and the place of its beginning
    among the open ones of the step before.
    """
    open_beams, tree = [(ids, 0.0)], list[list[Node]]()
    for _ in range(steps):
        logprobs = model(torch.stack([text for text, _ in open_beams])).logits[:, -1].float().log_softmax(-1)
        sums = logprobs + logprobs.new_tensor([total for _, total in open_beams])[:, None]
        best = sums.flatten().topk(min(2 * num_beams, sums.numel()))
        following, nodes = list[tuple[Tensor, float]](), list[Node]()
        for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            parent, token = divmod(place, logprobs.shape[-1])
            state = DROPPED
            if token == end_of_text:
                state = ENDED if len(nodes) < num_beams else DROPPED
            elif len(following) < num_beams:
                state = OPEN
                following.append((torch.cat([open_beams[parent][0], ids.new_tensor([token])]), total))
            nodes.append({"parent": parent, "token": token, "sum": total, "state": state})
        tree.append(nodes)
        open_beams = following
    return tree


def drawn(tree: Tree, label: str) -> Figure:
    """Draw the tree: a column for each step, what goes on in color, what is given up in gray."""
    figure, (ax,) = canvas(height=3.0)
    before = [(0, 0)]
    for step, nodes in enumerate(tree, start=1):
        here = []
        for row, node in enumerate(nodes):
            is_open = node["state"] == OPEN
            color = COLORS[0] if is_open else COLORS[1] if node["state"] == ENDED else "#999999"
            (x, y), style = before[node["parent"]], "-" if node["state"] != DROPPED else ":"
            # From behind the name of the beginning to before its own.
            ax.plot([x + 0.6 * (x > 0), step], [y, -row], color=color, linestyle=style, linewidth=1)
            mark = {OPEN: "", ENDED: " ■", DROPPED: " ✕"}[node["state"]]
            ax.text(step, -row, f" {node['name']}{mark}", fontsize=7, color=color, va="center")
            here += [(step, -row)] if is_open else []
        before = here
    ax.set(xlabel="step", xlim=(0, len(tree) + 0.8))
    ax.set_yticks([])
    figure.supxlabel(label, fontsize=9, ha="left", x=0.01)
    return figure
