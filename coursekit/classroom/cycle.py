"""Grade what was handed in, one submission after the other, and say where each stands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coursekit.classroom.build import CONFIG, ClassroomError
from coursekit.classroom.scores import PREFIX
from coursekit.classroom.settings import LEARNER_FILES


@dataclass(frozen=True)
class Row:
    """How one submission stands: its score, None where it is not graded, and what is to be said about it."""

    student: str
    score: float | None
    points: float
    note: str = ""


class Classroom:
    """A course directory that `course classroom build` made. Raises ClassroomError where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if not (self.folder / CONFIG).is_file():
            raise ClassroomError(f"there is no classroom in {folder}: run course classroom build {folder}")
        from nbgrader.apps.api import NbGraderAPI
        from traitlets.config.loader import PyFileConfigLoader

        config = PyFileConfigLoader(CONFIG, path=str(self.folder)).load_config()
        self.api = NbGraderAPI(config=config)

    def students(self, step: str) -> list[str]:
        """Return who handed the step in, in order of their names."""
        return sorted(p.parent.name for p in self.folder.glob(f"submitted/*/{step}") if p.is_dir())

    def steps(self) -> list[str]:
        """Return the steps that can be handed out."""
        return sorted(p.name for p in self.folder.glob("source/*") if p.is_dir())

    def grade(self, step: str, students: Sequence[str] = (), again: bool = False) -> Iterator[Row]:
        """Grade submissions that are new or changed, all with `again`; one that fails stops no other.

        Raises ClassroomError where the step was not generated or a student handed nothing in.
        """
        self._be_released(step)
        there = self.students(step)
        if missing := [student for student in students if student not in there]:
            raise ClassroomError(
                f"submitted/ must hold a folder {missing[0]}/{step}, got {', '.join(there) or 'nobody'}"
            )
        for student in students or there:
            if again or self.is_due(step, student):
                yield self._grade_one(step, student)
            else:
                yield self.row(step, student, "graded before")

    def is_due(self, step: str, student: str) -> bool:
        """Tell whether a submission is not graded yet, or was changed since."""
        submitted, graded = (self.folder / stage / student / step for stage in ("submitted", "autograded"))
        if self.row(step, student).score is None:
            return True
        # By content, because files that nbgrader collects keep the time of the learner's last edit.
        for name in (*LEARNER_FILES, "timestamp.txt"):
            if _content(submitted / name) != _content(graded / name):
                return True
        notebooks = [(path, graded / path.name) for path in submitted.glob("*.ipynb")]
        return any(new.stat().st_mtime > old.stat().st_mtime for new, old in notebooks if old.exists())

    def row(self, step: str, student: str, note: str = "") -> Row:
        """Return what the gradebook says about a submission."""
        from nbgrader.api import MissingEntry

        with self.api.gradebook as gradebook:
            points = gradebook.find_assignment(step).max_score
            try:
                submission = gradebook.find_submission(step, student)
            except MissingEntry:
                return Row(student, None, points, _joined(note, "not graded yet"))
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            left = [g.name for g in grades if g.name.startswith(PREFIX) and g.auto_score is None]
            open_marks = [g.name for g in grades if g.needs_manual_grade and g.name not in left]
            if left or not (self.folder / "autograded" / student / step).is_dir():
                return Row(student, None, points, _joined(note, f"no score for {', '.join(left) or 'it'}"))
            if open_marks:
                note = _joined(note, f"for you to look at: {', '.join(open_marks)}")
            return Row(student, submission.score, submission.max_score, note)

    def _grade_one(self, step: str, student: str) -> Row:
        note = self._complete(step, student)
        result = self.api.autograde(step, student, force=True)
        row = self.row(step, student, note)
        if result["success"] and row.score is not None:
            return row
        log = str(result.get("error") or result.get("log") or "").strip().splitlines()
        why = self._first_error(step, student) if result["success"] else "".join(log[-1:]).strip()
        see = f"nbgrader autograde {step} --student {student} --force tells more"
        return Row(student, None, row.points, f"not graded: {why or row.note} ({see})")

    def _first_error(self, step: str, student: str) -> str:
        """Return what the first check that could not be judged says."""
        for path in (self.folder / "autograded" / student / step).glob("*.ipynb"):
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            errors = [o for cell in cells for o in cell.get("outputs", []) if o["output_type"] == "error"]
            if errors:
                return str(errors[0]["traceback"][-1])
        return ""

    def _complete(self, step: str, student: str) -> str:
        """Put the released notebook where a submission has none: one file, the learner's, is enough."""
        submitted = self.folder / "submitted" / student / step
        released = self.folder / "release" / step
        notes = []
        for notebook in sorted(released.glob("*.ipynb")):
            if not (submitted / notebook.name).exists():
                shutil.copyfile(notebook, submitted / notebook.name)
                notes.append(f"handed in without {notebook.name}")
        for exercise in sorted(released.glob("*_exercise.py")):
            if not (submitted / exercise.name).is_file():
                notes.append(f"handed in without {exercise.name}")
        return _joined(*notes)

    def _be_released(self, step: str) -> None:
        if step not in self.steps():
            raise ClassroomError(
                f"the classroom must have source/{step}, got {', '.join(self.steps()) or 'no step'}"
            )
        if not any((self.folder / "release" / step).glob("*.ipynb")):
            raise ClassroomError(
                f"{step} was not generated yet: in {self.folder} run nbgrader generate_assignment {step}"
            )


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
