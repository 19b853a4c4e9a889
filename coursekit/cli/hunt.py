"""`course hunt`: a model carries one mistake that is not named; find out which."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from coursekit.practice.selection import WrongUsage

Name = Annotated[
    str | None,
    typer.Argument(metavar="[ID|STEP]", help="An exercise, a group or a step; without: all you passed."),
]
All = Annotated[bool, typer.Option("--all", help="Hunt in exercises that you have not passed, too.")]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Any number: the same hunt every time, not counted.")
]


def hunt(name: Name = None, is_all: All = False, seed: Seed = None) -> None:
    """Play: a model carries one mistake that is not named; look where you like, and name it."""
    from coursekit.hunting.start import begin, grounds
    from coursekit.hunting.terminal import hunt as play

    exercises = grounds(name, is_all)
    if sys.stdin is None or not sys.stdin.isatty():
        raise WrongUsage("a hunt asks for your moves: run course hunt in a terminal, or hunt() in a notebook")
    play(lambda: begin(exercises, seed), is_counted=seed is None)
