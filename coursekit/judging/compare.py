"""Decide claims: does what the learner's code gave hold against the trusted run? NumPy in float64, no torch.

Distances are counted in tolerances: 0 is equal, 1 is the edge, infinity is another type, shape, dtype or NaN
pattern.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coursekit.judging.runs import Run
from coursekit.judging.tell import MAX_TEXT, describe, describe_at
from coursekit.judging.wire import Array
from coursekit.probe import Claim

FALSE_ALARM = 1e-9


@dataclass(frozen=True)
class Difference:
    """How a value differs from the wanted one: by how many tolerances, what came, what should have come, and
    where.
    """

    distance: float
    got: str
    expected: str
    where: str | None = None


def compare(want: Claim, got: Claim) -> Difference | None:
    """Return how the learner's claim differs from the trusted one, or None if it holds."""
    difference = measure(want, got)
    return None if difference.distance <= 1 else difference


def measure(want: Claim, got: Claim) -> Difference:
    """Return the distance between the learner's claim and the trusted one, whether it holds or not."""
    if want.kind == "at_most":
        return _at_most(want, got)
    if want.kind == "law":
        return _law(want, got)
    if want.kind == "holds":
        holds = got.value is True
        return Difference(0.0 if holds else math.inf, "something else", "a value for which this holds")
    return value_distance(want.value, got.value, want.tol)


def run_distance(want: Run, got: Run) -> float:
    """Return the largest distance over the claims of two runs; infinity where one stops early or raises
    otherwise.
    """
    if (want.raised is None) != (got.raised is None) or len(want.claims) != len(got.claims):
        return math.inf
    return max((measure(w, g).distance for w, g in zip(want.claims, got.claims)), default=0.0)


def same_behavior(known: Run, got: Run, reference: Run) -> bool:
    """Tell whether two runs cannot be told apart: equal claims equal, the others with the same outcome.

    Both ended in the same way: through all claims, or with an exception of the same type and text.
    """
    if len(known.claims) != len(got.claims) or (known.raised is None) != (got.raised is None):
        return False
    if known.raised and got.raised:
        a, b = known.raised, got.raised
        if (a.type, a.message) != (b.type, b.message):
            return False
    return all(map(_same_claim, reference.claims, known.claims, got.claims))


def same_start(known: Run, got: Run, reference: Run, failing: int) -> bool:
    """Tell whether two runs cannot be told apart up to and with the claim that fails, and that claim is no
    chance: among its numbers is one with a fraction that is not the wanted one.
    """
    if len(known.claims) <= failing or reference.claims[failing].kind != "equal":
        return False
    value, wanted = (run.claims[failing].value for run in (got, reference))
    if not isinstance(value, Array) or value.data.dtype.kind != "f":
        return False
    numbers = value.data[np.isfinite(value.data) & (value.data != np.round(value.data))]
    is_told = isinstance(wanted, Array) and not np.isin(numbers, wanted.data).all()
    return is_told and all(map(_same_claim, reference.claims, known.claims[: failing + 1], got.claims))


def _same_claim(want: Claim, one: Claim, two: Claim) -> bool:
    if want.kind == "equal":
        return measure(Claim(want.label, one.value, tol=want.tol), two).distance <= 1
    return (measure(want, one).distance <= 1) == (measure(want, two).distance <= 1)


def value_distance(want: Any, got: Any, tol: float, at: str = "") -> Difference:
    """Compare two frozen values: type, then shape and dtype, then NaN pattern, then every number."""
    if isinstance(want, Array):
        if not isinstance(got, Array) or got.kind != want.kind:
            return Difference(math.inf, describe(got), describe(want), at or None)
        return _array_distance(want, got, tol, at)
    if type(want) is not type(got):
        return Difference(math.inf, describe(got), describe(want), at or None)
    if isinstance(want, list | tuple):
        if len(want) != len(got):
            return Difference(math.inf, _all_of(got), _all_of(want), at or None)
        parts = [value_distance(w, g, tol, f"{at}[{i}]") for i, (w, g) in enumerate(zip(want, got))]
        return max(parts, key=lambda part: part.distance, default=Difference(0.0, "nothing", "nothing"))
    if isinstance(want, dict):
        if want.keys() != got.keys():
            return Difference(math.inf, _keys(got), _keys(want), at or None)
        parts = [value_distance(want[k], got[k], tol, f"{at}[{k!r}]") for k in want]
        return max(parts, key=lambda part: part.distance, default=Difference(0.0, "nothing", "nothing"))
    if isinstance(want, float):
        pair = (Array(np.array(want), "float"), Array(np.array(got), "float"))
        distance = _array_distance(*pair, tol, at).distance
        return Difference(distance, describe(got), describe(want), at or None)
    return Difference(0.0 if want == got else math.inf, describe(got), describe(want), at or None)


