"""What `python model_exercise.py` runs: the verdicts on the exercises of that file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from coursekit.practice.selection import shown
from coursekit.practice.standing import keep
from coursekit.registry import Step, load_course
from coursekit.render.terminal import make_console, print_report


def main(file: str) -> NoReturn:
    """Judge a learner's file and end the process: status 0 if all pass, 1 if not, 2 for an unknown file."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    path = Path(file).resolve()
    step = step_of_file(path)
    trio = path.stem.removesuffix("_exercise")
    items = [] if step is None else [item for item in step.items if item.trio == trio]
    if step is None or not items:
        folders = ", ".join(step.folder for step in load_course())
        print(
            f"{shown(path)} cannot be checked here: it must stand in its step's folder ({folders}); "
            "a file elsewhere is checked with: course check ID --file PATH",
            file=sys.stderr,
        )
        sys.exit(2)
    from coursekit.judging.judge import judge
    from coursekit.workers import WorkerError

    try:
        report, problem = keep(step, judge(step, items, path))
    except WorkerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    print_report(report, step, make_console())
    if problem:
        print(problem, file=sys.stderr)
    sys.exit(0 if report.all_passed else 1)


def step_of_file(path: Path) -> Step | None:
    """Return the step whose folder, or a copy of it under the same name, holds the file."""
    return next((step for step in load_course() if step.folder == path.parent.name), None)
