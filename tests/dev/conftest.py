"""A small whole course in a temporary folder, for tests of what authors use."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursekit.dev.build import build
from coursekit.dev.check import problems
from coursekit.dev.markdown import anchors_of
from coursekit.registry import load_course

STEP = "step9_toy"


class Course:
    """A course of one step, from which nothing has been generated yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8", newline="\n")
        self.forget()

    def change(self, name: str, old: str, new: str) -> None:
        """Replace the first such text in a file; it must be there."""
        text = self.read(name)
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def build(self, force: bool = False) -> list[str]:
        """Run `course dev build` and return the names of what was written."""
        written = build(self.root, force=force, say=lambda _: None)
        return [path.relative_to(self.root).as_posix() for path in written]

    def problems(self) -> list[str]:
        return list(problems(self.root))

    def forget(self) -> None:
        """Forget what was read and imported of this course, so that a change to its files counts."""
        load_course.cache_clear()
        anchors_of.cache_clear()
        for name in [name for name in sys.modules if name.split(".")[0] == STEP]:
            del sys.modules[name]


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Course]:
    """The small course, fresh."""
    root = tmp_path / "course"
    shutil.copytree(Path(__file__).parent / "course", root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    course = Course(root)
    course.forget()
    yield course
    course.forget()
