"""Draw a hunt: the mistake, others that it could be taken for, and the places where one can look."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coursekit.hunting.atlas import Atlas, Probe

CANDIDATES = 5
NEAR, AMONG_NEAREST = 3, 6
# How many of each kind are offered, if so many are there; more where only they tell the candidates apart.
OFFERED = {"input": 5, "way": 1, "test": 3}
LETTERS = "abcde"


class NothingToHunt(Exception):
    """An exercise without two mistakes that can be told apart."""


@dataclass(frozen=True)
class Hunt:
    """One hunt: the mistake that is looked for, all that are offered, and where one can look."""

    truth: str
    candidates: tuple[str, ...]
    probes: tuple[Probe, ...]

    def letter(self, name: str) -> str:
        """Return the letter under which a candidate is offered."""
        return LETTERS[self.candidates.index(name)]


def draw_truth(atlas: Atlas, seed: int, last: str | None = None) -> str:
    """Return the mistake that a seed hides; never the one of the last hunt, where there is another."""
    rng = random.Random(f"{seed}/{atlas.item.id}")
    names = [name for name in atlas.names if _others(atlas, name)]
    if not names:
        raise NothingToHunt(f"a hunt needs two mistakes that can be told apart, got none in {atlas.item.id}")
    return rng.choice([name for name in names if name != last] or names)


def draw_hunt(atlas: Atlas, truth: str, seed: int) -> Hunt:
    """Return a hunt for a mistake: some candidates much like it, some not, any two of them told apart."""
    rng = random.Random(f"{seed}/{truth}")
    others = sorted(_others(atlas, truth), key=lambda name: -atlas.likeness(truth, name))
    near = others[:AMONG_NEAREST]
    rng.shuffle(near)
    far = others[AMONG_NEAREST:]
    rng.shuffle(far)
    chosen = [truth]
    for name in (*near[:NEAR], *far, *near[NEAR:]):
        if len(chosen) < CANDIDATES and all(atlas.tell_apart(name, other) for other in chosen):
            chosen.append(name)
    rng.shuffle(chosen)
    return Hunt(truth, tuple(chosen), _offered(atlas, chosen, rng))


def _others(atlas: Atlas, truth: str) -> list[str]:
    return [name for name in atlas.names if name != truth and atlas.tell_apart(truth, name)]


def _offered(atlas: Atlas, candidates: Sequence[str], rng: random.Random) -> tuple[Probe, ...]:
    """Return the probes that tell any two candidates apart, filled up with others, in the atlas's order."""
    pairs = set(itertools.combinations(candidates, 2))
    left = list(atlas.probes)
    rng.shuffle(left)
    # Inputs first where they tell as much: their numbers can be worked out.
    left.sort(key=lambda probe: probe.kind != "input")
    chosen: list[Probe] = []
    while pairs:
        best = max(left, key=lambda probe: len(_told(atlas, pairs, probe)))
        pairs -= _told(atlas, pairs, best)
        chosen.append(best)
        left.remove(best)
    for kind, most in OFFERED.items():
        room = max(most - sum(probe.kind == kind for probe in chosen), 0)
        chosen += [probe for probe in left if probe.kind == kind][:room]
    return tuple(probe for probe in atlas.probes if probe in chosen)


def _told(atlas: Atlas, pairs: Iterable[tuple[str, str]], probe: Probe) -> set[tuple[str, str]]:
    """Return the pairs of mistakes that a probe tells apart."""
    return {(a, b) for a, b in pairs if atlas.sight(a, probe).key != atlas.sight(b, probe).key}
