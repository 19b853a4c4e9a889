"""A learning rate over a run: warm-up and floor moved by hand, a straight line beside the cosine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step3_pretrain.explorers.pictures import rates_over_steps

WARMUPS = (0, 10, 20, 50, 100, 200, 400)
FLOORS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
TOTALS = (500, 1_000, 2_000)
SHOWN = 240


def schedule(mine: Any, peak: float = 3e-3, warmup: int = 50, total: int = 1_000) -> Explorer:
    """Let the reader move warm-up, floor and length of a run, and see the rate of every step.

    The rates are those of `mine.learning_rate`, in `SHOWN` steps of each run; the straight line beside them
    is the page's own. Raises ValueError for a warm-up or a length that is not among those sent.
    """
    for name, value, known in (("warmup", warmup, WARMUPS), ("total", total, TOTALS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, got {value}")
    rates = torch.tensor(
        [
            [
                [
                    [mine.learning_rate(step, 1.0, up, length, floor) for step in steps_of(length)]
                    for floor in FLOORS
                ]
                for up in WARMUPS
            ]
            for length in TOTALS
        ]
    )
    place = [TOTALS.index(total), WARMUPS.index(warmup), FLOORS.index(0.1)]
    shown = peak * rates[tuple(place)]
    label = whose(mine, "3.5")
    says = (
        f"The rate of a run of {total:,} steps: {warmup} steps up to {shown.max():.2g}, then half a cosine "
        f"down to {shown[-1]:.2g}."
    )

    def picture() -> Figure:
        return rates_over_steps(steps_of(total), shown.tolist(), label)

    values = {
        "peak": peak,
        "warmups": WARMUPS,
        "floors": FLOORS,
        "totals": TOTALS,
        "steps": [steps_of(length) for length in TOTALS],
        "place": place,
    }
    return Explorer(
        Path(__file__).with_suffix(".js"), values, {"rates": rates}, whose=label, says=says, picture=picture
    )


def steps_of(total: int) -> list[int]:
    """Return the steps of a run that are shown: `SHOWN` of them, from the first to the last."""
    return [round(i * (total - 1) / (SHOWN - 1)) for i in range(SHOWN)]
