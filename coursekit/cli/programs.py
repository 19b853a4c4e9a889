"""Programs that `course` starts by name: those the steps register, benchmarks and evidence."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

import typer

from coursekit.registry import COURSE_ROOT


def run_module(module: str, name: str, arguments: Sequence[str]) -> None:
    """Run a module as `python -m` does, in this process, under the name that its usage line shall show."""
    if str(COURSE_ROOT) not in sys.path:
        sys.path.insert(0, str(COURSE_ROOT))
    old = sys.argv
    sys.argv = [name, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    finally:
        sys.argv = old


def bench(ctx: typer.Context) -> None:
    """Compare with peers on this machine: course bench NAME [--json]."""
    run_module("coursekit.bench", "course bench", ctx.args)


def evidence(ctx: typer.Context) -> None:
    """Redo a long measurement and keep its result in docs/evidence: course evidence NAME."""
    run_module("coursekit.evidence", "course evidence", ctx.args)
