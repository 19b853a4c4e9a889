"""docs/authoring.md is walked through with its own blocks: an exercise comes, is audited, and goes again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.registry import COURSE_ROOT

PAGE = COURSE_ROOT / "docs" / "authoring.md"
SOLUTION, CHAPTER = "step2_model/model_solution.py", "docs/tutorials/step2_model.md"
TOML, STUB = "step2_model/exercises.toml", "step2_model/model_exercise.py"
CHECK, MISTAKES = "step2_model/checks/bits_per_byte.py", "step2_model/mistakes/bits_per_byte.py"


def blocks(language: str) -> list[str]:
    """Return the page's blocks in a language; the chapter's section stands in a longer fence."""
    found = re.findall(
        r"^(`{3,})(\w+)\n(.*?)^\1$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [text for _, name, text in found if name == language]


STEPS = tuple(path.parent.name for path in sorted(COURSE_ROOT.glob("step*/exercises.toml")))


class Copy:
    """A copy of the course in which commands run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("coursekit", *STEPS, "docs"):
            shutil.copytree(COURSE_ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8", newline="\n")

    def insert(self, name: str, text: str, before: str) -> None:
        whole = self.read(name)
        assert whole.count(before) == 1
        self.write(name, whole.replace(before, text + before))

    def course(self, *arguments: str) -> tuple[int, str]:
        environment = os.environ | {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        command = [sys.executable, "-m", "coursekit.cli.app", *arguments]
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    def everything(self) -> dict[str, bytes]:
        folders = (*STEPS, "docs")
        files = [path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files if "__pycache__" not in path.parts}


@pytest.mark.slow
def test_the_page_adds_an_exercise_and_takes_it_out_again(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.course("dev", "build", "--force")
    before = copy.everything()

    begin, build = (text.split("\n")[0].split()[1:] for text in blocks("sh"))
    assert copy.course(*begin)[0] == 0
    solution, check, mistakes = blocks("py")
    (entry, questions), (section,) = blocks("toml"), blocks("markdown")
    sources = {name: copy.read(name) for name in (SOLUTION, TOML, CHAPTER)}
    copy.insert(SOLUTION, solution + "\n\n", "def count_parameters(")
    copy.write(
        TOML,
        re.sub(r'\[\[exercise\]\]\nid = "2.4f".*?\n\]\n', lambda _: entry, sources[TOML], flags=re.DOTALL),
    )
    copy.insert(TOML, questions + "\n", "# What one can do at the end")
    copy.insert(CHAPTER, section + "\n", "## 2.4e ")
    copy.write(CHECK, check)
    copy.write(MISTAKES, mistakes)

    status, told = copy.course(*build)
    assert status == 0, told
    assert "exercise 2.4f is not written yet" in copy.read(STUB)
    status, told = copy.course("dev", "audit", "2.4f", "--seeds", "3")
    assert status == 0, told
    told = copy.course("dev", "check")[1].replace("docs/checks.md must say of 2.4f", "")
    assert "docs/" in told or "Nothing is missing" in told
    assert "Traceback" not in told
    assert "2.4f" not in told
    assert "not started" in copy.course("check", "2.4f")[1]

    for name, text in sources.items():
        copy.write(name, re.sub(r'\[\[exercise\]\]\nid = "2.4f".*?\n\]\n\n', "", text, flags=re.DOTALL))
    (copy.root / CHECK).unlink()
    (copy.root / MISTAKES).unlink()
    copy.course("dev", "build")
    assert copy.everything() == before
