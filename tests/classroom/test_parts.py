"""The parts of grading: what is refused, what counts as a score, what of a submitted notebook is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from coursekit.classroom.build import ClassroomError, _write_config, build
from coursekit.classroom.canonical import SKIP, _mark, _take_answers
from coursekit.classroom.feedback import GradedCells
from coursekit.classroom.grade import Grade, Grader, JudgeCells
from coursekit.classroom.scores import grade_ids, score_of
from coursekit.cli.app import run
from coursekit.dev.notebook import grade_id, nbgrader_metadata

ROOT = Path(__file__).parents[2]
STEP = "step8_toy"


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


def test_the_feedback_keeps_each_graded_cell_under_its_heading() -> None:
    kind = {"nbgrader": {"grade": True, "grade_id": "check-8-1"}}
    cells = [
        new_markdown_cell("# Step"),
        new_markdown_cell("## Doubling\nTwice $x$."),
        new_code_cell("play()"),
        new_code_cell("check", metadata=kind),
        new_code_cell("check again", metadata=kind),
        new_markdown_cell("## The end"),
    ]
    kept, _ = GradedCells().preprocess(new_notebook(cells=cells), {})
    assert [cell.source for cell in kept.cells] == ["## Doubling", "check", "check again"]
