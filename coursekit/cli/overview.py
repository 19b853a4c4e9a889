"""`course list`, `progress`, `path`: what there is and where you stand. Nothing is judged here."""

from __future__ import annotations

import platform
import tomllib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from coursekit import registry
from coursekit.practice import progress as state
from coursekit.practice.passing import compared, following_on_path, shows_reference, stands
from coursekit.practice.path import PATHS, in_path, minutes_of
from coursekit.practice.progress import Progress, Standing
from coursekit.practice.selection import Item, WrongUsage, find_one
from coursekit.practice.standing import is_changed, onward
from coursekit.registry import Step
from coursekit.render.links import place_text
from coursekit.render.passing import Difference
from coursekit.render.telling import plural
from coursekit.render.terminal import bold, indented, make_console, plain
from coursekit.source import read_source

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
            console.print(plain(f"{len(left_out)} more are not on the path '{known.path}': course path all"))
    console.print(plain("Next: course show ID, course check [ID], course watch"))


def progress() -> None:
    """Show what you have earned, what was solved for you, what is open, and how long the rest takes."""
    console = make_console()
    steps = registry.load_course()
    for step in steps:
        _tell_step(console, step, state.load(step.root))
    if not steps:
        return
    known = state.load(steps[0].root)
    console.print(plain(stands(steps[0], known)))
    hunts = known.hunts
    if hunts.played:
        won = f"{hunts.found} of {plural(hunts.played, 'hunt')} won at the first name"
        console.print(plain(f"{won}, {hunts.streak} in a row now, {hunts.best} at best"))
    following = following_on_path(steps[0], known)
    if following is None:
        console.print(plain(onward(steps[0], known.path, None).capitalize()))
        return
    console.print(plain(f"Next: {following.id} {following.title}"))
    console.print(Text("  ") + place_text(following.file, following.line))


def _tell_step(console: Console, step: Step, known: Progress) -> None:
    items = [item for item in step.items if in_path(item, known.path)]
    points = sum(item.points for item in items)
    earned = sum(item.points for item in items if known.standing(item.id) is Standing.EARNED)
    console.print(bold(f"Step {step.number}: {step.title}"))
    console.print(indented(f"{earned} of {plural(points, 'point')} earned on the path '{known.path}'"))
    for standing in Standing:
        ids = [item.id for item in items if known.standing(item.id) is standing]
        console.print(indented(f"{standing}: {', '.join(ids) or 'nothing'}"))
    changed = [item.id for item in items if is_changed(step, item, known)]
    if changed:
        console.print(indented(f"changed since it passed: {', '.join(changed)} (course check {changed[0]})"))


def compare(
    name: Annotated[str, typer.Argument(metavar="ID", help="An exercise that passed.", show_default=False)],
) -> None:
    """Show the reference beside your version of an exercise that has passed."""
    step, item = find_one(name)
    if not item.targets:
        raise WrongUsage(f"{item.id} has no code of its own: compare one of {', '.join(item.needs)}")
    if not shows_reference(step.root):
        raise WrongUsage("the reference is not shown in this class (show_reference in classroom.toml)")
    known = state.load(step.root)
    file = step.trio_files(item.trio)[0]
    if known.standing(item.id) is Standing.OPEN or not file.is_file():
        raise WrongUsage(f"{item.id} has not passed yet: the reference is shown once it has")
    console = make_console()
    console.print(bold(f"{item.id} {item.title}: the reference beside yours"))
    console.print(Difference(compared(step, item, read_source(file)[0])))


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
    known = state.load(steps[0].root)
    console = make_console()
    for other in PATHS:
        items = [item for step in steps for item in step.exercises if in_path(item, other)]
        mark = "  <- yours" if other == known.path else ""
        size = ", ".join((plural(len(items), "exercise"), minutes_of(items) or "nothing yet"))
        console.print(plain(f"{other:6}{size}{mark}"))
    following = following_on_path(steps[0], known)
    if name is not None and following is not None:
        console.print(plain(f"Next: {following.id} {following.title}"))
        console.print(Text("  ") + place_text(following.file, following.line))


def say_version(is_asked: bool) -> None:
    """Say the version and end, if that is asked."""
    if is_asked:
        typer.echo(f"course {version_of(registry.COURSE_ROOT)}, Python {platform.python_version()}")
        raise typer.Exit


def course(
    is_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and end.", is_eager=True, callback=say_version),
    ] = False,
) -> None:
    """Stand before every command, with the options that need none."""


def version_of(root: Path) -> str:
    """Return the version that pyproject.toml says, "unknown" where there is none."""
    try:
        return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return "unknown"


def _standing(step: Step, item: Item, known: Progress) -> str:
    standing = known.standing(item.id)
    if standing is not Standing.OPEN and is_changed(step, item, known):
        return f"{standing}, changed since"
    return str(standing)


def _size(item: Item) -> str:
    minutes = getattr(item, "minutes", 0)
    return f"{minutes} min" if minutes else "milestone"
