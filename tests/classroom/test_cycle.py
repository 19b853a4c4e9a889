"""A class through the whole cycle with nbgrader: what was handed in, and exactly what each of them got."""

from __future__ import annotations

import contextlib
import csv
import re
import sqlite3
import sys
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from coursekit.classroom.build import build
from coursekit.classroom.canonical import SKIP
from coursekit.source import solve

STEP = "step8_toy"
POINTS = 11
DOUBLES_WITH_NOISE = """
    import sys, warnings
    warnings.warn("a word that nobody should pay for")
    print("another", file=sys.stderr)
    return x + x
"""
TRICK = "import torch\ntorch.equal = torch.allclose = lambda *a, **k: True"


def of_exercise(notebook: Any) -> list[Any]:
    """Return the graded cells of a notebook."""
    return [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]


def with_every_trick(notebook: Any) -> Any:
    """Return a notebook whose graded cells show 999, are skipped, or come after a cell that cheats."""
    for cell, source in zip(of_exercise(notebook), ["999", "print(999)", "raise SystemExit"]):
        cell["source"] = source
    for cell in of_exercise(notebook)[3:]:
        cell["metadata"]["tags"] = [SKIP]
    notebook["cells"][0]["metadata"]["tags"] = ["anything"]
    trick = {"cell_type": "code", "source": TRICK, "metadata": {}, "outputs": [], "execution_count": 1}
    notebook["cells"].insert(0, trick | {"id": "trick"})
    return notebook


def with_damage(notebook: Any) -> Any:
    """Return a notebook with what happens by accident: doubled, deleted, stripped, of another version."""
    graded = of_exercise(notebook)
    notebook["cells"] += [dict(graded[0], id="again"), dict(graded[1], id="once-more")]
    graded[2]["metadata"]["nbgrader"]["schema_version"] = 99
    del graded[3]["metadata"]["nbgrader"]
    notebook["cells"].remove(graded[4])
    notebook["cells"].remove(notebook["cells"][0])
    return notebook


EXCHANGE = """
import os, sys
from pathlib import Path
from coursekit.classroom.cycle import Classroom

api = Classroom(Path(".")).api
released = api.release_assignment("step8_toy")
assert released["success"], released
os.chdir(sys.argv[1])
api.coursedir.assignment_id = "step8_toy"
sides = {"coursedir": api.coursedir, "authenticator": api.authenticator, "parent": api}
api.exchange.FetchAssignment(**sides).start()
Path("step8_toy/model_exercise.py").write_bytes(Path("mine.py").read_bytes())
api.exchange.Submit(**sides).start()
collected = api.collect("step8_toy")
assert collected["success"], collected
"""


