"""A player that uses nothing but what a hunt offers, and by it the fewest looks that suffice."""

from __future__ import annotations

import itertools

from coursekit.hunting.atlas import Atlas
from coursekit.hunting.draw import Hunt
from coursekit.hunting.game import Game


def play(game: Game) -> str:
    """Look where most candidates can still be ruled out, name the one that is left, and return its name.

    What a candidate would show is known from its own code; what the model shows, only by looking.
    """
    atlas, left = game.atlas, list(game.hunt.candidates)
    numbers = list(range(1, len(game.hunt.probes) + 1))
    while len(left) > 1 and numbers:
        best = max(numbers, key=lambda n: len({_key(game, name, n) for name in left}))
        numbers.remove(best)
        seen = game.look(best).key
        left = [name for name in left if _key(game, name, best) == seen]
    if len(left) != 1:
        raise LookupError(f"one candidate must be left, got {left} in {atlas.item.id}")
    game.name(game.hunt.letter(left[0]))
    return left[0]


def _key(game: Game, name: str, number: int) -> str:
    return game.atlas.sight(name, game.hunt.probes[number - 1]).key


def fewest_looks(atlas: Atlas, hunt: Hunt) -> int:
    """Return the smallest number of looks that leaves the truth alone, whichever they are."""
    others = [name for name in hunt.candidates if name != hunt.truth]
    rules_out = [{name for name in others if atlas.tell_apart(hunt.truth, name, [p])} for p in hunt.probes]
    for count in range(1, len(hunt.probes) + 1):
        if any(len(set().union(*sets)) == len(others) for sets in itertools.combinations(rules_out, count)):
            return count
    raise LookupError(f"the probes must tell {hunt.truth} from every candidate, got {others}")
