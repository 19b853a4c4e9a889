"""What stands in READMEs between two marks: tables from the registry."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from coursekit.dev.example import example
from coursekit.dev.notebook import BuildError
from coursekit.registry import Exercise, Step, load_course

_BLOCK = re.compile(
    r"(?P<begin><!-- generated: (?P<name>\w+)(?P<arguments>[^>\n]*) -->\n).*?"
    r"(?P<end><!-- end generated: (?P=name) -->)",
    re.DOTALL,
)
STARS = "★★★★★"


def with_tables(path: Path, root: Path) -> str | None:
    """Return the page with every generated table as it should be, or None if it has none.

    A table stands between `<!-- generated: NAME -->` and `<!-- end generated: NAME -->`; NAME is "exercises"
    (of the step whose folder the page is in), "steps" (the whole
    course), or "example ID MISTAKE" (what a check says to it).
    """
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    if "<!-- generated:" not in text:
        return None
    if len(_BLOCK.findall(text)) != text.count("<!-- generated:"):
        raise BuildError(f"{path.name} must end what is generated with <!-- end generated: NAME -->")
    steps = {step.folder: step for step in load_course(root)}

    def write(match: re.Match[str]) -> str:
        makers: dict[str, Callable[[], str]] = {
            "exercises": lambda: exercise_tables(steps[path.parent.name]),
            "steps": lambda: step_table(list(steps.values()), path),
            "example": lambda: example(match["arguments"], root),
        }
        if match["name"] not in makers or (match["name"] == "exercises" and path.parent.name not in steps):
            raise BuildError(f"{path} must ask for a table that can be made here, got {match['name']!r}")
        made = makers[match["name"]]().rstrip("\n")
        return f"{match['begin']}\n{made}\n\n{match['end']}"

    return _BLOCK.sub(write, text)


def exercise_tables(step: Step) -> str:
    """Return a table for each trio of the step, and one of its milestones."""
    parts = []
    for trio in dict.fromkeys(exercise.trio for exercise in step.exercises):
        exercises = step.of_trio(trio)
        rows = [
            f"| {e.id} | [{e.title}]({_link(e.writeup, step)}) | {_targets(e)} | {e.minutes} "
            f"| {STARS[: e.difficulty]} | {e.points} | {'yes' if e.quick else ''} |"
            for e in exercises
        ]
        total = f"| | {len(exercises)} exercises | | {sum(e.minutes for e in exercises)} | "
        total += f"| {sum(e.points for e in exercises)} | {sum(e.quick for e in exercises)} |"
        head = f"| | In `{trio}_exercise.py` | You write | Minutes | Difficulty | Points | Quick path |"
        parts.append("\n".join([head, "|---|---|---|--:|---|--:|---|", *rows, total]))
    if step.milestones:
        rows = [f"| {m.id} | [{m.title}]({_link(m.writeup, step)}) | {m.promise} |" for m in step.milestones]
        parts.append("\n".join(["| | Milestone | What it shows |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def step_table(steps: list[Step], page: Path) -> str:
    """Return one row for each step that has exercises: its question, its exercises, its hours."""
    rows = []
    for step in steps:
        core = step.of_trio("model")
        hours = sum(e.minutes for e in core) / 60
        link = posixpath.relpath((step.path / "README.md").as_posix(), page.parent.as_posix())
        rows.append(
            f"| {step.number} | [{step.title}]({link}) | {step.question} | {len(core)} | {hours:.1f} |"
        )
    return "\n".join(["| Step | | The question | Exercises | Hours |", "|---|---|---|--:|--:|", *rows]) + "\n"


def _targets(exercise: Exercise) -> str:
    return ", ".join(f"`{target}`" for target in exercise.targets)


def _link(writeup: str, step: Step) -> str:
    """Return the way from the step's folder to a page that is named from the root."""
    return posixpath.relpath(writeup, step.folder)