def _array_distance(want: Array, got: Array, tol: float, at: str) -> Difference:
    if want.shape != got.shape or want.dtype != got.dtype:
        return Difference(math.inf, describe(got), describe(want), at or None)
    if want.data.size == 0:
        return Difference(0.0, describe(got), describe(want), at or None)
    if want.data.dtype.kind != "f":
        wrong = want.data != got.data
        errors = np.where(wrong, math.inf, 0.0)
    else:
        errors = _float_errors(want.data.astype(np.float64), got.data.astype(np.float64), tol)
    worst = np.unravel_index(np.argmax(errors), errors.shape)
    return Difference(
        float(errors[worst]),
        describe_at(got, worst),
        describe_at(want, worst),
        at + _index(worst) or None,
    )


def _float_errors(want: np.ndarray, got: np.ndarray, tol: float) -> np.ndarray:
    """Return the error of every number in tolerances: relative to the largest finite magnitude that is
    wanted.
    """
    finite = np.isfinite(want)
    scale = float(np.abs(want[finite]).max(initial=0.0)) or 1.0
    same = (want == got) | (np.isnan(want) & np.isnan(got))
    # Divided one after the other: their product may be too small to be a number.
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.abs(want - got) / scale / tol
    return np.where(same, 0.0, np.where(np.isfinite(errors), errors, math.inf))


def _keys(value: dict[str, Any]) -> str:
    text = f"the keys {', '.join(sorted(value)) or '(none)'}"
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _all_of(values: Sequence[Any]) -> str:
    """Return a row of numbers, texts or such rows whole if it is short, else how many values it has."""
    whole = repr(list(values))
    is_short = len(whole) <= MAX_TEXT and all(_is_plain(value) for value in values)
    return whole if is_short else f"{len(values)} values"


def _is_plain(value: Any) -> bool:
    is_row = isinstance(value, list | tuple)
    return all(_is_plain(item) for item in value) if is_row else type(value) in (int, str)


def _index(worst: tuple[Any, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in worst)}]" if worst else ""


def _at_most(want: Claim, got: Claim) -> Difference:
    assert want.limit is not None
    count = got.value
    if type(count) not in (int, float) or count != count:  # not a number, by type or by name
        return Difference(math.inf, describe(count), f"at most {want.limit:g}")
    if count <= want.limit:
        return Difference(0.0, describe(count), f"at most {want.limit:g}")
    # A count may be a whole number beyond the range of floats.
    ratio = float(min(count, 10**300)) / want.limit if want.limit else math.inf
    return Difference(max(1.0 + 1e-9, ratio), describe(count), f"at most {want.limit:g}")


def _law(want: Claim, got: Claim) -> Difference:
    """Test draws against probabilities by the Chernoff bound, outcome by outcome: no approximation in the
    tails.

    If outcome i has probability p, the chance that its share among n draws is as far from p as the share s
    seen is at most 2·exp(-n·KL(s ‖ p)). Divided among the K outcomes, a false alarm has probability of at
    most FALSE_ALARM in all.
    """
    p = np.asarray(_numbers(want.probabilities), dtype=np.float64).ravel()
    draws = np.asarray(_numbers(got.value)).ravel()
    # As many as the trusted run drew: few draws agree with any law.
    n = np.asarray(_numbers(want.value)).size
    expected = f"{n} draws of the outcomes 0 to {len(p) - 1}"
    if draws.size != n or n == 0 or draws.dtype.kind not in "iu" or draws.min() < 0 or draws.max() >= len(p):
        return Difference(math.inf, describe(got.value), expected)
    share = np.bincount(draws, minlength=len(p)) / n
    information = np.array([_kl(s, q) for s, q in zip(share, p / p.sum())])
    threshold = math.log(2 * len(p) / FALSE_ALARM) / n
    worst = int(information.argmax())
    return Difference(
        float(information[worst] / threshold),
        f"outcome {worst} in {share[worst]:.4g} of {n} draws",
        f"in about {p[worst] / p.sum():.4g} of them",
    )


def _numbers(value: Any) -> Any:
    if isinstance(value, Array):
        return value.data
    flat = isinstance(value, list | tuple) and all(type(item) in (int, float) for item in value)
    return value if flat else []


def _kl(s: float, p: float) -> float:
    """Return the Kullback-Leibler divergence, in nats, of a coin of probability s from one of probability
    p.
    """
    if p <= 0.0 or p >= 1.0:
        return 0.0 if s == p else math.inf
    left = s * math.log(s / p) if s > 0 else 0.0
    right = (1 - s) * math.log((1 - s) / (1 - p)) if s < 1 else 0.0
    return left + right
