"""The figures and small measurements of longer contexts, of gates at one price, and of what models cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from coursekit.widgets.canvas import COLORS, STYLES, canvas


def shares(curves: Mapping[str, Tensor], turns: Tensor | None = None) -> Figure:
    """Draw, pair by pair, which share of its frequency each way to stretch leaves; and the turns of each pair
    over the trained length, where they are given.
    """
    figure, axes = canvas(1 if turns is None else 2, width=7.0)
    for i, (label, values) in enumerate(curves.items()):
        axes[-1].plot(values, color=COLORS[i], linestyle=STYLES[i], label=label)
    axes[-1].set(xlabel="pair", ylabel="share of its frequency", ylim=(0, 1.05))
    axes[-1].legend(frameon=False, fontsize=9)
    if turns is not None:
        axes[0].plot(turns, color=COLORS[0])
        axes[0].axhline(1, color="#444444", linewidth=1)
        axes[0].set(xlabel="pair", ylabel="turns over the trained length", yscale="log")
    return figure


def rotate_neighbors(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (2i, 2i + 1) of x (B, H, T, D), as models with the interleaved layout do."""
    a, b = x[..., 0::2], x[..., 1::2]
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


def product(x: Tensor) -> Tensor:
    """Return each feature times the one before it: for normal numbers of mean 0 and variance 1."""
    return x * x.roll(1, dims=-1)


def fit_gated(
    make: Callable[[], nn.Module],
    seed: int,
    wanted: Callable[[Tensor], Tensor] = product,
    steps: int = 400,
) -> float:
    """Fit a layer of width 16 to a function of normal numbers; return the mean squared error at the end."""
    torch.manual_seed(seed)
    layer, generator = make(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(layer.parameters(), lr=5e-3)
    errors: list[float] = []
    for _ in range(steps):
        x = torch.randn(256, 16, generator=generator)
        error = (layer(x) - wanted(x)).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    return sum(errors[-20:]) / 20


def kinds_of_cache(module: Any, args: Any) -> dict[str, Any]:
    """Return a configuration's cousins: MHA, GQA with a quarter of the heads, MQA, and MLA as it is."""
    common = {"d_model": args.d_model, "n_layers": args.n_layers, "n_heads": args.n_heads}
    heads = {"MHA": args.n_heads, "GQA": max(args.n_heads // 4, 1), "MQA": 1}
    grouped = {
        name: module.ModelArgs(**common, n_kv_heads=groups, attention="gqa") for name, groups in heads.items()
    }
    return grouped | {"MLA": args}


def per_token(costs: Mapping[str, Sequence[float]], contexts: Sequence[int]) -> Figure:
    """Draw what one token costs after pasts of several lengths, a line for each kind of model."""
    figure, (ax,) = canvas()
    for i, (label, values) in enumerate(costs.items()):
        ax.plot(contexts, values, color=COLORS[i], linestyle=STYLES[i], label=label)
    ax.set(xlabel="past positions", ylabel="FLOPs of one token", xscale="log", yscale="log")
    ax.legend(frameon=False, fontsize=9)
    return figure
