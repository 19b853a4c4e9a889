"""The loss at one position: logits, softmax, surprise and gradient, with logits that can be moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step2_model.explorers.inside import check_model, tokens_of
from step2_model.explorers.pictures import law_and_gradient

SHOWN = 10


def surprise(mine: Any, model: Any, text: str | Sequence[int] | Tensor, position: int = -2) -> Explorer:
    """Let the reader move the logits of a trained model at one position, and see what that does to the loss.

    `position` is the one that predicts; the token after it is the one that came. The surprise of the logits
    as they were is `next_token_loss` of `mine`. Raises ValueError for a text or a model that cannot be shown,
    and for the last position, after which nothing comes.
    """
    check_model(model)
    ids, names, vocabulary = tokens_of(text, model)
    T = len(names)
    if not -T <= position < T - 1 or position == -1:
        raise ValueError(f"position must have a token after it, 0 to {T - 2}, got {position}")
    with torch.no_grad():
        logits = model(ids).logits
        losses = surprises(mine, logits, ids)
    t = position % T
    came = int(ids[0, t + 1])
    p = logits[0, t].softmax(dim=-1)
    label = whose(mine, "2.4d")
    says = (
        f"After {''.join(names[: t + 1])!r} the token {names[t + 1]!r} came, to which the model gave "
        f"{p[came]:.1%}: a surprise of {losses[t]:.2f} nats."
    )

    def picture() -> Figure:
        shown = list(dict.fromkeys([*p.topk(min(SHOWN, len(p))).indices.tolist(), came]))
        return law_and_gradient(
            p[shown].tolist(), [vocabulary[i] for i in shown], shown.index(came), says, label
        )

    values = {
        "tokens": names,
        "vocabulary": vocabulary,
        "ids": ids[0].tolist(),
        "position": t,
        "shown": SHOWN,
    }
    arrays = {"logits": logits[0, :-1], "losses": losses}
    return Explorer(
        Path(__file__).with_suffix(".js"), values, arrays, whose=label, says=says, picture=picture
    )


def surprises(mine: Any, logits: Tensor, ids: Tensor) -> Tensor:
    """Return the surprise (T - 1) at each next token: `next_token_loss` of `mine`, one position at a time."""
    T = ids.shape[1]
    return torch.stack([mine.next_token_loss(logits[:, t : t + 2], ids[:, t : t + 2]) for t in range(T - 1)])
