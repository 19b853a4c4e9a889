"""`course debug`: one claim of a check in the foreground, where the debugger works."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from coursekit.practice.selection import WrongUsage, find_one, select

Id = Annotated[str, typer.Argument(metavar="ID", help="An exercise, such as 2.3a.", show_default=False)]
Number = Annotated[
    int | None, typer.Option("--claim", metavar="N", help="Run this claim, counted from 1; else what fails.")
]
File = Annotated[
    Path | None, typer.Option("--file", metavar="PATH", help="Run this file instead of your own.")
]


Small = Annotated[bool, typer.Option("--small", help="Run the smallest input that fails instead of a claim.")]


def debug(name: Id, claim: Number = None, small: Small = False, file: File = None) -> None:
    """Run the claim that fails here in your terminal: breakpoint(), pdb, print and input work."""
    from coursekit.judging.judge import shared
    from coursekit.practice.debug import Left, claim_target, small_target
    from coursekit.practice.debug import debug as run

    step, item = find_one(name)
    if small and claim is not None:
        raise WrongUsage("course debug takes --claim or --small, got both")
    (job,) = select([name], file)
    path = job.path.resolve()
    print(f"Checking {item.id} first ...", file=sys.stderr, flush=True)
    verdict = shared().report(step, [item], path).verdicts[0]
    target = small_target(step, item, verdict) if small else claim_target(step, item, verdict, claim)
    try:
        is_right = run(step, item, path, target, _tell)
    except Left:
        print("\nLeft the debugger.")
        return
    except KeyboardInterrupt as stopped:
        print(f"\n{stopped}".rstrip())
        raise
    raise typer.Exit(0 if is_right else 1)


def _tell(text: str) -> None:
    # At once: what the learner's code prints, or an endless loop, comes behind it.
    print(text, flush=True)
