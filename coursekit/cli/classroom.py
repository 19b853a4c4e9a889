"""`course classroom`: build, grade, status. Releasing, collecting, feedback and export are nbgrader's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coursekit.classroom.build import ClassroomError
from coursekit.practice.selection import WrongUsage

if TYPE_CHECKING:
    from coursekit.classroom.cycle import Row

app = typer.Typer(
    help="For teachers: make a course directory for nbgrader, grade what was handed in, see where it stands.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The course directory.")]
HERE = Path("classroom")


@app.command()
def build(folder: Annotated[Path, typer.Argument(metavar="DIR")] = HERE) -> None:
    """Make a course directory, or refresh what it hands out; submissions and grades stay as they are."""
    from coursekit.classroom import build as classroom

    try:
        for sentence in classroom.build(folder):
            typer.echo(sentence)
    except ClassroomError as error:
        raise WrongUsage(str(error)) from None


@app.command()
def grade(
    step: Annotated[str, typer.Argument(metavar="STEP", help="The assignment: a step's folder.")],
    folder: Folder = HERE,
    student: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this one; repeatable.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what is graded and unchanged.")] = False,
) -> None:
    """Grade what was handed in and is new or changed. Exit status 1 if anything stays ungraded."""
    from coursekit.classroom.cycle import Classroom

    try:
        rows = [_told(row) for row in Classroom(folder).grade(step, student or [], again)]
    except ClassroomError as error:
        raise WrongUsage(str(error)) from None
    if not rows:
        raise WrongUsage(f"nobody has handed in {step}: {folder}/submitted has no folder ID/{step}")
    _sum_up(rows)
    raise typer.Exit(0 if all(row.score is not None for row in rows) else 1)


@app.command()
def status(
    step: Annotated[str | None, typer.Argument(metavar="[STEP]")] = None, folder: Folder = HERE
) -> None:
    """Show who handed in what, and how it is graded."""
    from coursekit.classroom.cycle import Classroom

    try:
        classroom = Classroom(folder)
    except ClassroomError as error:
        raise WrongUsage(str(error)) from None
    steps = classroom.steps()
    if step is not None and step not in steps:
        raise WrongUsage(f"the classroom must have source/{step}, got {', '.join(steps) or 'no step'}")
    for name in [step] if step else steps:
        typer.echo(name)
        rows = []
        for student in classroom.students(name):
            due = "changed since" if classroom.is_due(name, student) else ""
            rows.append(_told(classroom.row(name, student, due)))
        _sum_up(rows)


def _told(row: Row) -> Row:
    score = "-" if row.score is None else f"{row.score:g}"
    typer.echo(f"{row.student:<20} {score:>5} of {row.points:g}  {row.note}".rstrip())
    return row


def _sum_up(rows: Iterable[Row]) -> None:
    rows = list(rows)
    graded = [row for row in rows if row.score is not None]
    typer.echo(f"{len(graded)} of {len(rows)} graded")
