"""`course dev`: build, check, audit, new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    help="For authors: write what is generated, say what is missing, audit the checks, begin an exercise.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _fail(sentence: object) -> typer.Exit:
    typer.echo(str(sentence), err=True)
    return typer.Exit(1)


Force = Annotated[bool, typer.Option("--force", help="Write stubs over work, after keeping a copy of it.")]
Scoreboard = Annotated[
    bool, typer.Option("--scoreboard", help="Audit the checks too and write docs/checks.md (minutes).")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="ID", help="Audit only these again; docs/checks.md keeps its other rows."),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of the new exercise: 2.3e.")]
Targets = Annotated[
    list[str], typer.Argument(metavar="TARGET...", help="The function or method it asks for; two for a pair.")
]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[STEP|ID]...", help="What to audit; everything without names.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Further = Annotated[
    Path | None, typer.Option("--with", metavar="FILE", help="Further mistakes and variants, not added.")
]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds; the first is that of learners' checks.")]
Trio = Annotated[str, typer.Option(help="model or further: the file in which it stands.")]


@app.command()
def build(force: Force = False, scoreboard: Scoreboard = False, only: Only = None) -> None:
    """Write stubs, notebooks and tables from their sources."""
    from coursekit.dev.build import build, build_scoreboard
    from coursekit.dev.notebook import BuildError
    from coursekit.practice.selection import WrongUsage
    from coursekit.source.stub import StubError

    try:
        written = build(force=force, say=typer.echo)
        if scoreboard or only:
            build_scoreboard(say=typer.echo, only=only or ())
    except (BuildError, StubError, WrongUsage) as error:
        raise _fail(error) from None
    if not written:
        typer.echo("Every stub, notebook and table is up to date.")


@app.command()
def check() -> None:
    """Say in sentences what is missing or stale; exit status 1 if anything is."""
    from coursekit.dev.check import problems

    found = list(problems())
    for sentence in found:
        typer.echo(sentence)
    if found:
        raise _fail(f"{len(found)} to see to.")
    typer.echo("Nothing is missing or stale.")


@app.command()
def audit(names: Names = None, as_json: Json = False, further: Further = None, seeds: Seeds = 20) -> None:
    """Let every check face its known mistakes and variants; exit status 1 if anything slips."""
    from coursekit.dev.audit import audit_all
    from coursekit.dev.scoreboard import show
    from coursekit.practice.selection import find
    from coursekit.registry import load_course

    every = [item for step in load_course() for item in step.items]
    found = audit_all([item for name in names for item in find(name)] if names else every, further, seeds)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        show(found, Console())
    if not found.is_clean:
        raise typer.Exit(1)


@app.command()
def new(item_id: Id, targets: Targets, trio: Trio = "model") -> None:
    """Begin an exercise: its entry, a check, mistakes and a variant to fill in."""
    from coursekit.dev.new import begin
    from coursekit.dev.notebook import BuildError

    try:
        for line in begin(item_id, tuple(targets), trio):
            typer.echo(line)
    except BuildError as error:
        raise _fail(error) from None
