"""What the quick reference lists: it is read from the registry and the solutions, and follows them."""

from __future__ import annotations

from typing import Any

from coursekit.dev.reference import command_table, signature_table
from coursekit.registry import load_course


def rows(table: str) -> dict[str, str]:
    """Return the rows of a table by their first cell."""
    cells = [line.split(" | ", 1) for line in table.splitlines() if line.startswith("| ")]
    return {first.removeprefix("| "): rest for first, rest in cells}


def test_every_command_of_the_course_and_of_its_steps_is_listed() -> None:
    table = rows(command_table(load_course()))
    assert table["`course check`"].startswith("Judge what you wrote")
    steps = [entry for step in load_course() for entry in step.entries]
    assert {entry.kind for entry in steps} == {"command", "benchmark", "evidence"}
    begins = {"command": "", "benchmark": "bench ", "evidence": "evidence "}
    for entry in steps:
        assert table[f"`course {begins[entry.kind]}{entry.name}`"] == f"{entry.help} |"


def test_a_function_is_listed_with_the_shapes_of_its_tensors_and_its_promise() -> None:
    table = signature_table(load_course(), lambda writeup: f"../{writeup}")
    assert (
        "| [2.3b](../docs/tutorials/step2_model.md#23b-the-causal-mask) "
        "| `apply_causal_mask(scores: (*B, T, S)) -> (*B, T, S)` "
        "| Hide the future: the score of every key that comes after its query becomes minus infinity. |"
    ) in table.splitlines()
    assert "`CausalSelfAttention.forward(x: (B, T, C), cache=None) -> (B, T, C)`" in table
    assert "`pop_best(heap, pair_counts) -> str \\| None`" in table
    exercises = [exercise for step in load_course() for exercise in step.exercises]
    listed = [line for line in table.splitlines() if line.startswith("| [")]
    assert len(listed) == sum(len(exercise.targets) for exercise in exercises)


def test_the_page_of_a_course_follows_its_solution(course: Any) -> None:
    course.write("docs/page.md", "<!-- generated: signatures -->\n<!-- end generated: signatures -->\n")
    course.build()
    before = course.read("docs/page.md")
    assert "](tutorials/step9_toy.md#" in before
    solution = course.read("step9_toy/model_solution.py")
    course.write("step9_toy/model_solution.py", solution.replace("Return 2x.", "Return twice x."))
    course.build()
    assert course.read("docs/page.md") == before.replace("Return 2x.", "Return twice x.") != before
