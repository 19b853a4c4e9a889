"""A small course without torch in a folder of its own, so that commands run as a learner's do, and fast."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from coursekit import registry
from coursekit.registry import Step, load_step
from coursekit.source import exercise_text, find_spans, stub_text

HERE = Path(__file__).parent
ENGINE = Path(registry.__file__).parent


@dataclass
class Course:
    """A copy of the engine with one step, and what its learner's file may hold."""

    root: Path
    step: Step
    stub: str
    solution: str

    @property
    def file(self) -> Path:
        return self.step.path / "model_exercise.py"

    def write(self, **bodies: str) -> None:
        """Save the stub with these bodies: `write(shout="return text", Echo__say="return text")`."""
        text = self.stub
        for name, body in bodies.items():
            target = name.replace("__", ".")
            span = find_spans(text, [target])[target]
            lines = text.split("\n")
            raises = next(i for i in range(span.header, span.last) if "raise " in lines[i])
            indent = lines[raises][: len(lines[raises]) - len(lines[raises].lstrip())]
            lines[raises : span.last] = [indent + line for line in body.split("\n")]
            text = "\n".join(lines)
        self.file.write_text(text, encoding="utf-8")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `course` with these arguments in the course's folder, without a terminal."""
        return self.python("-m", "coursekit.cli.app", *arguments, **environment)

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the course's folder."""
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=kept | {"PYTHONPATH": str(self.root), "PYTHONIOENCODING": "utf-8"} | environment,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="session")
def built_course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course as built once; its store of expected values is shared by all tests."""
    root = tmp_path_factory.mktemp("course")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ENGINE, root / "coursekit", ignore=ignored)
    shutil.copytree(HERE / "step7_words", root / "step7_words", ignore=ignored)
    step = load_step(root / "step7_words")
    text = (root / "step7_words" / "model_solution.py").read_text(encoding="utf-8")
    return Course(root, step, stub_text(text, step, "model"), exercise_text(text, step, "model"))


@pytest.fixture
def course(built_course: Course) -> Course:
    """The course with an untouched learner's file and nothing remembered."""
    state = built_course.root / ".course"
    for path in [*state.glob("progress*"), state / "backups"]:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
    built_course.write()
    return built_course


@pytest.fixture
def here(course: Course, monkeypatch: pytest.MonkeyPatch) -> Course:
    """The course as what this process takes for the course; the current folder is the step's."""
    monkeypatch.setattr(registry, "load_course", lambda root=None: (course.step,))
    monkeypatch.chdir(course.step.path)
    return course
