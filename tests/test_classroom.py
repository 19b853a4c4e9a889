"""The course in a class: the whole cycle with nbgrader, and scores that no submission can argue with."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from coursekit.classroom.build import ClassroomError, _write_config, build
from coursekit.classroom.canonical import SKIP, _mark, _take_answers
from coursekit.classroom.grade import Grade, Grader, JudgeCells
from coursekit.classroom.scores import grade_ids, score_of
from coursekit.cli.app import run
from coursekit.dev.notebook import grade_id, nbgrader_metadata
from coursekit.source import solve

ROOT = Path(__file__).parent.parent
STEP = "step8_toy"
POINTS = 11
DOUBLES_WITH_NOISE = """
    import sys, warnings
    warnings.warn("a word that nobody should pay for")
    print("another", file=sys.stderr)
    return x + x
"""
TRICK = "import torch\ntorch.equal = torch.allclose = lambda *a, **k: True"


@pytest.fixture(scope="module")
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

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
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
        rows = re.findall(rf"^(\S+) +(\S+) of {POINTS} *(.*)$", told, re.MULTILINE)
        return {student: (score, note) for student, score, note in rows}

    def hand_in(self, student: str, text: str | None, notebook: str | Any | None = "as released") -> None:
        """Put a submission where nbgrader collects it."""
        place = self.folder / "submitted" / student / STEP
        place.mkdir(parents=True)
        if text is not None:
            (place / "model_exercise.py").write_text(text, encoding="utf-8")
        if notebook == "as released":
            notebook = self.released()
        if notebook is not None:
            text = notebook if isinstance(notebook, str) else json.dumps(notebook)
            (place / "tutorial.ipynb").write_text(text, encoding="utf-8")

    def released(self) -> Any:
        return json.loads((self.folder / "release" / STEP / "tutorial.ipynb").read_text(encoding="utf-8"))


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
def room(course: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A class through the whole cycle: built, generated, released, handed in, graded, told, exported."""
    home = tmp_path_factory.mktemp("home")
    room = Room(home / "class", home)
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


def _hand_in_the_others(room: Room, course: Any) -> None:
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


def test_a_notebook_with_other_points_than_the_registry_is_refused(course: Any, tmp_path: Path) -> None:
    path = course.step.path / "tutorial.ipynb"
    kept = path.read_bytes()
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata.nbgrader.points = 5
    nbformat.write(notebook, path)
    try:
        with pytest.raises(ClassroomError, match=r"not so check-8-1: run course dev build"):
            list(build(tmp_path / "class", course.root))
    finally:
        path.write_bytes(kept)


def test_a_teachers_own_settings_stay_when_the_course_moves(tmp_path: Path) -> None:
    config = tmp_path / "nbgrader_config.py"
    assert list(_write_config(config, Path("/before"))) == ["nbgrader_config.py: made"]
    own = "c.Autograde.create_student = False\n"
    config.write_text(config.read_text("utf-8") + own, encoding="utf-8")
    assert list(_write_config(config, Path("/after"))) == ["nbgrader_config.py: now points to this course"]
    assert list(_write_config(config, Path("/after"))) == ["nbgrader_config.py: is as it was"]
    assert "COURSE = '/after'" in config.read_text("utf-8")
    assert config.read_text("utf-8").endswith(own)
    config.write_text(own, encoding="utf-8")
    assert "left as you wrote it" in next(_write_config(config, Path("/after")))
    assert config.read_text("utf-8") == own


@pytest.mark.parametrize(
    ("outputs", "score"),
    [
        ([{"output_type": "execute_result", "data": {"text/plain": "1.5"}}], 1.5),
        (
            [
                {"output_type": "stream", "name": "stderr", "text": "a warning"},
                {"output_type": "execute_result", "data": {"text/plain": "2"}},
            ],
            2.0,
        ),
        ([], None),
        ([{"output_type": "execute_result", "data": {"text/plain": "-1"}}], None),
        ([{"output_type": "execute_result", "data": {"text/plain": "nan"}}], None),
        ([{"output_type": "execute_result", "data": {"text/plain": "inf"}}], None),
        ([{"output_type": "execute_result", "data": {"text/plain": "3"}}], None),
        ([{"output_type": "execute_result", "data": {"text/plain": "'hi'"}}], None),
        ([{"output_type": "error", "ename": "WorkerError"}], None),
    ],
)
def test_only_a_number_between_0_and_the_points_is_a_score(outputs: list[Any], score: float | None) -> None:
    cell = nbformat.from_dict({"outputs": outputs, "metadata": {"nbgrader": {"points": 2}}})
    assert score_of(cell) == score


