"""`course list`, `progress`, `path`: what there is and where you stand. Nothing is judged here."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from coursekit import progress as state
from coursekit import registry
from coursekit.learner_file import places
from coursekit.progress import PATHS, Progress, Standing
from coursekit.registry import Step
from coursekit.render.telling import plural
from coursekit.render.terminal import bold, indented, make_console, plain
from coursekit.selection import Item, WrongUsage
from coursekit.standing import in_path, is_changed, next_open

_STYLES = {Standing.EARNED: "green", Standing.SOLVED: "yellow", Standing.OPEN: ""}


def list_() -> None:
    """List the exercises of your path, with where you stand. Nothing is judged."""
    console = make_console()
    for step in registry.load_course():
        known = state.load(step.root)
        console.print(bold(f"Step {step.number}: {step.title}"), indented(step.question), sep="\n")
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        for name in ("id", "title", "minutes", "standing"):
            table.add_column(name, no_wrap=name != "title", overflow="fold")
        for item in step.items:
            if in_path(item, known.path):
                standing = Text(_standing(step, item, known), style=_STYLES[known.standing(item.id)])
                table.add_row(Text(item.id), Text(item.title), Text(_size(item)), standing)
        console.print(table)
        left_out = [item for item in step.items if not in_path(item, known.path)]
        if left_out:
            console.print(plain(f"{len(left_out)} more are not on the path {known.path!r}: course path all"))
    console.print(plain("Next: course show ID, course check [ID], course watch"))


def progress() -> None:
    """Show what you have earned, what was solved for you, and what is open."""
    console = make_console()
    for step in registry.load_course():
        known = state.load(step.root)
        items = [item for item in step.items if in_path(item, known.path)]
        points = sum(item.points for item in items)
        earned = sum(item.points for item in items if known.standing(item.id) is Standing.EARNED)
        console.print(bold(f"Step {step.number}: {step.title}"))
        console.print(indented(f"{earned} of {plural(points, 'point')} earned on the path {known.path!r}"))
        for standing in Standing:
            ids = [item.id for item in items if known.standing(item.id) is standing]
            console.print(indented(f"{standing}: {', '.join(ids) or 'nothing'}"))
        changed = [item.id for item in items if is_changed(step, item, known)]
        if changed:
            console.print(
                indented(f"changed since it passed: {', '.join(changed)} (course check {changed[0]})")
            )
        following = next_open(step, known.done, known.path)
        if following is not None:
            console.print(plain(f"Next: {following.id} {following.title}, {places(step, following)[0]}"))


def path(
    name: Annotated[str | None, typer.Argument(metavar="quick|core|all", show_default=False)] = None,
) -> None:
    """Choose how much of the course you take: quick, core or all. Without a name: show the choice."""
    steps = registry.load_course()
    if not steps:
        raise WrongUsage("there is no path yet: no step has exercises")
    if name is not None:
        if name not in PATHS:
            raise WrongUsage(f"a path is quick, core or all, got {name!r}")

        def choose(known: Progress) -> None:
            known.path = name

        state.update(choose, steps[0].root)
    chosen = state.load(steps[0].root).path
    console = make_console()
    for other in PATHS:
        items = [item for step in steps for item in step.exercises if in_path(item, other)]
        minutes = sum(item.minutes for item in items)
        mark = "  <- yours" if other == chosen else ""
        console.print(plain(f"{other:6}{plural(len(items), 'exercise')}, about {_hours(minutes)}{mark}"))


def _standing(step: Step, item: Item, known: Progress) -> str:
    standing = known.standing(item.id)
    if standing is not Standing.OPEN and is_changed(step, item, known):
        return f"{standing}, changed since"
    return str(standing)


def _size(item: Item) -> str:
    minutes = getattr(item, "minutes", 0)
    return f"{minutes} min" if minutes else "milestone"


def _hours(minutes: int) -> str:
    if minutes < 90:
        return plural(minutes, "minute")
    return f"{minutes / 60:.1f} hours"
