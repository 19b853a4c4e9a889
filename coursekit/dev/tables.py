"""What stands in READMEs between two marks: tables from the registry."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from coursekit.dev.example import example
from coursekit.dev.facts import claims, path_table, ratios, table, totals, variants, written
from coursekit.dev.notebook import BuildError
from coursekit.dev.questions import sections
from coursekit.dev.reference import command_table, signature_table
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
    (of the page's step), "goals" (what one can do at the page's end), "steps" (the whole course), "paths"
    (hours and exercises of each), "totals" (of the scoreboard), "written EVIDENCE" (by that run's model),
    "ratios EVIDENCE" (of the benchmark that it keeps), "variants EVIDENCE" (what it compared), "table
    EVIDENCE" (that it holds), "claims EVIDENCE" (and whether they held), "commands" (all of `course`),
    "signatures" (all that learners write), or "example ID MISTAKE" (what a check says to it; to the solution,
    for MISTAKE = solution).
    """
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    if "<!-- generated:" not in text:
        return None
    if len(_BLOCK.findall(text)) != text.count("<!-- generated:"):
        raise BuildError(f"{path.name} must end what is generated with <!-- end generated: NAME -->")

    def write(match: re.Match[str]) -> str:
        makers = _makers(path, root, match["arguments"])
        if match["name"] not in makers:
            raise BuildError(f"{path} must ask for a table that can be made here, got {match['name']!r}")
        made = makers[match["name"]]().rstrip("\n")
        return f"{match['begin']}\n{made}\n\n{match['end']}"

    return _BLOCK.sub(write, text)


def _makers(path: Path, root: Path, arguments: str) -> dict[str, Callable[[], str]]:
    """Return what can be made on this page: that of a step on its README and its chapters only."""
    steps = load_course(root)
    makers: dict[str, Callable[[], str]] = {
        "steps": lambda: step_table(list(steps), path),
        "paths": lambda: path_table(steps),
        "totals": lambda: totals(root),
        "written": lambda: written(arguments, root),
        "ratios": lambda: ratios(arguments, root),
        "variants": lambda: variants(arguments, root),
        "table": lambda: table(arguments, root),
        "claims": lambda: claims(arguments, root),
        "example": lambda: example(arguments, root),
        "commands": lambda: command_table(steps),
        "signatures": lambda: signature_table(steps, lambda writeup: _from_page(writeup, path, root)),
    }
    for step in steps:
        if path.parent == step.path or path in {chapter.source for chapter in step.chapters}:
            makers["exercises"] = lambda step=step: exercise_tables(step)  # type: ignore[misc]
            makers["goals"] = lambda step=step: goal_list(step, path)  # type: ignore[misc]
    return makers


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


def goal_list(step: Step, page: Path) -> str:
    """Return what one can do at the end of a page, each line with links to the sections that ask for it.

    At the end of a chapter, that is what the chapter asks for; elsewhere, what the step does.
    """
    is_chapter = page in {chapter.source for chapter in step.chapters}
    places: dict[str, tuple[str, str]] = {}
    for source, notebook in ((chapter.source, chapter.notebook.stem) for chapter in step.chapters):
        chapter = "" if source == page else posixpath.relpath(source.as_posix(), page.parent.as_posix())
        for section in sections(source.read_text(encoding="utf-8")):
            number = re.match(r"\d+\.\d+[a-z]?\b", section.heading.text)
            elsewhere = f" in {notebook}" if chapter else ""
            told = number[0] if number else section.heading.text + elsewhere
            places |= dict.fromkeys(
                (*section.asked, *section.checked), (told, f"{chapter}#{section.heading.anchor}")
            )
    lines = []
    for goal in step.goals:
        asked = sorted({places[name] for name in goal.asks if name in places})
        if is_chapter and not any(link.startswith("#") for _, link in asked):
            continue
        lines.append(f"- {goal.text} ({', '.join(f'[{told}]({link})' for told, link in asked)})")
    return "\n".join(lines) + "\n"


def _targets(exercise: Exercise) -> str:
    return ", ".join(f"`{target}`" for target in exercise.targets)


def _link(writeup: str, step: Step) -> str:
    """Return the way from the step's folder to a page that is named from the root."""
    return posixpath.relpath(writeup, step.folder)


def _from_page(writeup: str, page: Path, root: Path) -> str:
    """Return the way from a page to another that is named from the root."""
    return posixpath.relpath(writeup, page.parent.relative_to(root).as_posix())
