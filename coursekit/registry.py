"""What the course asks, read from each step's `exercises.toml`: steps, exercises, milestones, questions.

Reading needs neither torch nor any file of a step but its TOML, so that `course list` answers at once.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from coursekit.contents import Choice, Entry, Exercise, Goal, Milestone, PartialCredit, Question

__all__ = [
    "COURSE_ROOT",
    "Chapter",
    "Choice",
    "Entry",
    "Exercise",
    "Goal",
    "Milestone",
    "PartialCredit",
    "Question",
    "RegistryError",
    "Step",
    "UnknownName",
    "find_item",
    "find_step",
    "load_course",
    "load_step",
]
COURSE_ROOT = Path(__file__).resolve().parent.parent


class RegistryError(Exception):
    """An `exercises.toml` that says something impossible; the message is one sentence for the author."""


class UnknownName(Exception):
    """A name on the command line or in a notebook that no step knows; the message says what there is."""


@dataclass(frozen=True)
class Chapter:
    """A part of a step's text: its Markdown source, the notebook built from it, and the trio it asks for."""

    source: Path
    notebook: Path
    trio: str


@dataclass(frozen=True)
class Step:
    """One step folder and everything its `exercises.toml` says."""

    folder: str
    number: int
    title: str
    question: str
    tutorial: str
    exercises: tuple[Exercise, ...]
    milestones: tuple[Milestone, ...]
    questions: tuple[Question, ...] = ()
    goals: tuple[Goal, ...] = ()
    entries: tuple[Entry, ...] = ()
    root: Path = field(default=COURSE_ROOT, compare=False)

    @property
    def path(self) -> Path:
        return self.root / self.folder

    @property
    def items(self) -> tuple[Exercise | Milestone, ...]:
        """Exercises, then milestones: everything that can be checked."""
        return (*self.exercises, *self.milestones)

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        """The step's chapters in the order of reading: `NAME.md`, then `NAME_PART.md`, "further" last.

        `NAME.md` becomes `tutorial.ipynb`, `NAME_PART.md` becomes `PART_tutorial.ipynb`.
        """
        first = self.root / self.tutorial
        more = sorted(first.parent.glob(f"{first.stem}_*.md"), key=lambda p: (p.stem.endswith("_further"), p))
        return tuple(self._chapter(source.stem) for source in (first, *more) if source.exists())

    def chapter_of(self, item: Exercise | Milestone) -> Chapter:
        """Return the chapter that asks for an item: the one its write-up leads to, else its trio's."""
        first = Path(self.tutorial)
        stem = Path(item.writeup.partition("#")[0]).stem
        if stem != first.stem and not stem.startswith(f"{first.stem}_"):
            stem = first.stem if item.trio == "model" else f"{first.stem}_{item.trio}"
        return self._chapter(stem)

    def _chapter(self, stem: str) -> Chapter:
        first = self.root / self.tutorial
        part = stem.removeprefix(first.stem).removeprefix("_")
        notebook = self.path / (f"{part}_tutorial.ipynb" if part else "tutorial.ipynb")
        return Chapter(first.with_name(f"{stem}.md"), notebook, "further" if part == "further" else "model")

    def trio_files(self, trio: str) -> tuple[Path, Path]:
        """Return the learner's file and the solution of a trio ("model" or "further")."""
        return self.path / f"{trio}_exercise.py", self.path / f"{trio}_solution.py"

    def of_trio(self, trio: str) -> tuple[Exercise, ...]:
        """Return the exercises whose bodies stand in the trio's file."""
        return tuple(e for e in self.exercises if e.trio == trio)


def load_step(path: Path) -> Step:
    """Read a step folder's `exercises.toml`. Raises RegistryError with a sentence for the author."""
    toml = path / "exercises.toml"
    try:
        raw = tomllib.loads(toml.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RegistryError(f"{toml}: not valid TOML: {error}") from None
    where = f"{path.name}/exercises.toml"
    head = raw.pop("step", None)
    if head is None:
        raise RegistryError(f"{where} must have a [step] table, got none")
    groups = {
        "exercise": [_exercise(entry, where, path.name) for entry in raw.pop("exercise", [])],
        "milestone": [_make(Milestone, entry, where, step=path.name) for entry in raw.pop("milestone", [])],
        "question": [_question(entry, where, path.name) for entry in raw.pop("question", [])],
        "goal": [_make(Goal, entry, where) for entry in raw.pop("goal", [])],
    }
    entries = [
        _make(Entry, entry, where, kind=kind, step=path.name)
        for kind in ("command", "benchmark", "evidence")
        for entry in raw.pop(kind, [])
    ]
    if raw:
        raise RegistryError(f"{where} must hold only tables the course knows, got [{next(iter(raw))}]")
    step = _make(
        Step,
        head,
        where,
        folder=path.name,
        exercises=tuple(groups["exercise"]),
        milestones=tuple(groups["milestone"]),
        questions=tuple(groups["question"]),
        goals=tuple(groups["goal"]),
        entries=tuple(entries),
        root=path.parent,
    )
    ids = [item.id for item in step.items]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise RegistryError(f"{where} must use each id once, got {twice} twice")
    return step


def _make(cls: type, entry: dict[str, Any], where: str, **known: Any) -> Any:
    """Build a dataclass from a TOML table: every key known, every required one there, lists made tuples."""
    names = {f.name for f in fields(cls)}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()} | known
    title = entry.get("id", entry.get("name", entry.get("text", "[step]")))
    if unknown := set(values) - names:
        raise RegistryError(f"{where}: {title} has a key {min(unknown)!r} that the course does not know")
    try:
        return cls(**values)
    except TypeError as error:
        missing = re.findall(r"'(\w+)'", str(error))
        raise RegistryError(f"{where}: {title} must also say {', '.join(missing)}") from None


def _exercise(entry: dict[str, Any], where: str, step: str) -> Exercise:
    known: dict[str, Any] = {"step": step}
    if "partial" in entry:
        known["partial"] = _make(PartialCredit, entry["partial"], where)
    return _make(Exercise, {k: v for k, v in entry.items() if k != "partial"}, where, **known)


def _question(entry: dict[str, Any], where: str, step: str) -> Question:
    choices = tuple(_make(Choice, choice, where) for choice in entry.get("choices", []))
    return _make(
        Question, {k: v for k, v in entry.items() if k != "choices"}, where, choices=choices, step=step
    )


@cache
def load_course(root: Path = COURSE_ROOT) -> tuple[Step, ...]:
    """Return the steps that have an `exercises.toml`, in order of their numbers."""
    steps = [load_step(path.parent) for path in sorted(root.glob("step*/exercises.toml"))]
    return tuple(sorted(steps, key=lambda step: step.number))


def find_item(item_id: str, root: Path = COURSE_ROOT) -> tuple[Step, Exercise | Milestone]:
    """Return the exercise or milestone of this id with its step. Raises UnknownName, saying which ids there
    are.
    """
    for step in load_course(root):
        for item in step.items:
            if item.id == item_id:
                return step, item
    ids = ", ".join(item.id for step in load_course(root) for item in step.items)
    raise UnknownName(f"there is no exercise {item_id!r}; there are {ids}")


def find_step(name: str, root: Path = COURSE_ROOT) -> Step:
    """Return the step named by folder ("step2_model"), prefix ("step2") or number ("2"). Raises
    UnknownName.
    """
    for step in load_course(root):
        if name.rstrip("/") in (step.folder, f"step{step.number}", str(step.number)):
            return step
    raise UnknownName(
        f"there is no step {name!r} with exercises; there is {', '.join(s.folder for s in load_course(root))}"
    )
