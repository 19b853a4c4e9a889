"""Probes of the equivalence ladder: both sides of every rung, run on the learner's code alone (2.ladder, and
2.ladder-absorbed for the further file).

A rung claims that its first side is right, and that the second answers the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from coursekit.probe import check, equal
from step2_model.checks.observe import DEEP
from step2_model.ladder import absorbed, rungs


@check("2.ladder")
def climbs(m: Any, rng: Any) -> Iterator[Any]:
    yield from both_sides(rungs.core(m, rng))


@check("2.ladder-absorbed")
def climbs_to_the_absorbed(m: Any, rng: Any) -> Iterator[Any]:
    yield from both_sides(absorbed.further(m, rng))


def both_sides(found: Iterable[rungs.Rung]) -> Iterator[Any]:
    """Yield what each rung claims: its first side, its second, and what both keep of a token. On right code
    the two sides are one, so that either is compared with the same numbers.
    """
    for rung in found:
        left, _, right = rung.name.partition(" = ")
        yield equal(f"{rung.name}: {left} is right", rung.first, DEEP)
        yield equal(f"{rung.name}: {right} answers the same", rung.second, DEEP)
        yield f"{rung.name}: numbers kept of each token", list(rung.kept)
