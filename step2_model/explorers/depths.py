"""The residual stream: what each part of a block adds, and what the model would say if it stopped there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step2_model.explorers.inside import rebuilt, tokens_of
from step2_model.explorers.pictures import predictions_by_depth

PARTS = ("2.1", "2.2", "2.3d", "2.4a", "2.4b", "2.4c")


def stream(mine: Any, model: Any, text: str | Sequence[int] | Tensor, position: int = -2) -> Explorer:
    """Let the reader choose a position and a depth of a trained model, and see the stream there.

    Sizes are root mean squares; predictions are what `GPT.logits` of `mine` makes of the stream at that depth
    (the logit lens). Raises ValueError for a text or a model that cannot be shown.
    """
    own = rebuilt(mine, model)
    ids, names, vocabulary = tokens_of(text, own)
    T = len(names)
    if not -T <= position < T:
        raise ValueError(f"position must be one of the text, {-T} to {T - 1}, got {position}")
    stages, depths = depths_of(own, ids)
    with torch.no_grad():
        logits = own.logits(depths)
    best = logits.argmax(dim=-1)
    t = position % T
    final = logits[-1, t].softmax(dim=-1)
    says = (
        f"The stream of {names[t]!r} at position {t}, read after each part: "
        + ", ".join(f"{stage} predicts {vocabulary[best[i, t]]!r}" for i, stage in enumerate(stages))
        + f"; at the end with {final.max():.0%}."
    )
    label = whose(mine, *PARTS)

    def picture() -> Figure:
        guesses = [[vocabulary[i] for i in row] for row in best.tolist()]
        return predictions_by_depth(logits.softmax(dim=-1).amax(dim=-1), guesses, stages, names, label)

    values = {"tokens": names, "vocabulary": vocabulary, "stages": stages, "ids": ids[0].tolist()}
    return Explorer(
        Path(__file__).with_suffix(".js"),
        values | {"position": t, "depth": len(stages) - 1},
        {"stream": depths, "logits": logits},
        whose=label,
        says=says,
        picture=picture,
    )


def depths_of(model: Any, ids: Tensor) -> tuple[list[str], Tensor]:
    """Return a name for each depth and the stream there (1 + 2 · L, T, C): after the embeddings, and after
    attention and MLP of each block.
    """
    caught: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _: Any, output: Tensor) -> None:
        caught[module] = output[0]

    watched = [part for block in model.h for part in (block, block.attn)]
    hooks = [part.register_forward_hook(keep) for part in watched]
    with torch.no_grad():
        depths = [model.embed(ids)[0]]
        model.transform(depths[0][None])
    for hook in hooks:
        hook.remove()
    stages = ["embeddings"]
    for number, block in enumerate(model.h, start=1):
        depths += [depths[-1] + caught[block.attn], caught[block]]
        stages += [f"attention {number}", f"MLP {number}"]
    return stages, torch.stack(depths)