def _answer(source: str, **kind: Any) -> Any:
    return new_markdown_cell(source, metadata={"nbgrader": {"grade_id": "why", "solution": True, **kind}})


def test_a_written_answer_is_taken_over_and_nothing_else_of_the_notebook() -> None:
    canonical = new_notebook(cells=[new_code_cell("given"), _answer("Your answer:", grade=True)])
    odd = [_answer("Your answer:"), _answer("Because.", points=99), _answer("Later copy.")]
    nameless = new_markdown_cell("x", metadata={"nbgrader": {"grade_id": ["why"]}})
    _take_answers(canonical, new_notebook(cells=[new_code_cell("mine"), nameless, *odd]))
    assert [cell.source for cell in canonical.cells] == ["given", "Because."]
    assert canonical.cells[1].metadata.nbgrader == {"grade_id": "why", "solution": True, "grade": True}


@pytest.mark.parametrize(
    ("kind", "runs"),
    [({"grade": True, "solution": False}, True), ({"grade": True, "solution": True}, False), ({}, False)],
)
def test_a_code_cell_runs_only_if_its_output_is_graded(kind: dict[str, bool], runs: bool) -> None:
    cell = new_code_cell("x", metadata={"nbgrader": kind, "tags": [SKIP, "own"]})
    _mark(cell)
    assert cell.metadata.tags == (["own"] if runs else ["own", SKIP])


def test_the_process_that_grades_needs_no_torch(course: Any, tmp_path: Path) -> None:
    (tmp_path / "model_exercise.py").write_text(course.solution, encoding="utf-8")
    script = f"""
        import sys
        from pathlib import Path
        from coursekit.classroom.grade import Grader
        grade = Grader({str(course.root)!r}, Path(".")).check("8.1")
        print(grade.score, "torch" in sys.modules, [n for n in sys.modules if n.startswith("step")])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout.strip(), done.stderr) == ("2.0 False []", "")


def test_a_teacher_is_told_what_is_missing_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["classroom", "grade", STEP, "--dir", str(tmp_path)]) == 2
    way_out = f"run course classroom build {tmp_path}"
    assert capsys.readouterr().err == f"there is no classroom in {tmp_path}: {way_out}\n"


def test_a_teachers_own_graded_cell_runs_in_a_kernel_beside_the_checks(course: Any, tmp_path: Path) -> None:
    own = {"grade": True, "solution": False, "locked": True, "task": False, "points": 1, "grade_id": "own"}
    check = nbgrader_metadata(course.step.exercises[0])
    cells = [
        new_code_cell("print('the check ran here')", metadata={"nbgrader": check}),
        new_code_cell("0.5", metadata={"nbgrader": own}),
    ]
    (tmp_path / "model_exercise.py").write_text(course.stub, encoding="utf-8")
    judge = JudgeCells(course=str(course.root))
    resources = {"metadata": {"path": str(tmp_path)}}
    judged, _ = judge.preprocess(new_notebook(cells=cells), resources)
    shown = [[output.data["text/plain"] for output in cell.outputs] for cell in judged.cells]
    assert shown == [["0"], ["0.5"]]
    assert "not started" in judged.cells[0].outputs[0].data["text/html"]


def test_a_fault_of_the_course_leaves_one_exercise_ungraded_and_judges_the_others(
    course: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(grader: Grader, item_id: str) -> Grade:
        if item_id == "8.1":
            raise RuntimeError("no more memory")
        return Grade(1.0, "fine")

    monkeypatch.setattr(Grader, "check", fail_once)
    checks = [{"nbgrader": nbgrader_metadata(item)} for item in course.step.exercises[:2]]
    notebook = new_notebook(cells=[new_code_cell("check", metadata=kind) for kind in checks])
    resources = {"metadata": {"path": str(tmp_path)}}
    judged, _ = JudgeCells(course=str(course.root)).preprocess(notebook, resources)
    assert [score_of(cell) for cell in judged.cells] == [None, 1.0]
    assert judged.cells[0].outputs[0].traceback == [
        "8.1 could not be judged, and is not graded: no more memory"
    ]


def test_a_check_cell_has_the_id_under_which_its_points_are_kept(course: Any) -> None:
    ids = {grade_id(item): item.id for item in course.step.exercises}
    assert grade_ids(course.root) == ids
    assert ids["check-8-1"] == "8.1"
