"""What the tutorial of step 2 measures of caches: the work of generation, and what growing copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from coursekit.widgets.canvas import COLORS, STYLES, canvas


def small_gpt(module: Any) -> nn.Module:
    """Return an untrained GPT of this module with 2 layers of width 64 and 256 tokens, in evaluation."""
    torch.manual_seed(0)
    return module.GPT(module.GPTConfig(256, 256, n_layer=2, n_head=4, n_embd=64)).eval()


def continue_greedily(
    model: Any, ids: Tensor, count: int, caches: Sequence[Any] | None = None
) -> tuple[list[int], list[int]]:
    """Return `count` most likely tokens after ids (1, T), one by one, and the operations spent on each.

    With caches (one for each layer) only what is new is computed; without, the whole text every time.
    Operations are those of matrix products, 2 for each multiply-add.
    """
    tokens, operations, new = [], [], ids
    for _ in range(count):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            token = model(new, cache=caches).logits[:, -1:].argmax(dim=-1)
        tokens.append(int(token))
        operations.append(counter.get_total_flops())
        new = token if caches is not None else torch.cat([new, token], dim=1)
    return tokens, operations


def copied_rows(make: Callable[[], Any], count: int) -> list[int]:
    """Return how many rows of the past have been copied in all after each of `count` appends of one position.

    Where read() shows another storage than before, all rows that were there have been copied to it.
    """
    cache, total, totals = make(), 0, [0]
    row = torch.zeros(1, 1, 1, 1)
    cache.append(row, row)
    for _ in range(count - 1):
        before = cache.read()[0]  # held on to, so that its memory is not used anew
        cache.append(row, row)
        if cache.read()[0].data_ptr() != before.data_ptr():
            total += before.shape[-2]
        totals.append(total)
    return totals


def work(rows: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, log: bool = False) -> Figure:
    """Draw what each step of generation costs, or has cost so far, one line for each way."""
    figure, (ax,) = canvas(height=2.8)
    for i, (label, values) in enumerate(rows.items()):
        places = range(1, len(values) + 1)
        ax.plot(places, values, color=COLORS[i], linestyle=STYLES[i], label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="symlog" if log else "linear", ylim=(0, None))
    if not log:
        ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, fontsize=9)
    return figure
