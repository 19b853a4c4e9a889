"""Where a learner goes on: the first open exercise of their path, in the tutorial and in their file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from coursekit.practice.path import in_path, next_open
from coursekit.practice.progress import load
from coursekit.registry import COURSE_ROOT, Exercise, Milestone, Step, load_course
from coursekit.source import find_spans, read_source

FIRST = "tutorial.ipynb"


@dataclass(frozen=True)
class Place:
    """What is opened, as paths from the course's folder; `cell` is "" and `line` 0 where it is the start."""

    notebook: str
    file: str
    cell: str = ""
    line: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def step_to_open(root: Path = COURSE_ROOT) -> str:
    """Return the folder of the step to go on with: the first that is begun and has open exercises on the
    learner's path, else the first that has any, else the first with a tutorial; "" where none has one.
    """
    progress = load(root)
    steps = [step for step in load_course(root) if (step.path / FIRST).is_file()]
    done = progress.done
    is_open = [s for s in steps if any(in_path(i, progress.path) and i.id not in done for i in s.items)]
    is_begun = [step for step in is_open if any(item.id in done for item in step.items)]
    return next((step.folder for step in (*is_begun, *is_open, *steps)), "")


def place_in(folder: str, root: Path = COURSE_ROOT) -> Place:
    """Return where to go on in a step: at the top for who has done nothing or everything in it."""
    start = Place(f"{folder}/{FIRST}", f"{folder}/model_exercise.py")
    step = next((step for step in load_course(root) if step.folder == folder), None)
    progress = load(root)
    if step is None or not any(item.id in progress.done for item in step.items):
        return start
    item = next_open(step, progress.done, progress.path)
    if item is None:
        return start
    notebook = step.chapter_of(item).notebook
    return Place(
        f"{folder}/{notebook.name}",
        f"{folder}/{step.trio_files(item.trio)[0].name}",
        _section(notebook, item),
        _line(step, item),
    )


def _section(notebook: Path, item: Exercise | Milestone) -> str:
    """Return the id of the cell with the heading above an exercise's check; "" where there is none."""
    heading = ""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["id"].startswith("text-"):
            heading = cell["id"]
        if "".join(cell["source"]).strip() == f'check("{item.id}")':
            return heading
    return ""


def _line(step: Step, item: Exercise | Milestone) -> int:
    """Return the line of the learner's file where an exercise begins; 0 where it has none."""
    path, solution = step.trio_files(item.trio)
    if not path.is_file():
        return 0
    spans = find_spans(read_source(path)[0], item.targets, read_source(solution)[0])
    return min((spans[target].header for target in item.targets if target in spans), default=0)
