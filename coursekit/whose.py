"""Say whose code something was computed by: a line beneath a cell, a label of an explorer, a model's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coursekit.mine import Part, Parts, State, listed
from coursekit.practice.selection import find

# More exercises than this are counted, not named.
MANY = 6


def whose(mine: Any, *ids: str) -> str:
    """Say in one line whose code computed something for which these exercises (or groups) were needed.

    Without ids it speaks of the whole file. `mine` is what `learner()` returned, or any other module.
    """
    parts: Parts | None = getattr(mine, "__dict__", {}).get("__parts__")
    if parts is None:
        name = getattr(mine, "__name__", type(mine).__name__).rpartition(".")[2]
        return "Computed by the reference." if name.endswith("_solution") else f"Computed by {name}."
    asked = _asked(parts, ids)
    theirs = [part.id for part in asked if part.state is State.YOURS]
    solved = [part.id for part in asked if part.state is State.SOLVED]
    open_ones = [part for part in asked if part.state.is_stood_in]
    sources = [f"your code ({_few(theirs, asked)})"] if theirs else []
    sources += [f"code solved for you ({_few(solved, asked)})"] if solved else []
    if not open_ones:
        return f"Computed by {' and '.join(sources) or 'your file'}."
    if not parts.has_stand_in:
        return f"Computed by your file as it is saved: {_why(open_ones)}."
    return f"Computed by {listed([*sources, 'the reference'])}: {_why(open_ones)}."


def named(module: Any, what: str, *ids: str) -> str:
    """Return what a module's thing is called: "your GPT", "the reference GPT", or with how many parts.

    `ids` are the exercises (or groups) that it is made of; without them it is made of the whole file.
    """
    parts: Parts | None = getattr(module, "__dict__", {}).get("__parts__")
    if parts is None:
        return f"{'the reference' if module.__name__.endswith('_solution') else 'your'} {what}"
    asked = _asked(parts, ids)
    yours, total = sum(part.state is State.YOURS for part in asked), len(asked)
    if yours == total or not parts.has_stand_in:
        return f"your {what}"
    return f"the {what} with {yours} of {total} parts yours" if yours else f"the reference {what}"


def _asked(parts: Parts, ids: Sequence[str]) -> list[Part]:
    """Return the parts of these exercises, groups and milestones; all without any."""
    items = [item for name in ids for item in find(name)]
    wanted = {each for item in items for each in (item.needs if item.is_milestone else (item.id,))}
    return [part for part in parts.all if part.id in wanted or not ids]


def _why(open_ones: Sequence[Part]) -> str:
    """Say why these are not the learner's: the reason where there is one exercise, else their ids."""
    if len(open_ones) == 1 and open_ones[0].state is State.CHANGED:
        return f"{open_ones[0].id} has changed since it passed"
    if len(open_ones) == 1 and open_ones[0].state is State.UNPASSED:
        return f"{open_ones[0].id} has not passed yet"
    ids = [part.id for part in open_ones]
    are = "is" if len(ids) == 1 else "are"
    return f"{listed(ids) if len(ids) <= MANY else f'{len(ids)} parts'} {are} not yours yet"


def _few(ids: Sequence[str], asked: Sequence[Part]) -> str:
    return ", ".join(ids) if len(ids) <= MANY else f"{len(ids)} of {len(asked)} parts"
