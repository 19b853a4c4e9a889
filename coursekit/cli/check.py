"""`course check` and `course watch`: verdicts, once or after every save."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from coursekit.practice.selection import WrongUsage, select
from coursekit.practice.standing import keep
from coursekit.render.terminal import make_console, print_report

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID|STEP]...", help="2.3a, a group (2.3), a step (2 or its folder); without: all."
    ),
]
File = Annotated[
    Path | None, typer.Option("--file", metavar="PATH", help="Judge this file instead of your own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")]


def check(names: Names = None, file: File = None, as_json: AsJson = False) -> None:
    """Judge what you wrote, every exercise by itself. Exit status 0 if all pass, 1 if not."""
    from coursekit.judging.judge import shared

    reports = []
    for job in select(names or [], file):
        report, problem = keep(job.step, shared().report(job.step, job.items, job.path))
        if not as_json:
            print_report(report, job.step, make_console())
        if problem:
            typer.echo(problem, err=True)
        reports.append(report)
    if as_json:
        objects = [report.to_json() for report in reports]
        typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects, indent=1, ensure_ascii=False))
    raise typer.Exit(0 if all(report.all_passed for report in reports) else 1)


def watch(names: Names = None, file: File = None) -> None:
    """Stay and judge after every save, in whichever file. Keys: h hint, n next, ? for all of them, q quit."""
    jobs = select(names or [], file)
    if not jobs:
        raise WrongUsage("there is nothing to watch: no step has exercises yet")
    from coursekit.practice.watch import watch as stay

    stay(jobs, is_chosen=bool(names))
