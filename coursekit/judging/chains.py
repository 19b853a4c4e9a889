"""Where two runs of a chain part: one word for every value on the way, and no word of blame for another way.

Right code may compute in another order or another shape. Values of another shape agree where their numbers
do, and are never said to differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coursekit.judging.compare import value_distance
from coursekit.judging.runs import Chained, Run
from coursekit.judging.tell import describe
from coursekit.judging.verdict import Link, Trail
from coursekit.judging.wire import Array, Opaque
from coursekit.probe import Claim

# What the wire makes of `coursekit.chain.Unseen`.
UNSEEN = Opaque("Unseen")


def first_parting(want: Sequence[Chained], got: Sequence[Chained]) -> Trail | None:
    """Return the first chain on which the learner's values part from the trusted ones, or None."""
    for wanted, found in zip(want, got):
        all_links = links(wanted.run, found.run)
        parting = next((i for i, link in enumerate(all_links) if link.differs), None)
        if parting == 0 and found.run.raised is not None and not found.run.claims:
            # It stopped before the first value: what it raised says all.
            return None
        if parting is not None:
            return Trail(wanted.title, tuple(all_links[: parting + 1]))
    return None


def links(want: Run, got: Run) -> list[Link]:
    """Compare the values of two runs of a chain one by one; an exception is what differs where it came.

    What the trusted run did not pass is left out. The shape of the last value, the result, is part of what is
    asked; that of the others is not.
    """
    pairs = [pair for pair in zip(want.claims, got.claims) if pair[0].value != UNSEEN]
    found = [link(wanted, have, wanted is want.claims[-1]) for wanted, have in pairs]
    if got.raised is not None:
        label = next((claim.label for claim in want.claims[len(got.claims) :]), "the end")
        found.append(Link(label, f"your code stops before it ({got.raised.type})", True))
    return found


def link(want: Claim, got: Claim, is_result: bool) -> Link:
    """Compare one value on the way, or the result."""
    if got.value == UNSEEN:
        return Link(want.label, "not seen: your code goes another way")
    ours, theirs = want.value, got.value
    if not isinstance(ours, Array) or not isinstance(theirs, Array):
        is_equal = value_distance(ours, theirs, want.tol).distance <= 1
        told = "exact" if is_equal else f"{describe(theirs)}, not {describe(ours)}"
        return Link(want.label, told, not is_equal)
    shapes = f"shape {theirs.shape}, not {ours.shape}"
    if is_result and ours.shape != theirs.shape:
        return Link(want.label, shapes, True)
    same = _in_one_shape(ours.data, theirs.data)
    if same is None:
        return Link(want.label, shapes)
    a, b = (Array(np.ascontiguousarray(data, np.float64), "float64") for data in same)
    distance = value_distance(a, b, want.tol).distance
    if distance > 1 and ours.shape != theirs.shape:
        return Link(want.label, shapes)
    return Link(want.label, *_told(a.data, b.data, distance))


def _told(a: np.ndarray, b: np.ndarray, distance: float) -> tuple[str, bool]:
    with np.errstate(invalid="ignore"):
        error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    largest = float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).max(initial=0.0))
    if distance <= 1:
        return ("exact" if largest == 0 else f"close (within {largest:.0e})"), False
    if np.isnan(b).sum() > np.isnan(a).sum():
        return f"{int(np.isnan(b).sum())} of {b.size} numbers are NaN", True
    if np.isinf(error).any():
        return "differs: infinite in other places", True
    return f"differs by {largest:.2g}", True


def _in_one_shape(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return both in one shape if one is the other with rows repeated or dimensions joined; else None."""
    if a.size == b.size:
        return a.ravel(), b.ravel()
    try:
        return tuple(np.broadcast_arrays(a, b))  # type: ignore[return-value]
    except ValueError:
        return None
