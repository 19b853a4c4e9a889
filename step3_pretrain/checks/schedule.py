"""Probes of the schedule: warm-up and cosine (3.5)."""

from __future__ import annotations

from typing import Any

from coursekit.probe import cases, check


@check("3.5")
def learning_rate(m: Any, rng: Any) -> Any:
    peak = 0.01 * rng.integer(20, 90)
    warmup = 2 * rng.integer(3, 9)
    way = 4 * rng.integer(5, 20)
    total = warmup + way

    def rates(*steps: int, **changes: Any) -> list[Any]:
        return [
            m.learning_rate(step, **({"peak": peak, "warmup": warmup, "total": total} | changes))
            for step in steps
        ]

    yield "step 0 has peak / warmup: the first step moves the weights, too", rates(0)
    yield "warm-up is a straight line: peak / warmup more at each step", rates(*range(warmup))
    yield "step warmup - 1 has the peak, and so has step warmup", rates(warmup - 1, warmup)
    yield "halfway down, the rate is halfway between the peak and a tenth of it", rates(warmup + way // 2)
    yield (
        "a cosine is slow at both ends: after a quarter and after three",
        rates(warmup + way // 4, total - way // 4),
    )
    yield "at step total it has come down to a tenth of the peak, and not before", rates(total - 1, total)
    yield "after total it stays there", rates(total + 1, total + way // 2, total + way, 3 * total)
    yield (
        "floor says how much of the peak is left",
        rates(warmup, total - way // 4, total, total + 7, floor=0.4),
    )
    yield "a floor of 0: the run ends at 0", rates(warmup + way // 4, total, total + 5, floor=0.0)
    yield "a floor of 1: after the warm-up the rate stays", rates(0, warmup, warmup + 3, total, floor=1.0)
    yield (
        "without warm-up step 0 has the peak, and the way down begins",
        rates(0, 1, way, warmup=0, total=way),
    )
    yield "a run that ends within its warm-up only rises", rates(0, 1, 2, 3, warmup=9, total=4)
    yield "a run that ends with its warm-up only rises", rates(0, 3, warmup=4, total=4)
    yield "every step of a run", rates(*range(total + 3))


@cases("3.5")
def small_rates(m: Any) -> Any:
    for step, warmup, total in (
        (0, 2, 6),
        (1, 2, 6),
        (2, 2, 6),
        (3, 2, 6),
        (4, 2, 6),
        (5, 2, 6),
        (6, 2, 6),
        (7, 2, 6),
        (10, 2, 6),
        (0, 0, 4),
        (2, 0, 4),
    ):
        inputs = {"step": step, "peak": 1.0, "warmup": warmup, "total": total}
        yield inputs, m.learning_rate(**inputs)
    for step in (2, 4, 6):
        inputs = {"step": step, "peak": 2.0, "warmup": 2, "total": 6, "floor": 0.5}
        yield inputs, m.learning_rate(**inputs)