@pytest.fixture(scope="module")
def room(course: Any, new_room: Any) -> Any:
    """A class through the whole cycle: built, generated, released, handed in, graded, told, exported."""
    room = new_room(STEP, POINTS)
    home = room.folder.parent
    said = "\n".join(build(room.folder, course.root))
    with (room.folder / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(
            f"c.Exchange.root = {str(home / 'exchange')!r}\nc.Exchange.cache = {str(home / 'cache')!r}\n"
        )
    for name in ("exchange", "cache", "learner"):
        (home / name).mkdir()
    (home / "exchange").chmod(0o777)
    room.run("-m", "nbgrader", "generate_assignment", STEP)
    (home / "learner" / "mine.py").write_text(course.solution, encoding="utf-8")
    room.run("-c", EXCHANGE, str(home / "learner"))
    _hand_in_the_others(room, course)
    graded = room.course("grade", STEP)
    room.run("-m", "nbgrader", "generate_feedback", STEP, "--student", "broken")
    room.run("-m", "nbgrader", "export", "--to", "grades.csv")
    with (room.folder / "grades.csv").open(encoding="utf-8") as file:
        table = {row["student_id"]: row for row in csv.DictReader(file)}
    return SimpleNamespace(room=room, said=said, graded=graded, scores=room.scores(graded), table=table)


def _hand_in_the_others(room: Any, course: Any) -> None:
    write = course.with_bodies
    room.hand_in("untouched", course.stub)
    room.hand_in("file-alone", course.solution, None)
    other = write(
        double="return x * SCALE",
        total="import functools, operator\nreturn functools.reduce(operator.add, items)",
        normalize="return F.normalize(x, p=1, dim=-1)",
        shuffled="return list(reversed(items))",
    )
    room.hand_in("other-styles", other, with_damage(room.released()))
    half = solve(course.stub, course.solution, ["double", "total"])
    half = solve(half, write(normalize="return x / x.sum(dim=-1, keepdim=True)"), ["normalize"])
    room.hand_in("half-done", half, '{"cells": [ this is no JSON')
    room.hand_in("noisy", write(double=DOUBLES_WITH_NOISE))
    broken = write(double="return (x", total="import os\nos._exit(0)", bundle="while True:\n    pass")
    room.hand_in("broken", broken)
    room.hand_in("trickster", course.stub, with_every_trick(room.released()))
    room.hand_in("empty-handed", None)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nbgrader's exchange needs a Unix file system")
class TestTheCycle:
    """One class through build, generate, exchange, grade, feedback and export; what each of them got."""

    def test_what_is_handed_out_holds_no_solution_and_no_work_of_the_teacher(
        self, room: Any, course: Any
    ) -> None:
        for stage in ("source", "release"):
            folder = room.room.folder / stage
            handed_out = {path.name: path for path in folder.rglob("*") if path.is_file()}
            assert sorted(handed_out) == ["model_exercise.py", "tutorial.ipynb"]
            assert handed_out["model_exercise.py"].read_text("utf-8") == course.stub
        assert f"  next: nbgrader generate_assignment {STEP}" in room.said

    @pytest.mark.parametrize(
        ("student", "score"),
        [
            ("untouched", "0"),
            ("file-alone", "11"),
            ("other-styles", "11"),
            ("half-done", "4"),
            ("noisy", "11"),
            ("broken", "7"),
            ("trickster", "0"),
            ("empty-handed", "0"),
        ],
    )
    def test_each_submission_has_exactly_its_points(self, room: Any, student: str, score: str) -> None:
        assert room.scores[student][0] == score, room.graded
        assert float(room.table[student]["score"]) == float(score)
        assert float(room.table[student]["max_score"]) == POINTS

    def test_what_came_through_the_exchange_is_graded_too(self, room: Any) -> None:
        (collected,) = room.scores.keys() - {
            "untouched",
            "file-alone",
            "other-styles",
            "half-done",
            "noisy",
            "broken",
            "trickster",
            "empty-handed",
        }
        assert room.scores[collected][0] == "11"
        assert "9 of 9 graded" in room.graded

    def test_what_was_not_handed_in_is_said(self, room: Any) -> None:
        assert room.scores["file-alone"][1] == "handed in without tutorial.ipynb"
        assert room.scores["empty-handed"][1] == "handed in without model_exercise.py"

    def test_the_feedback_says_what_is_wrong_and_shows_nothing_of_the_grader(self, room: Any) -> None:
        page = (room.room.folder / "feedback" / "broken" / STEP / "tutorial.html").read_text(encoding="utf-8")
        text = re.sub(r"<[^>]+>", "", page)
        assert "No answer after 2 seconds" in text
        assert "ended the process itself" in text
        assert "was never closed" in text
        assert "Traceback (most recent" not in text
        assert str(room.room.folder) not in page
        assert "coursekit/" not in text
        assert 'src="http' not in page

    def test_no_code_of_a_notebook_runs_but_the_checks(self, room: Any) -> None:
        path = room.room.folder / "autograded" / "trickster" / STEP / "tutorial.ipynb"
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert all("torch" not in cell.source for cell in cells)
        ran = [cell.source for cell in cells if cell.execution_count is not None]
        assert ran == [f'check("8.{n}")' for n in range(1, 8)]

    def test_only_what_changed_is_graded_again_and_no_old_score_stays(self, room: Any, course: Any) -> None:
        room = room.room
        (room.folder / "submitted/noisy" / STEP / "model_exercise.py").write_text(
            course.stub, encoding="utf-8"
        )
        release = room.folder / "release" / STEP / "tutorial.ipynb"
        kept = release.read_bytes()
        release.write_text("{", encoding="utf-8")
        scores = room.scores(room.course("grade", STEP, status=1))
        assert scores.pop("noisy")[0] == "-"
        assert {note.split("; ")[-1] for _, note in scores.values()} == {"graded before"}
        assert scores["file-alone"][0] == "11"
        assert set(_auto_scores(room.folder, "noisy")) == {None}
        assert sum(_auto_scores(room.folder, "file-alone")) == POINTS
        release.write_bytes(kept)
        room.run("-m", "nbgrader", "autograde", STEP, "--student", "noisy", "--force")
        assert room.scores(room.course("status", STEP))["noisy"] == ("0", "")

    def test_building_again_keeps_what_the_class_did(self, room: Any, course: Any) -> None:
        room = room.room
        own = [p for p in room.folder.rglob("*") if p.is_file() and p.name != "tutorial.ipynb.lock"]
        before = {path: path.read_bytes() for path in own}
        said = "\n".join(build(room.folder, course.root))
        assert {path: path.read_bytes() for path in own} == before
        assert "is as it was" in said
        assert "next:" not in said


def _auto_scores(folder: Path, student: str) -> list[Any]:
    """Return what the gradebook holds for each check of a student."""
    query = """
        select auto_score from grade
        join submitted_notebook on grade.notebook_id = submitted_notebook.id
        join submitted_assignment on submitted_notebook.assignment_id = submitted_assignment.id
        where student_id = ?
    """
    with contextlib.closing(sqlite3.connect(folder / "gradebook.db")) as gradebook:
        return [score for (score,) in gradebook.execute(query, [student])]
