"""Audit what is told of the values on the way: right code never parts, a mistake parts at one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from coursekit.judging.chains import first_parting
from coursekit.judging.runs import run_chains

SEEDS = 2


def trail_slips(
    checks: Sequence[ModuleType],
    item_id: str,
    reference: Any,
    right: Mapping[str, Any],
    wrong: Mapping[str, Any],
    seeds: Sequence[int],
) -> Iterator[tuple[str, str]]:
    """Yield the name of each implementation that the chains of an item tell of wrongly, and how.

    `right` and `wrong` are implementations by name: the solution and its variants, and the mistakes.
    """
    first: dict[str, str | None] = {}
    for seed in seeds[:SEEDS]:
        want = run_chains(checks, item_id, reference, seed)
        broken = next((chain.run.raised for chain in want if chain.run.raised), None)
        if broken is not None:
            yield "the chains", f"must run on the solution, got {broken.type}: {broken.message}"
            return
        for name, m in right.items():
            trail = first_parting(want, run_chains(checks, item_id, m, seed))
            if trail is not None:
                yield (
                    name,
                    f"is right, but is said to part at {trail.links[-1].name!r}: {trail.links[-1].told}",
                )
        for name, m in wrong.items():
            trail = first_parting(want, run_chains(checks, item_id, m, seed))
            place = None if trail is None else f"{trail.title}: {trail.links[-1].name}".removeprefix(": ")
            if first.setdefault(name, place) != place:
                yield name, f"must part at one place under every seed, got {first[name]!r} and {place!r}"
