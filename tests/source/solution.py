"""A toy."""

from __future__ import annotations

from step1_toy.model_solution import helper

BASE = 2


class Box:
    """Holds x."""

    def __init__(self, x):
        self.x = x

    def double(self):
        """Return 2x."""
        # 1. Take x,
        #    whatever it is.
        x = self.x
        # 2. Double it.
        return BASE * x

    def show(self, past=None):
        """Return x as text."""
        # 1. Read x.
        x = self.x
        # 2. The past comes first.
        if past is not None:  # given
            x = past + x  # given
        # 3. Write it down.
        for _ in range(1):
            # 4. Only once.
            text = str(x)
        return text


@helper
def add(
    a: int,
    b: int,
) -> int:
    """Return a + b."""
    # 1. Add.
    return a + b


def given(a):
    """Return -a."""
    return -a


def scale(a):
    """Return 3a."""
    # 1. Multiply.
    return 3 * a
