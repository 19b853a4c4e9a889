"""Step 1 in a class: nothing has no points, both solutions have all of them, one file its part."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit.classroom.build import build
from coursekit.registry import find_step
from coursekit.source import exercise_text, stub_text

TRIOS = ("model", "further")


@pytest.mark.slow
def test_untouched_files_earn_0_both_solutions_everything_and_one_its_part(new_room: Any) -> None:
    step = find_step("1")
    points = {trio: sum(e.points for e in step.exercises if e.trio == trio) for trio in TRIOS}
    solutions, stubs = {}, {}
    for trio in TRIOS:
        file, solution = step.trio_files(trio)
        source = solution.read_text(encoding="utf-8")
        solutions[file.name] = exercise_text(source, step, trio)
        stubs[file.name] = stub_text(source, step, trio)
    room = new_room(step.folder, sum(points.values()))
    list(build(room.folder))
    room.run("-m", "nbgrader", "generate_assignment", step.folder)
    core = {"model_exercise.py": solutions["model_exercise.py"]}
    handed_in = {"untouched": stubs, "solution": solutions, "core-only": stubs | core}
    for student, files in handed_in.items():
        room.hand_in(student, files)
    scores = room.scores(room.course("grade", step.folder))
    assert {student: float(score) for student, (score, _) in scores.items()} == {
        "untouched": 0.0,
        "solution": sum(points.values()),
        "core-only": points["model"],
    }
