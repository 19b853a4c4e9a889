"""Reading on beyond the trained length: one model with plain, linear, NTK-aware and YaRN frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.budget import Budget
from coursekit.corpora import join
from coursekit.corpora.python import python_library
from coursekit.registry import COURSE_ROOT
from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from step2_model.experiments.components import BASE, learn
from step2_model.finale.scoring import as_ids
from step2_model.finale.training import windows
from step2_model.further_solution import yarn_frequencies
from step2_model.model_solution import Rope, Transformer, YarnScaling

TRAINED, STEPS = 64, 1200
LENGTHS = (64, 128, 256)
PICTURE = COURSE_ROOT / "docs" / "images" / "rope_stretching.png"
Frequencies = tuple[Tensor, float]


class Stretched(Transformer):
    """The decoder with any frequencies, and any growth of cos and sin."""

    frequencies: Tensor | None = None
    growth = 1.0

    def rope(self, positions: Tensor) -> Rope:
        if self.frequencies is None:
            return super().rope(positions)
        angles = positions.unsqueeze(-1).float() * self.frequencies
        return angles.cos() * self.growth, angles.sin() * self.growth


def frequencies_by_method(dim: int, theta: float, factor: float, trained: int) -> dict[str, Frequencies]:
    """Return the frequencies, and the growth of cos and sin, of each way to stretch a context.

    Linear divides all by the factor (Chen et al., 2023). NTK-aware changes theta so that the slowest pair
    is divided by the factor and the fastest stays. YaRN leaves pairs alone that turn often, and divides
    those that never turn.
    """
    exponents = torch.arange(0, dim, 2, dtype=torch.float32) / dim
    plain = theta**-exponents
    wider = theta * factor ** (dim / (dim - 2))
    yarn = yarn_frequencies(dim, theta, YarnScaling(factor, trained))
    return {
        "plain": (plain, 1.0),
        "linear": (plain / factor, 1.0),
        "NTK-aware": (wider**-exponents, 1.0),
        "YaRN": yarn,
    }


@torch.no_grad()
def losses(model: Stretched, text: Tensor, length: int, count: int = 48) -> float:
    """Return the mean loss in nats over the last quarter of windows of this length."""
    ids = windows(text, length, count, torch.Generator().manual_seed(0))
    logits = model(ids).logits[:, :-1].log_softmax(dim=-1)
    surprise = -logits.gather(-1, ids[:, 1:, None])[..., 0]
    return surprise[:, -(length // 4) :].mean().item()


def measured(steps: int = STEPS, seeds: Sequence[int] = (0, 1)) -> list[dict[str, Any]]:
    """Train the decoder on windows of 64 bytes with each seed, and read longer ones in each way."""
    steps = Budget(steps=steps).within_environment().steps
    corpus = python_library()
    text, held_out = as_ids(join(corpus.train)), as_ids(join(corpus.held_out))
    rows = []
    for seed in seeds:
        torch.manual_seed(seed)
        model = Stretched(replace(BASE, max_seq_len=TRAINED))
        learn(model, text, steps, seed)
        model.args = replace(model.args, max_seq_len=max(LENGTHS))
        model.eval()
        for length in LENGTHS:
            found = frequencies_by_method(BASE.head_dim, BASE.rope_theta, length / TRAINED, TRAINED)
            for method, (model.frequencies, model.growth) in found.items():
                loss = round(losses(model, held_out, length), 4)
                rows.append({"seed": seed, "length": length, "method": method, "loss": loss})
                print(f"seed {seed}, {length} bytes, {method}: {loss:.4f} nats", flush=True)
    return rows


def mean_losses(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the mean over seeds for each method, one number for each length."""
    methods = dict.fromkeys(row["method"] for row in rows)
    table: dict[str, list[float]] = {}
    for method in methods:
        of_method = [row for row in rows if row["method"] == method]
        lengths = dict.fromkeys(row["length"] for row in of_method)
        by_length = [[row["loss"] for row in of_method if row["length"] == length] for length in lengths]
        table[method] = [sum(found) / len(found) for found in by_length]
    return table


def draw(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the loss over the length of what is read, a line for each method."""
    figure, (ax,) = canvas()
    for i, (method, values) in enumerate(mean_losses(rows).items()):
        ax.plot(LENGTHS, values, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], label=method)
    ax.set(xlabel="bytes read at once (trained on 64)", ylabel="loss in nats", xscale="log")
    ax.set_xticks(LENGTHS, [str(length) for length in LENGTHS])
    ax.minorticks_off()
    ax.legend(frameon=False)
    return figure


def evidence(steps: int = STEPS, seeds: Sequence[int] = (0, 1), picture: Any = PICTURE) -> dict[str, Any]:
    """Measure, draw, and say what holds."""
    rows = measured(steps, seeds)
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(rows).savefig(picture, dpi=120, metadata={"Software": None})
    mean = mean_losses(rows)
    claims = {
        "at the trained length all four are the same": max(found[0] for found in mean.values())
        - min(found[0] for found in mean.values())
        < 1e-3,
        "at four times the length YaRN loses less than plain frequencies": mean["YaRN"][-1]
        < mean["plain"][-1],
    }
    return {"seeds": list(seeds), "lengths": list(LENGTHS), "results": rows, "claims": claims}
