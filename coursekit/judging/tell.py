"""Values in words: what a tensor is and what stands at one place of it, short enough for one line of a
message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.judging.wire import Array, Opaque

MAX_TEXT = 80


def describe(value: Any) -> str:
    """Return a value in a few words: its type and shape if it is a tensor, itself if it is short."""
    if value is None:
        return "None"
    if isinstance(value, Array):
        what = "array" if value.kind == "ndarray" else "tensor"
        article = "an" if value.dtype.startswith("int") else "a"
        if value.data.size == 1 and value.data.ndim == 0:
            return f"{article} {value.dtype} {what} of {number(value.data[()])}"
        return f"{article} {value.dtype} {what} of shape {value.shape}"
    if isinstance(value, Opaque):
        return f"an object of type {value.type}"
    if isinstance(value, float):
        return f"the float {number(value)}"
    if isinstance(value, bool | int):
        # Python refuses to write out a whole number of thousands of digits.
        is_long = value.bit_length() > 200
        return f"an int of {value.bit_length()} bits" if is_long else f"the {type(value).__name__} {value}"
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def describe_at(array: Array, where: tuple[Any, ...]) -> str:
    """Return the number at one place of an array."""
    return number(array.data[where])


def number(value: Any) -> str:
    """Return a number with six significant digits; whole numbers and truth values as they are."""
    if isinstance(value, np.bool_ | bool):
        return str(bool(value))
    if isinstance(value, np.integer | int):
        return str(int(value))
    return f"{float(value):.6g}"
