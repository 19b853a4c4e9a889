"""Where `python start.py` goes on: which step, at which section, at which line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit.lab import __main__ as way_in
from coursekit.lab.environment import Stop
from coursekit.lab.place import Place, place_in, step_to_open
from coursekit.registry import load_step
from coursekit.source import stub_text

HERE = Path(__file__).parent
FIRST, SECOND = "step7_words", "step8_toy"
Done = Callable[..., None]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of two steps, each exercise with a section of its tutorial."""
    for source, folder in ((HERE / "cli" / FIRST, FIRST), (HERE / "toy", SECOND)):
        shutil.copytree(source, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
        step = load_step(tmp_path / folder)
        solution = (step.path / "model_solution.py").read_text(encoding="utf-8")
        (step.path / "model_exercise.py").write_text(stub_text(solution, step, "model"), encoding="utf-8")
        cells = [{"id": "before", "source": ["# A step"]}]
        for item in step.items:
            cells.append({"id": f"text-{item.id}", "source": ["## Its\n", "section"]})
            cells.append({"id": f"play-{item.id}", "source": ["mine"]})
            cells.append({"id": f"check-{item.id}", "source": [f'check("{item.id}")']})
        (step.path / "tutorial.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def done(course: Path) -> Done:
    """Return a function that writes down which exercises are passed: `done("7.1a", path="all")`."""

    def write(*ids: str, path: str = "core") -> None:
        folder = course / ".course"
        folder.mkdir(exist_ok=True)
        notes = {item_id: {"earned": "2026-01-01T10-00-00"} for item_id in ids}
        text = json.dumps({"path": path, "exercises": notes})
        (folder / "progress.json").write_text(text, encoding="utf-8")

    return write


def all_of(course: Path, folder: str) -> list[str]:
    return [item.id for item in load_step(course / folder).items]


def test_the_step_that_opens_is_the_one_where_the_learner_goes_on(course: Path, done: Done) -> None:
    assert step_to_open(course) == FIRST, "nobody has begun: in order"
    done("7.1a")
    assert step_to_open(course) == FIRST
    done(*all_of(course, FIRST))
    assert step_to_open(course) == SECOND
    done("8.1")
    assert step_to_open(course) == SECOND, "steps stand alone: this learner began with the second"
    done("7.1a", "8.1")
    assert step_to_open(course) == FIRST
    done(*all_of(course, FIRST), *all_of(course, SECOND))
    assert step_to_open(course) == FIRST, "everything is done: in order"


def test_what_lies_beside_the_path_does_not_hold_the_learner(course: Path, done: Done) -> None:
    toml = course / SECOND / "exercises.toml"
    text = toml.read_text(encoding="utf-8").replace("needs = []", "quick = true\nneeds = []", 1)
    toml.write_text(text, encoding="utf-8")
    for path, folder, cell in (("quick", SECOND, ""), ("core", FIRST, "text-7.1b")):
        done("7.1a", "7.2", path=path)
        assert step_to_open(course) == folder
        assert place_in(FIRST, course).cell == cell


def test_a_step_opens_at_the_section_and_the_line_of_its_first_open_exercise(
    course: Path, done: Done
) -> None:
    file = course / FIRST / "model_exercise.py"
    start = Place(f"{FIRST}/tutorial.ipynb", f"{FIRST}/model_exercise.py")
    assert place_in(FIRST, course) == start
    done("7.1a")
    place = place_in(FIRST, course)
    assert (place.notebook, place.file, place.cell) == (start.notebook, start.file, "text-7.1b")
    assert file.read_text(encoding="utf-8").splitlines()[place.line - 1].startswith("def ")
    file.write_text("x = (\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert place_in(FIRST, course).cell == "text-7.1b"
    file.unlink()
    assert place_in(FIRST, course).line == 0
    done(*all_of(course, FIRST))
    assert place_in(FIRST, course) == start


def test_damaged_progress_opens_the_first_step_at_its_top(course: Path, done: Done) -> None:
    done("8.1")
    for damage in ("", "[]", "{", '{"exercises": 3}'):
        (course / ".course" / "progress.json").write_text(damage, encoding="utf-8")
        assert step_to_open(course) == FIRST, damage
        assert place_in(FIRST, course).cell == "", damage


def test_start_py_goes_on_by_itself_and_a_named_step_comes_before(
    course: Path, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way_in, "ROOT", course)
    became = []
    monkeypatch.setattr(way_in, "python_with", lambda *_: "python")
    monkeypatch.setattr(way_in, "become", lambda python, *arguments: became.append(arguments[2]) or 0)
    monkeypatch.setattr(way_in.signal, "signal", lambda *_: None)
    done("8.1")
    assert [way_in.main(words) for words in ([], ["--step", "7"], ["--step", "8"])] == [0, 0, 0]
    assert became == [SECOND, FIRST, SECOND]
    with pytest.raises(Stop, match=r"\(step7_words, step8_toy\), got '9'"):
        way_in.step_folder("9")
