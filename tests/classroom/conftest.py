"""A class of learners for the tests: a toy course with a notebook, and what a teacher does with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from coursekit.dev.notebook import nbgrader_metadata

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="package", autouse=True)
def environment_as_it_was() -> Iterator[None]:
    """Grading prepares the environment of its process, which here is also that of every later test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


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
