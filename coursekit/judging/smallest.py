"""The smallest input that shows a fault, printed whole: the input, what came back, what should have."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coursekit.judging.compare import value_distance
from coursekit.judging.tell import describe
from coursekit.judging.wire import Array
from coursekit.probe import TOLERANCE

WIDTH = 76
# Digits that are tried until yours and wanted can be told apart in print.
DIGITS = (4, 6, 9)
MAX_NUMBERS = 200
MAX_SHORT = 40
# Whole numbers below this are printed without a point or an exponent.
WHOLE = 10**6


def smallest_failing(wanted: Sequence[Mapping[str, Any]], got: Any) -> int | None:
    """Return the number of the first small case on which the learner's output differs. `got` comes from a
    worker: anything may be in it.
    """
    for number, (want, have) in enumerate(zip(wanted, got if isinstance(got, list) else ())):
        if not isinstance(have, dict) or not {"output", "raised"} & have.keys():
            return None
        if "raised" in have or value_distance(want["output"], have["output"], TOLERANCE).distance > 1:
            return number
    return None


def print_case(want: Mapping[str, Any], have: Mapping[str, Any], is_error_told: bool = False) -> str:
    """Return a case whole: every input by name, yours, wanted; of an error that is told already the type."""
    told = ["The smallest input on which your result differs:"]
    told += [named(f"  {name} = ", value) for name, value in (want["inputs"] or {}).items()]
    if "raised" in have:
        raised = str(have["raised"])
        stopped = f"yours  : stops with {raised.partition(':')[0] if is_error_told else raised}"
        return "\n".join([*told, stopped, named("wanted = ", want["output"])])
    return "\n".join([*told, *told_apart(have["output"], want["output"])])


def told_apart(yours: Any, wanted: Any) -> list[str]:
    """Return both values whole, with as many digits as tell them apart, and what is not in the numbers."""
    for digits in DIGITS:
        lines = [named("yours  = ", yours, digits), named("wanted = ", wanted, digits)]
        if lines[0].removeprefix("yours  ") != lines[1].removeprefix("wanted "):
            break
    if isinstance(yours, Array) and isinstance(wanted, Array):
        if yours.shape != wanted.shape:
            lines = [f"{line}   shape {v.shape}" for line, v in zip(lines, (yours, wanted))]
        if yours.dtype != wanted.dtype:
            lines = [f"{line}   {v.dtype}" for line, v in zip(lines, (yours, wanted))]
    return lines


def named(name: str, value: Any, digits: int = DIGITS[0]) -> str:
    """Return "name = value", tensors as nested lists: on one line if they fit, else a row on each line."""
    if isinstance(value, tuple | list):
        inner = [named("", item, digits) for item in value]
        return f"{name}({', '.join(inner)})"
    if isinstance(value, float):
        return name + _short(value, digits) + ".0" * (value.is_integer() and abs(value) < WHOLE)
    if isinstance(value, str):
        return name + (value if _is_written_out(value) else repr(value))
    if not isinstance(value, Array):
        is_short = isinstance(value, int) and abs(value) < 10**WIDTH
        return name + (str(value) if is_short else describe(value))
    if value.data.size > MAX_NUMBERS:
        return name + describe(value)
    text = np.array2string(
        value.data,
        separator=", ",
        max_line_width=WIDTH,
        threshold=MAX_NUMBERS,
        formatter={"all": lambda number: _short(number, digits)},
        prefix=name,
    )
    flat = " ".join(text.split()).replace("[ ", "[")
    return name + (flat if len(name) + len(flat) <= WIDTH else text)


def _is_written_out(text: str) -> bool:
    """Tell whether a text is a value as Python writes it: small cases give bytes and rows of ids so."""
    try:
        return isinstance(ast.literal_eval(text), str | bytes | tuple | list | dict | set)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def in_short(value: Any) -> str:
    """Return a value whole if it is small, else what it is."""
    return named("", value) if size(value) <= MAX_SHORT else describe(value)


def size(value: Any) -> int:
    """Return how many numbers a value holds, however deep."""
    if isinstance(value, Array):
        return int(value.data.size)
    if isinstance(value, dict):
        return sum(map(size, value.values()))
    return sum(map(size, value)) if isinstance(value, list | tuple) else 1


def _short(number: Any, digits: int) -> str:
    """Return a number with so many significant digits, whole ones without a point."""
    if isinstance(number, np.bool_ | bool):
        return str(bool(number))
    if isinstance(number, np.integer | int):
        return str(int(number))
    number = float(number)
    if number.is_integer() and abs(number) < WHOLE:
        return str(int(number))
    return f"{number:.{digits}g}"
