"""Known mistakes of the toy step."""

from __future__ import annotations

from coursekit.probe import mistake, variant


@mistake("8.1")
def squares(x):
    """It squares x instead of doubling it."""
    return x * x


@variant("8.1")
def adds(x):
    return x + x


@mistake("8.2")
def twice(items):
    """It adds the items twice over and takes half: the sum is right, the cost is not."""
    result = items[0]
    for item in items[1:]:
        result = result + item
    for item in items:
        result + item
    return result


@mistake("8.5")
def queue():
    """It is a queue: the first in is the first out."""
    return {"Pair.push": lambda self, x: self.items.append(x), "Pair.pop": lambda self: self.items.pop(0)}


@mistake("8.6")
def divides_by_zero(x):
    """A row of zeros is divided by zero."""
    return x / x.sum(dim=-1, keepdim=True)
