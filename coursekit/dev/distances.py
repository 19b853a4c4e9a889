"""How far one run is from the trusted one, in tolerances, and at which claim."""

from __future__ import annotations

import math

from coursekit.judging.compare import measure, run_distance
from coursekit.judging.runs import Run
from coursekit.probe import Claim


def spread(want: Run, run: Run) -> float:
    """Return how far a run of right code is from the trusted one, over the claims that come close by
    rounding.

    Draws that follow a law are anywhere within its threshold, by chance: there is nothing to stay away
    from.
    """
    is_whole = run_distance(want, run) != math.inf
    pairs = [(w, g) for w, g in zip(want.claims, run.claims) if not follows_law(w, g)]
    return max((measure(w, g).distance for w, g in pairs), default=0.0) if is_whole else math.inf


def follows_law(want: Claim, got: Claim) -> bool:
    return want.kind == "law" and measure(want, got).distance <= 1


def where(want: Run, run: Run, above: float) -> str:
    """Say where a run is farther from the trusted one than `above`: at its worst claim, or where it stops."""
    far = [
        (0.0 if follows_law(w, g) else measure(w, g).distance, w.label)
        for w, g in zip(want.claims, run.claims)
    ]
    worst = max(far, default=(0.0, ""))
    if worst[0] > above or run.raised is None:
        distance = "infinitely many" if math.isinf(worst[0]) else f"{worst[0]:.3g}"
        return f"{distance} tolerances away at {worst[1]!r}"
    return f"raises {run.raised.type}: {run.raised.message}"
