"""Small steps in few digits: what is left of a weight that is lowered a thousand times, in three formats."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from matplotlib.figure import Figure

from coursekit.widgets.canvas import COLORS, STYLES, canvas
from coursekit.widgets.explorer import Explorer

FORMATS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
TIMES = 1_000
# What the reader may choose: weights from 1 down to 2^-10, steps in the sequence 1, 2, 5.
WEIGHTS = [2.0**-power for power in range(11)]
STEPS = [factor * 10.0**power for power in range(-7, -2) for factor in (1, 2, 5)]


def rounding(weight: float = 1.0, step: float = 5e-4) -> Explorer:
    """Let the reader choose a weight and a step, and see which formats take the step and which round it away.

    Raises ValueError for a weight or a step that is not among those to choose from.
    """
    for name, value, allowed in (("weight", weight, WEIGHTS), ("step", step, STEPS)):
        if not any(math.isclose(value, other) for other in allowed):
            rule = f"{name} must be one of {', '.join(f'{other:g}' for other in allowed)}"
            raise ValueError(f"{rule}, got {value:g}")
    paths = {name: lowered(weight, step, dtype) for name, dtype in FORMATS.items()}
    ends = ", ".join(f"{path[-1]:.4g} in {name}" for name, path in paths.items())
    says = f"A weight of {weight:g}, lowered {TIMES:,} times by {step:g}, is {ends}."
    label = "Computed in the page."

    def picture() -> Figure:
        figure, (ax,) = canvas()
        for i, (name, path) in enumerate(paths.items()):
            ax.plot(path, color=COLORS[i], linestyle=STYLES[i], label=name)
        ax.set(xlabel="step", ylabel="weight")
        ax.legend(frameon=False)
        return figure

    formats = []
    for name, dtype in FORMATS.items():
        info = torch.finfo(dtype)
        formats.append([name, 1 - round(math.log2(info.eps)), round(math.log2(info.tiny)), info.max])
    values = {
        "formats": formats,
        "times": TIMES,
        "weights": WEIGHTS,
        "steps": STEPS,
        "weight": min(range(len(WEIGHTS)), key=lambda i: abs(WEIGHTS[i] - weight)),
        "step": min(range(len(STEPS)), key=lambda i: abs(STEPS[i] - step)),
    }
    return Explorer(Path(__file__).with_suffix(".js"), values, {}, whose=label, says=says, picture=picture)


def lowered(weight: float, step: float, dtype: torch.dtype) -> list[float]:
    """Return the weight after 0, 1, ... steps downward, rounded to `dtype` after each."""
    kept = torch.tensor(weight, dtype=dtype)
    path = [kept.item()]
    for _ in range(TIMES):
        kept = (kept.double() - step).to(dtype)
        path.append(kept.item())
    return path
