"""What one look shows: the output for an input, or how the answers to a test compare with right code's.

A sight has two readings. `text` is what a person sees. `key` is what can be foreseen from the words of a
mistake alone: the numbers of a small input, and of a test only which of its parts are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from coursekit.judging.chains import links
from coursekit.judging.compare import measure, value_distance
from coursekit.judging.runs import Run
from coursekit.judging.smallest import named
from coursekit.judging.tell import describe
from coursekit.judging.wire import Array, Opaque
from coursekit.probe import TOLERANCE, Claim
from coursekit.render.telling import plural

RIGHT = "as right code gives it"
NOT_REACHED = "not reached: the model stopped before"


@dataclass(frozen=True)
class Sight:
    """What one look shows, and what of it can be foreseen."""

    text: str
    key: str


def spell(value: Any) -> str:
    """Return a value whole, tensors as lists that could be typed: on one line, or a row on each line."""
    if isinstance(value, Opaque) and ": " in value.type:
        return f"stops with {value.type}"
    if isinstance(value, Array):
        usual = value.dtype in ("float32", "int64", "bool") and value.data.size > 0
        return named("", _without_noise(value)) + ("" if usual else f"   {value.dtype}, shape {value.shape}")
    return named("", value)


def _without_noise(value: Array) -> Array:
    """Return the numbers with 0 for those that are there by rounding alone, beside the largest."""
    if value.data.dtype.kind != "f":
        return value
    size = np.abs(value.data)
    largest = size[np.isfinite(size)].max(initial=0.0)
    return replace(value, data=np.where(size < TOLERANCE * largest, 0, value.data).astype(value.data.dtype))


def case_sight(output: Any) -> Sight:
    """Return what is seen of the output for one small input: all of it."""
    text = spell(output)
    return Sight(text, text)


def way_sight(want: Run, got: Run) -> Sight:
    """Return what is seen of the values on the way: each exact, close or different."""
    found = links(want, got)
    passed = [link for link in found if not link.told.startswith("not seen")]
    words = [f"{link.name}: {link.told.replace('your code', 'the model')}" for link in passed]
    if len(passed) < len(found):
        words.append(f"({plural(len(found) - len(passed), 'value')} not seen: the model goes another way)")
    if len(got.claims) + (got.raised is not None) < len(want.claims):
        words.append("(the rest was not reached)")
    return Sight("\n".join(words), "; ".join(f"{link.name} {link.differs}" for link in found))


def test_sight(want: Run, got: Run, number: int) -> Sight:
    """Return what is seen of one test: part by part, whether it is as right code gives it."""
    if number >= len(got.claims):
        if number > len(got.claims) or got.raised is None:
            return Sight(NOT_REACHED, "not reached")
        return Sight(f"stops with {got.raised.type}: {got.raised.message}", got.raised.type)
    wanted, claim = want.claims[number], got.claims[number]
    if wanted.kind != "equal":
        holds = measure(wanted, claim).distance <= 1
        return Sight("holds" if holds else "does not hold", str(holds))
    parts = dict(_leaves(claim.value))
    seen = [(name, _part(value, parts.get(name), wanted)) for name, value in _leaves(wanted.value)]
    if len({sight for _, sight in seen}) == 1:
        return seen[0][1]
    groups: dict[Sight, list[str]] = {}
    for name, sight in seen:
        groups.setdefault(sight, []).append(name)
    text = "\n".join(f"{_listed(names)}: {sight.text}" for sight, names in groups.items())
    return Sight(text, "; ".join(f"{name} {sight.key}" for name, sight in seen))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the tensors and numbers in a value, each with its name or its place ("1st")."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value, start=1):
            yield from _leaves(item, f"{name} {i}".strip())
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{name} {key}".strip())
    else:
        yield name, value


def _part(want: Any, got: Any, claim: Claim) -> Sight:
    """Return what is seen of one tensor or number of a test."""
    if value_distance(want, got, claim.tol).distance <= 1:
        return Sight(RIGHT, "right")
    if isinstance(want, Array) and isinstance(got, Array):
        if (want.shape, want.dtype, want.kind) == (got.shape, got.dtype, got.kind):
            return Sight(f"not {RIGHT}: {_how(want, got, claim)}", "wrong")
        return Sight(f"{describe(got)}; {describe(want)} was asked for", describe(got))
    if isinstance(got, int | float) and type(got) is type(want):
        return Sight(f"{spell(got)}, which is not right", spell(got))
    return Sight(f"{describe(got)}, which is not right", describe(got))


def _how(want: Array, got: Array, claim: Claim) -> str:
    """Return in which numbers two tensors of one shape differ, and by which factor if it is one."""
    a, b = want.data.astype(np.float64).ravel(), got.data.astype(np.float64).ravel()
    finite = np.isfinite(a)
    scale = float(np.abs(a[finite]).max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        wrong = ~((np.abs(a - b) <= claim.tol * scale) | (a == b) | (np.isnan(a) & np.isnan(b)))
        ratio = (b / a)[finite & (np.abs(a) > 1e-3 * scale)]
    if np.isnan(b[wrong]).any():
        return f"NaN in {int(np.isnan(b).sum())} of {b.size} numbers"
    if not b.any():
        return "0 everywhere"
    if ratio.size > 1 and np.isfinite(ratio).all() and np.ptp(ratio) < 1e-3 * abs(ratio[0]):
        return f"{ratio.mean():.4g} times as much in every place"
    return f"{int(wrong.sum())} of {b.size} numbers differ"


def _listed(names: list[str]) -> str:
    """Return names in a row; of many the first ones and how many there are."""
    if len(names) <= 4:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
