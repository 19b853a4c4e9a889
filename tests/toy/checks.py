"""What the toy step asks. Torch is imported where it is used: exercise 8.4 is checked without it."""

from __future__ import annotations

from types import SimpleNamespace

from coursekit.probe import at_most, cases, check, equal, holds, law, reference


@check("8.1")
def doubling(m, rng):
    x = rng.normal(3, 4)
    yield "a tensor is doubled", m.double(x)
    yield "a float is doubled", m.double(1.5)
    yield equal("a large tensor is doubled, to 1e-3", m.double(1e6 * x), 1e-3)


@cases("8.1")
def small_doubles(m):
    import torch

    yield {"x": 1.0}, m.double(1.0)
    yield {"x": torch.tensor([1.0, -2.0])}, m.double(torch.tensor([1.0, -2.0]))


class Counted:
    """A number that counts how often it is added to another."""

    def __init__(self, value, counter):
        self.value, self.counter = value, counter

    def __add__(self, other):
        self.counter.count += 1
        return Counted(self.value + other.value, self.counter)


@check("8.2")
def counted_sum(m, rng):
    counter = SimpleNamespace(count=0)
    numbers = [rng.integer(0, 100) for _ in range(10)]
    result = m.total([Counted(n, counter) for n in numbers])
    yield "the sum is right", getattr(result, "value", result)
    yield at_most("ten numbers need at most nine additions", counter.count, 9)


@check("8.3")
def drawing(m, rng):
    import torch

    p = torch.tensor([0.5, 0.25, 0.125, 0.125, 0.0])
    yield law("outcomes come with their probabilities", m.draw(p, rng.uniform(0, 1, 4000)), p)


def is_permutation(value, given):
    return isinstance(value, list) and sorted(value) == given and value != given


@check("8.4")
def any_order(m, rng):
    items = sorted(rng.integer(0, 1000) for _ in range(20))
    yield holds("the same items in another order", m.shuffled(list(items)), is_permutation, items)


@check("8.5")
def stack(m, rng):
    pair = m.Pair()
    first, second = rng.integer(0, 9), rng.integer(10, 19)
    yield "push returns nothing", pair.push(first)
    pair.push(second)
    yield "the last in is the first out", pair.pop()
    yield "then the first", pair.pop()


@check("8.6")
def normalization(m, rng):
    import torch

    x = rng.uniform(1, 2, 3, 4)
    yield "each row is divided by its sum", m.normalize(x)
    yield "a row of zeros stays one", m.normalize(torch.zeros(2, 3))


@check("8.7")
def everything(m, rng):
    yield "everything comes back", m.bundle(rng.normal(2, 2))


@check("8.whole")
def the_whole(m, rng):
    yield "the whole is what the library gives", m.whole(rng.uniform(1, 2, 3, 4))


@reference("8.whole")
def library():
    import torch

    return SimpleNamespace(whole=lambda x: torch.nn.functional.normalize(x, p=1, dim=-1))
