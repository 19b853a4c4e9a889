"""What is kept of hunts: how many were won in a row. Never points."""

from __future__ import annotations

from pathlib import Path

from coursekit.hunting.game import Game
from coursekit.hunting.player import fewest_looks
from coursekit.practice.progress import Hunts, Progress, load, progress_file, update
from coursekit.render.telling import plural

RULES = (
    "Name the mistake at the first try, and your streak grows by one. A wrong name sets it back to 0, and so "
    "does giving up; after a wrong name you can go on looking. Looks and clues are counted and cost nothing. "
    "A hunt with a seed of your own does not count."
)


def mark(game: Game) -> str:
    """Return the name under which the hunted mistake is remembered."""
    return f"{game.atlas.item.id}/{game.hunt.truth}"


def keep(game: Game, root: Path, is_counted: bool = True) -> str | None:
    """Remember how a hunt ended; return one sentence if that failed.

    A hunt that was left before the first look changes nothing but which mistake comes next.
    """
    is_played = game.ended == "found" or game.looks > 0 or bool(game.wrong)

    def add(progress: Progress) -> None:
        hunts = progress.hunts
        hunts.last = mark(game)
        if is_counted and is_played:
            hunts.played += 1
            hunts.found += game.is_won
            hunts.streak = hunts.streak + 1 if game.is_won else 0
            hunts.best = max(hunts.best, hunts.streak)

    try:
        update(add, root)
    except OSError as error:
        return f"Your streak could not be kept in {progress_file(root)}: {error.strerror or error}."
    return None


def standing(root: Path) -> str:
    """Return the streak in a few words: "streak 3, best 5"."""
    hunts: Hunts = load(root).hunts
    return f"streak {hunts.streak}, best {hunts.best}"


def summary(game: Game, is_counted: bool) -> str:
    """Say what a hunt took, what would have been enough, and how the streak stands."""
    took = f"{game.effort}." if game.ended == "found" else "Given up."
    enough = plural(fewest_looks(game.atlas, game.hunt), "look")
    counted = standing(game.atlas.step.root) if is_counted else "not counted, as the seed was yours"
    return f"{took} Enough, well chosen: {enough}. {counted[:1].upper()}{counted[1:]}."
