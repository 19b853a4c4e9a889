"""A class of learners for the tests: a toy course with a notebook, and what a teacher does with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from coursekit.classroom.build import build
from coursekit.classroom.scores import grade_ids
from coursekit.dev.notebook import nbgrader_metadata
from coursekit.registry import find_step
from coursekit.source import exercise_text, stub_text

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="package")
def course(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The toy course with a notebook: a setup cell, a check cell for each exercise, all solved."""
    course = type(toy)(tmp_path_factory.mktemp("taught"))
    cells = [new_code_cell("from coursekit import check, learner\nmine = learner()")]
    for item in course.step.items:
        kind = nbgrader_metadata(item)
        cells.append(new_code_cell(f'check("{item.id}")', metadata={"nbgrader": kind}))
    notebook = new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    nbformat.write(notebook, course.step.path / "tutorial.ipynb")
    (course.step.path / "model_exercise.py").write_text(course.solution, encoding="utf-8")
    return course


class Room:
    """A class: its folder, and the programs that a teacher runs in it, without an activated environment."""

    def __init__(self, home: Path, step: str, points: int) -> None:
        self.folder = home / "class"
        self.step = step
        self.points = points
        places = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        self.environment = (
            os.environ
            | places
            | {
                "HOME": str(home),
                "IPYTHONDIR": str(home / "ipython"),
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
            }
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run Python with these arguments in the course directory and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def course(self, *arguments: str, status: int = 0) -> str:
        return self.run("-m", "coursekit.cli.app", "classroom", *arguments, "--dir", ".", status=status)

    def scores(self, told: str) -> dict[str, tuple[str, str]]:
        """Return score and note of each student, from what `course classroom` printed."""
        rows = re.findall(rf"^(\S+) +(\S+) of {self.points} *(.*)$", told, re.MULTILINE)
        return {student: (score, note) for student, score, note in rows}

    def hand_in(
        self,
        student: str,
        text: str | Mapping[str, str] | None,
        notebook: str | Any | None = "as released",
    ) -> None:
        """Put a submission where nbgrader collects it: the exercise file, or several by name."""
        place = self.folder / "submitted" / student / self.step
        place.mkdir(parents=True)
        files = {"model_exercise.py": text} if isinstance(text, str) else text or {}
        for name, content in files.items():
            (place / name).write_text(content, encoding="utf-8")
        if notebook == "as released":
            for path in (self.folder / "release" / self.step).glob("*.ipynb"):
                shutil.copy(path, place)
        elif notebook is not None:
            told = notebook if isinstance(notebook, str) else json.dumps(notebook)
            (place / "tutorial.ipynb").write_text(told, encoding="utf-8")

    def released(self) -> Any:
        return json.loads(
            (self.folder / "release" / self.step / "tutorial.ipynb").read_text(encoding="utf-8")
        )


@pytest.fixture(scope="package")
def new_room(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Room]:
    """Make a class in a folder of its own, for the step of this name with these points."""
    return lambda step, points: Room(tmp_path_factory.mktemp("home"), step, points)


class Taught:
    """A step of the course in a class: released, with its files as stubs and as whole solutions, by name."""

    def __init__(self, number: str, new_room: Callable[[str, int], Room]) -> None:
        self.step = find_step(number)
        self.points = {trio: sum(e.points for e in self.step.of_trio(trio)) for trio in ("model", "further")}
        self.stubs: dict[str, str] = {}
        self.solutions: dict[str, str] = {}
        for trio in self.points:
            file, solution = self.step.trio_files(trio)
            source = solution.read_text(encoding="utf-8")
            self.solutions[file.name] = exercise_text(source, self.step, trio)
            self.stubs[file.name] = stub_text(source, self.step, trio)
        self.room = new_room(self.step.folder, sum(self.points.values()))
        list(build(self.room.folder))
        self.room.run("-m", "nbgrader", "generate_assignment", self.step.folder)

    def grade(self, handed_in: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
        """Return the score of each student, who handed in these files."""
        for student, files in handed_in.items():
            self.room.hand_in(student, files)
        told = self.room.course("grade", self.step.folder)
        return {student: float(score) for student, (score, _) in self.room.scores(told).items()}

    def scores_of(self, student: str) -> dict[str, float]:
        """Return what the gradebook holds for a student, by the id of the exercise."""
        from nbgrader.api import Gradebook

        ids = grade_ids()
        with Gradebook(f"sqlite:///{self.room.folder / 'gradebook.db'}") as book:
            submission = book.find_submission(self.step.folder, student)
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            return {ids[grade.name]: grade.auto_score for grade in grades}


@pytest.fixture(scope="package")
def teach(new_room: Callable[[str, int], Room]) -> Callable[[str], Taught]:
    """Return what teaches a step of the course, by its number, to a class of its own."""
    return lambda number: Taught(number, new_room)
