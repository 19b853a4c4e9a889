"""Plays a learner in a copy of the course: every core exercise, one by one, each red before and green after.

Run in the copy's folder; prints a line of JSON for each exercise. What is written is written as a learner
does, into the file, and so is earned.
"""

from __future__ import annotations

import json

from coursekit import check
from coursekit.registry import load_course
from coursekit.source import exercise_text, solve, stub_text


def statuses(name: str) -> list[str]:
    """Return what the check of this name says of each exercise that it judges."""
    return [str(verdict.status) for _, report in check(name).told for verdict in report.verdicts]


for step in load_course():
    file, solution = step.trio_files("model")
    source = solution.read_text(encoding="utf-8")
    whole = exercise_text(source, step, "model")
    for trio in {exercise.trio for exercise in step.exercises}:
        stub, from_solution = step.trio_files(trio)
        stub.write_text(stub_text(from_solution.read_text(encoding="utf-8"), step, trio), encoding="utf-8")
    for exercise in step.of_trio("model"):
        before = statuses(exercise.id)
        written = solve(file.read_text(encoding="utf-8"), whole, exercise.targets)
        file.write_text(written, encoding="utf-8")
        print(json.dumps({"id": exercise.id, "before": before, "after": statuses(exercise.id)}), flush=True)
