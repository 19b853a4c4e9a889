"""Variables of the environment that are changed for a while, and given back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept(*variables: str) -> Iterator[None]:
    """Give these variables of the environment back as they are now, those that are not set included."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
