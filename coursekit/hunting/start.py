"""Begin a hunt: in which exercise, for which mistake."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence

from coursekit.hunting.atlas import Atlas
from coursekit.hunting.draw import NothingToHunt, draw_hunt, draw_truth
from coursekit.hunting.game import Game
from coursekit.practice.progress import load
from coursekit.practice.selection import WrongUsage, find, step_of
from coursekit.registry import Exercise, load_course
from coursekit.workers.pool import Pool, pool_of

_atlases: dict[str, Atlas] = {}


class NonePassed(WrongUsage):
    """No exercise that is asked for is passed; the message says the way on in a terminal."""

    def __init__(self, what: str, first: str, name: str | None) -> None:
        self.what = (
            f"{what}, and a hunt gives an exercise's mistakes away: pass {first} first, or hunt all the same"
        )
        super().__init__(f"{self.what}: course hunt {f'{name} ' if name else ''}--all")


def grounds(name: str | None = None, is_all: bool = False) -> list[Exercise]:
    """Return the exercises whose mistakes may be hunted: those passed, of a step or group where one is named.

    Raises WrongUsage, with the way on, where there is none.
    """
    items = find(name) if name else [item for step in load_course() for item in step.items]
    exercises = [item for item in items if isinstance(item, Exercise)]
    if not exercises:
        raise WrongUsage(f"a hunt needs an exercise, got {name}: {_needed(items)}")
    if is_all:
        return exercises
    passed = [item for item in exercises if item.id in load(step_of(item).root).done]
    if not passed:
        what = f"{name} is not passed yet" if name and len(exercises) == 1 else "No exercise is passed yet"
        what = f"{what} in {name}" if name and len(exercises) > 1 else what
        raise NonePassed(what, exercises[0].id, name)
    return passed


def _needed(items: Sequence[object]) -> str:
    needs = next((needed for item in items if (needed := getattr(item, "needs", ()))), ())
    return f"name one of {', '.join(needs)}" if needs else "there is none yet"


def begin(exercises: Sequence[Exercise], seed: int | None = None, pool: Pool | None = None) -> Game:
    """Return a new game in one of the exercises. Equal seeds give equal games; without a seed never the
    last mistake again.

    Raises WrongUsage where no exercise has mistakes that can be told apart.
    """
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    order = list(exercises)
    random.Random(chosen).shuffle(order)
    for item in order:
        atlas = atlas_of(item, pool)
        place, _, last = load(atlas.step.root).hunts.last.partition("/")
        try:
            truth = draw_truth(atlas, chosen, last if seed is None and place == item.id else None)
        except NothingToHunt:
            continue
        return Game(atlas, draw_hunt(atlas, truth, chosen))
    ids = ", ".join(item.id for item in exercises)
    raise WrongUsage(f"a hunt needs mistakes that can be told apart, got none in {ids}")


def atlas_of(item: Exercise, pool: Pool | None = None) -> Atlas:
    """Return what is known of an exercise's mistakes, computed once for this process."""
    step = step_of(item)
    key = f"{step.root}/{item.id}"
    if key not in _atlases:
        _atlases[key] = Atlas(step, item, pool or pool_of(step), step.root / ".course" / "expected")
    return _atlases[key]
