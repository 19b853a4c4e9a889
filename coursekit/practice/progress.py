"""What the course remembers of one learner: what is earned, solved for them, open; hints and answers.

It stands in `.course/progress.json` beside the steps. Writers take turns by a lock file, and the file is
replaced as a whole, so that a notebook, a watcher and a terminal may write at the same time and a crash
loses nothing.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from coursekit.practice.path import PATHS
from coursekit.registry import COURSE_ROOT

LOCK_SECONDS = 10
Value = TypeVar("Value", "Note", "Hunts")


class Standing(StrEnum):
    """How an exercise stands for this learner, from what was recorded; nothing is judged to tell it."""

    EARNED = "earned"
    SOLVED = "solved for you"
    OPEN = "open"


@dataclass
class Note:
    """What is remembered of one exercise: the code that passed (a hash), hints seen, and three times.

    `earned` is when the learner's own code passed, `solved` when the solution was put in (until it is
    reset), `seen` when it was put in for the first time.
    """

    earned: str | None = None
    solved: str | None = None
    seen: str | None = None
    body: str | None = None
    hints: int = 0

    @property
    def standing(self) -> Standing:
        if self.earned:
            return Standing.EARNED
        return Standing.SOLVED if self.solved else Standing.OPEN


@dataclass
class Hunts:
    """How the hunts for mistakes went: right at the first name in a row, now and at best, and in all.

    `last` is the mistake of the last one ("2.3a/no_scale"), so that the next is another.
    """

    streak: int = 0
    best: int = 0
    found: int = 0
    played: int = 0
    last: str = ""


@dataclass
class Progress:
    """Everything remembered. `path` is "quick", "core" or "all"; `answers` are the choices per question."""

    path: str = "core"
    exercises: dict[str, Note] = field(default_factory=dict)
    answers: dict[str, list[int]] = field(default_factory=dict)
    hunts: Hunts = field(default_factory=Hunts)

    def note(self, item_id: str) -> Note:
        """Return what is remembered of an exercise; a fresh note where nothing is."""
        return self.exercises.setdefault(item_id, Note())

    def standing(self, item_id: str) -> Standing:
        return self.exercises.get(item_id, Note()).standing

    @property
    def done(self) -> set[str]:
        """The exercises that need no more work: earned, or solved for the learner."""
        return {item_id for item_id, note in self.exercises.items() if note.standing is not Standing.OPEN}


Change = Callable[[Progress], None]


def progress_file(root: Path = COURSE_ROOT) -> Path:
    """Return where the progress of this copy of the course is kept."""
    return root / ".course" / "progress.json"


def load(root: Path = COURSE_ROOT) -> Progress:
    """Return what is remembered; nothing where there is no file yet or the file cannot be understood.

    A file that cannot be understood stays where it is until something is recorded; then it is set aside,
    not lost.
    """
    try:
        return _read(progress_file(root))
    except (OSError, ValueError, TypeError, AttributeError):
        return Progress()


def update(change: Change, root: Path = COURSE_ROOT) -> Progress:
    """Apply a change to what is remembered and keep it. Raises OSError where the folder cannot be written."""
    from filelock import FileLock

    path = progress_file(root)
    path.parent.mkdir(exist_ok=True)
    with FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS):
        try:
            progress = _read(path) if path.exists() else Progress()
        except (ValueError, TypeError, AttributeError):
            os.replace(path, path.with_name(f"progress.damaged-{stamp()}.json"))
            progress = Progress()
        change(progress)
        _write(path, json.dumps(_plain(progress), indent=1, ensure_ascii=False) + "\n")
    return progress


def stamp() -> str:
    """Return the local time to the second, in a form that may stand in a file name."""
    return datetime.now().strftime("%Y-%m-%dT%H-%M-%S")


def _read(path: Path) -> Progress:
    raw = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    notes = {item_id: _made(Note, note) for item_id, note in raw.get("exercises", {}).items()}
    path_name = raw.get("path", "core")
    answers = {question: [int(i) for i in choices] for question, choices in raw.get("answers", {}).items()}
    hunts = _made(Hunts, raw.get("hunts", {}))
    return Progress(path_name if path_name in PATHS else "core", notes, answers, hunts)


def _made(cls: type[Value], values: dict[str, Any]) -> Value:
    """Build a dataclass from what was written, without what it does not know."""
    known = {f.name for f in fields(cls)}
    return cls(**{name: value for name, value in values.items() if name in known})


def _plain(progress: Progress) -> dict[str, Any]:
    said = {item_id: note for item_id, note in progress.exercises.items() if note != Note()}
    return {"version": 1, **asdict(replace(progress, exercises=said))}


def _write(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="progress.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
