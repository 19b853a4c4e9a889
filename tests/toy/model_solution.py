"""A toy step: small functions of every kind that a check may ask for."""

from __future__ import annotations

import math

import torch.nn.functional as F

SCALE = 2.0


def double(x):
    """Return SCALE times x."""
    # 1. Multiply.
    return SCALE * x


def total(items):
    """Return the sum of the items, adding each once."""
    # 1. Start with the first.
    result = items[0]
    # 2. Add the others.
    for item in items[1:]:
        result = result + item
    return result


def draw(probabilities, uniform):
    """Return for each uniform number an outcome of this probability."""
    # 1. Count the partial sums that are not above u.
    sums = probabilities.cumsum(0)
    return (uniform.unsqueeze(-1) >= sums).sum(-1).clamp(max=len(sums) - 1)


def shuffled(items):
    """Return the items in another order, whichever."""
    # 1. Turn them around.
    return items[::-1]


class Pair:
    """A stack."""

    def __init__(self):
        self.items = []

    def push(self, item):
        """Put an item on top."""
        # 1. Append.
        self.items.append(item)

    def pop(self):
        """Take the item from the top."""
        # 1. Take the last.
        return self.items.pop()


def normalize(x):
    """Return each row divided by its sum; a row of zeros stays one."""
    # 1. Sum the rows.
    sums = x.sum(dim=-1, keepdim=True)
    # 2. Divide, but not by zero.
    return x / sums.where(sums != 0, 1.0)


def bundle(x):
    """Return numbers, text, tensors and their like in a nest."""
    # 1. Gather.
    return {"x": x, "list": [1, 2.5, None, True], "pair": (F.relu(x), "text"), "nan": math.nan}


def whole(x):
    """Return the doubled rows, normalized."""
    return normalize(double(x))
