"""Toys."""


def double(x):
    """Return 2x.

    Tutorial: docs/tutorials/step9_toy.md#91-doubling
    """
    # 1. Add x to itself.
    return x + x


class Box:
    """Holds x."""

    def __init__(self, x):
        self.x = x

    def show(self):
        """Return twice what it holds.

        Tutorial: docs/tutorials/step9_toy.md#92-boxes
        """
        # 1. Double it.
        return double(self.x)

    def hide(self):
        """Return nothing.

        Tutorial: docs/tutorials/step9_toy.md#92-boxes
        """
        # 1. Return None.
        return None
