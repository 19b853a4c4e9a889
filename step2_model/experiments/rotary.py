"""Rotary positions in the tutorial: part one's GPT with them, trained briefly, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from matplotlib.figure import Figure
from torch import Tensor, nn

from coursekit.budget import Budget
from coursekit.widgets.canvas import COLORS, STYLES, canvas
from step2_model.experiments.ablation import KnownText, train
from step2_model.experiments.figures import smooth

TRAINED, READ = 24, 96


def rotary_parts(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the parts with which a GPT has rotary positions, by this module's `rope_at` and `rotate`.

    They are for `ablation.reference_with`: nothing is added to the token vectors, and attention turns its
    queries and keys.
    """

    def embed(self: Any, ids: Tensor, start: int = 0) -> Tensor:
        x: Tensor = self.drop(self.wte(ids))
        return x

    def attention(self: Any, x: Tensor, cache: Any = None) -> Tensor:
        heads = (rearrange(t, "B T (H D) -> B H T D", H=self.n_head) for t in self.c_attn(x).chunk(3, dim=-1))
        q, k, v = heads
        start = 0 if cache is None else len(cache)
        positions = torch.arange(start, start + x.shape[1]).expand(len(x), -1)
        rope = module.rope_at(positions, q.shape[-1])
        q, k = module.rotate(q, *rope), module.rotate(k, *rope)
        if cache is not None:
            cache.append(k, v)
            k, v = cache.read()
        y = module.attend(module.apply_causal_mask(module.attention_scores(q, k)), v, self.attn_dropout)
        out: Tensor = self.resid_dropout(self.c_proj(rearrange(y, "B H T D -> B T (H D)")))
        return out

    return {"GPT.embed": embed, "CausalSelfAttention.forward": attention}


def learn_short(module: ModuleType, text: KnownText, steps: int = 250) -> nn.Module:
    """Train a small GPT of this module on stretches of 24 symbols, with room for 96; return it.

    It has 2 layers of width 64. Every call starts from the same numbers. COURSE_BUDGET cuts the steps down.
    """
    torch.manual_seed(0)
    model = module.GPT(module.GPTConfig(len(text.table), READ, n_layer=2, n_head=4, n_embd=64))
    steps = Budget(steps=steps).within_environment().steps
    train(model, lambda generator: text.batch(32, TRAINED, generator), steps)
    return model.eval()


def losses_by_position(model: nn.Module, text: KnownText, size: int = 256) -> list[float]:
    """Return the mean loss, in nats, at each position of stretches four times as long as the trained ones."""
    ids = text.batch(size, READ, torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits = model(ids).logits[:, :-1]
    return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").mean(dim=0).tolist()


def over_positions(losses: Mapping[str, Sequence[float]], floor: float) -> Figure:
    """Draw losses over the position, with the trained length and a floor marked.

    Values are means over 5 positions, but for two on either side of where training ends: no mean joins what
    it has seen with what it has not. The last of 24 symbols has nothing to predict, so that positions 0 to 22
    are the trained ones.
    """
    figure, (ax,) = canvas()
    seen = TRAINED - 1
    for i, (label, values) in enumerate(losses.items()):
        between = torch.tensor(values[seen - 2 : seen + 2])
        drawn = torch.cat([smooth(values[:seen], 5), between, smooth(values[seen:], 5)])
        ax.plot(range(2, len(drawn) + 2), drawn, color=COLORS[i], linestyle=STYLES[i], label=label)
    ax.axvline(seen - 0.5, color="#444444", linewidth=1)
    ax.annotate(
        "trained up to here ",
        (seen - 0.5, 1.0),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        fontsize=9,
    )
    ax.axhline(floor, color="#AAAAAA", linewidth=1)
    ax.annotate("floor", (1.0, floor), xycoords=("axes fraction", "data"), ha="right", va="top", fontsize=9)
    ax.set(xlabel="position", ylabel="loss in nats", ylim=(0, None))
    ax.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def hands(cos: Tensor, pairs: Sequence[int]) -> Figure:
    """Draw cos of the angle of some pairs over the position, from what `rope_at` gave for one row."""
    figure, (ax,) = canvas(height=2.6)
    for i, pair in enumerate(pairs):
        ax.plot(cos[0, :, pair], color=COLORS[i], linestyle=STYLES[i], label=f"pair {pair}")
    ax.set(xlabel="position", ylabel="cos of the angle", ylim=(-1.1, 1.7))
    ax.legend(frameon=False, ncols=len(pairs), loc="upper center", fontsize=9)
    return figure


def likeness(module: ModuleType, dim: int, distance: int, theta: float) -> list[float]:
    """Return q · k / D over the distance from 0 up, for a query and a key that are both all ones.

    By the module's `rope_at` and `rotate`: the query stands at position 0, the key further and further away.
    """
    positions = torch.arange(distance).unsqueeze(0)
    ones = torch.ones(1, 1, distance, dim)
    keys = module.rotate(ones, *module.rope_at(positions, dim, theta))
    return (keys.sum(dim=-1) / dim).flatten().tolist()


def over_distance(likenesses: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how alike two equal vectors stay over the distance at which they stand."""
    figure, (ax,) = canvas(height=2.6)
    for i, (label, values) in enumerate(likenesses.items()):
        ax.plot(values, color=COLORS[i], linestyle=STYLES[i], label=label)
    ax.set(xlabel="distance between query and key", ylabel="q · k / D")
    ax.legend(frameon=False, fontsize=9)
    return figure
