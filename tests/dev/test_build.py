"""`course dev build`: stubs, notebooks and tables, the same bytes each time, never over a learner's work."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import nbformat
import pytest
from nbgrader.nbgraderformat.v3 import MetadataValidatorV3

from coursekit.dev.notebook import BuildError
from coursekit.dev.tables import goal_list
from coursekit.registry import COURSE_ROOT, load_course
from coursekit.source import solve

STEP = "step9_toy"
STUB, NOTEBOOK, CHAPTER = f"{STEP}/model_exercise.py", f"{STEP}/tutorial.ipynb", "docs/tutorials/step9_toy.md"
SOLUTION = f"{STEP}/model_solution.py"


def test_building_writes_everything_once(course: Any) -> None:
    assert course.build() == [STUB, NOTEBOOK, CHAPTER, f"{STEP}/README.md"]
    before = {path: path.read_bytes() for path in course.root.rglob("*") if path.is_file()}
    assert course.build() == []
    assert {path: path.read_bytes() for path in course.root.rglob("*") if path.is_file()} == before
    assert b"\r" not in before[course.root / NOTEBOOK]


def test_a_built_course_misses_nothing(course: Any) -> None:
    course.build()
    assert course.problems() == []


def test_the_notebook_is_canonical_and_nbgrader_can_read_it(course: Any) -> None:
    course.build()
    text = course.read(NOTEBOOK)
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    MetadataValidatorV3().validate_nb(book)
    assert text.endswith("}\n")
    assert set(book.metadata) == {"kernelspec", "language_info"}
    code = {cell.id: cell for cell in book.cells if cell.cell_type == "code"}
    assert all(not cell.outputs and cell.execution_count is None for cell in code.values())
    assert code["check-9-1"].metadata.nbgrader == {
        "grade": True,
        "grade_id": "check-9-1",
        "locked": True,
        "points": 2,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }
    milestone = code["check-9-all"].metadata.nbgrader
    assert milestone.locked
    assert not milestone.grade
    assert "ask-9-q" in code
    assert not code["ask-9-q"].metadata


def test_an_edit_moves_no_other_cell_id(course: Any) -> None:
    course.build()
    before = json.loads(course.read(NOTEBOOK))["cells"]
    course.change(
        CHAPTER, "## 9.1 Doubling\n", "## 9.1 Doubling\n\nMore words.\n\n```python\nprint(2)\n```\n"
    )
    course.build()
    after = json.loads(course.read(NOTEBOOK))["cells"]
    assert [cell["id"] for cell in before] == [c["id"] for c in after if c["source"] != ["print(2)"]]
    assert len(after) == len(before) + 1


def test_links_lead_to_the_same_files_from_the_notebook(course: Any) -> None:
    course.build()
    text = json.loads(course.read(NOTEBOOK))["cells"][0]["source"]
    text = "".join(text)
    assert "[your file](model_exercise.py)" in text
    assert "[boxes](#9.2-Boxes)" in text
    assert "[the page](../docs/more.md#here)" in text
    assert "![a figure](../docs/figures/box.png)" in text
    assert "`[no link](nowhere.md)`" in text


def test_a_learners_work_is_never_overwritten(course: Any) -> None:
    course.build()
    exercise = course.read(SOLUTION)
    stub = course.read(STUB)
    work = solve(stub, exercise, ["double"])
    course.write(STUB, work)
    course.change(CHAPTER, "# Step 9: Toys", "# Step 9: Toys and boxes")
    with pytest.raises(BuildError, match=r"work in it.*--force"):
        course.build()
    assert course.read(STUB) == work
    assert "and boxes" not in course.read(NOTEBOOK)
    course.build(force=True)
    assert course.read(STUB) == stub
    assert [copy.read_text(encoding="utf-8") for copy in (course.root / ".course/backups").rglob("*.py")] == [
        work
    ]


def test_notes_in_a_notebook_are_work_and_outputs_are_not(course: Any) -> None:
    course.build()
    book = json.loads(course.read(NOTEBOOK))
    code = next(cell for cell in book["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["4\n"]}]
    course.write(NOTEBOOK, json.dumps(book))
    assert course.build() == [NOTEBOOK]
    book["cells"][0]["source"] = ["My notes."]
    course.write(NOTEBOOK, json.dumps(book))
    with pytest.raises(BuildError, match="work in it"):
        course.build()


def test_a_stub_that_was_generated_or_is_in_git_may_be_replaced(course: Any) -> None:
    course.build()
    course.change(SOLUTION, "# 1. Add x to itself.", "# 1. Add x to x.")
    assert course.build() == [STUB]
    shutil.rmtree(course.root / ".course")
    course.change(SOLUTION, "# 1. Add x to x.", "# 1. Double x.")
    with pytest.raises(BuildError, match="work in it"):
        course.build()
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *command], cwd=course.root, check=True)
    assert course.build() == [STUB]


def test_tables_are_written_between_their_marks(course: Any) -> None:
    course.build()
    text = course.read(f"{STEP}/README.md")
    row = (
        "| 9.2 | [Boxes](../docs/tutorials/step9_toy.md#92-boxes) | `Box.show`, `Box.hide` | 5 | ★★ | 3 |  |"
    )
    assert row in text.splitlines()
    assert (
        "| 9.all | [All of it](../docs/tutorials/step9_toy.md) | A box shows twice what it holds. |" in text
    )
    assert text.startswith("# Toys\n")


def test_the_goals_stand_in_chapter_notebook_and_readme_with_links_to_where_they_are_asked(
    course: Any,
) -> None:
    course.change(
        f"{STEP}/README.md",
        "# Toys\n",
        "# Toys\n\n<!-- generated: goals -->\n<!-- end generated: goals -->\n",
    )
    course.build()
    assert "- double numbers ([9.1](#91-doubling))\n" in course.read(CHAPTER)
    assert "- double numbers ([9.1](../docs/tutorials/step9_toy.md#91-doubling))\n" in course.read(
        f"{STEP}/README.md"
    )
    notebook = course.read(NOTEBOOK)
    assert "double numbers ([9.1](#9.1-Doubling))" in notebook
    assert "generated:" not in notebook
    assert course.build() == []


def test_a_page_says_the_hours_of_each_path_and_what_the_scoreboard_adds_up_to(course: Any) -> None:
    marks = "".join(
        f"<!-- generated: {name} -->\n<!-- end generated: {name} -->\n" for name in ("paths", "totals")
    )
    course.write("README.md", "# Toys\n\n" + marks)
    course.build()
    text = course.read("README.md")
    assert "| `course path quick` | 1 | 10 min |" in text
    assert "| `course path core` | 2 | 15 min |" in text
    assert "Of 7 known wrong implementations, the checks reject 7 and name 7. Of 2 right" in text
    course.change("docs/checks.md", "**all exercises**", "all")
    with pytest.raises(BuildError, match="must have totals"):
        course.build()


def keep_evidence(course: Any, **content: Any) -> None:
    """Put a piece of evidence of this content into the course, made on a machine of no torch."""
    machine = {"processor": "Abacus", "cores": 3, "python": "3.11.0"}
    made = {"date": "2026-01-02", "machine": machine, "command": "course evidence toy"} | content
    (course.root / "docs" / "evidence").mkdir(exist_ok=True)
    course.write("docs/evidence/toy.json", json.dumps(made))


def test_a_page_shows_what_a_model_wrote_and_says_how_it_came_about(course: Any) -> None:
    course.write("README.md", "# Toys\n\n<!-- generated: written toy -->\n<!-- end generated: written -->\n")
    with pytest.raises(BuildError, match=r"docs/evidence/toy.json must hold a written text"):
        course.build()
    keep_evidence(course, written={"text": "def a():\n    pass\n", "told": "By hand."})
    course.build()
    text = course.read("README.md")
    assert "\n    def a():\n        pass\n\nBy hand. (Abacus, 3 cores, no GPU; 2026-01-02)\n" in text


def test_a_page_shows_the_ratios_of_a_benchmark_and_their_conditions(course: Any) -> None:
    course.write("README.md", "# Toys\n\n<!-- generated: ratios toy -->\n<!-- end generated: ratios -->\n")
    with pytest.raises(BuildError, match=r"docs/evidence/toy.json must hold rows of ratios"):
        course.build()
    keep_evidence(course, rows=[{"what": "add", "peer_name": "fingers", "ratio": 12.345}])
    course.build()
    text = course.read("README.md")
    assert "\n| add | fingers | 12.3 |\n" in text
    assert "\n`course evidence toy`: Abacus, 3 cores, Python 3.11.0; 2026-01-02. " in text


def test_a_page_shows_the_table_and_the_claims_of_a_piece_of_evidence(course: Any) -> None:
    blocks = "".join(
        f"<!-- generated: {name} toy -->\n<!-- end generated: {name} -->\n" for name in ("table", "claims")
    )
    course.write("README.md", f"# Toys\n\n{blocks}")
    with pytest.raises(BuildError, match=r"docs/evidence/toy.json must hold a table"):
        course.build()
    claims = {"beads move": True, "beads fly": False}
    keep_evidence(course, claims=claims, table={"head": ["", "Seed 0"], "rows": [["beads", "12"]]})
    course.build()
    text = course.read("README.md")
    assert "\n|  | Seed 0 |\n| --- | --: |\n| beads | 12 |\n" in text
    assert "\n- beads move: yes\n- beads fly: no\n" in text
    assert text.count("\n`course evidence toy`: Abacus, 3 cores, Python 3.11.0; 2026-01-02.\n") == 2


def test_a_page_shows_what_a_piece_of_evidence_compared(course: Any) -> None:
    course.write(
        "README.md", "# Toys\n\n<!-- generated: variants toy -->\n<!-- end generated: variants -->\n"
    )
    with pytest.raises(BuildError, match=r"docs/evidence/toy.json must hold results of variants"):
        course.build()
    results = [
        {"variant": name, "seed": seed, "parameters": 1234, "steps": 50, "held_out": held_out}
        for name, seed, held_out in (("old", 0, 2.0), ("old", 1, 2.0625), ("new", 0, 1.5), ("new", 1, 1.4))
    ]
    made = {"seeds": [0, 1], "spread": 0.1, "results": results}
    keep_evidence(course, **(made | {"results": []}))
    with pytest.raises(BuildError, match=r"docs/evidence/toy.json must hold results of variants"):
        course.build()
    keep_evidence(course, **made)
    course.build()
    text = course.read("README.md")
    assert "\n|  | Parameters | Seed 0 | Seed 1 |\n| --- | --: | --: | --: |\n" in text
    assert "\n| old | 1,234 | 2.000 | 2.062 |\n| new | 1,234 | 1.500 | 1.400 |\n" in text
    assert "after 50 steps. The seeds of a variant differ by 0.100 at most." in text


@pytest.mark.slow
def test_a_page_may_show_what_a_check_says(course: Any) -> None:
    marks = "<!-- generated: example 9.1 once -->\n<!-- end generated: example -->\n"
    course.write("README.md", "# Toys\n\n" + marks)
    course.build()
    text = course.read("README.md")
    assert "    ✗ failed  9.1 Doubling  (0 of 2 points)\n" in text
    assert "You return x itself." in text
    assert "step9_toy/model_exercise.py:" in text
    assert course.build() == []
    course.change("README.md", "9.1 once", "9.1 by_product")
    course.build()
    assert "    ✓ passed  9.1 Doubling  (2 of 2 points)\n" in course.read("README.md")
    assert str(course.root) not in course.read("README.md")
    course.change("README.md", "9.1 by_product", "9.1 nowhere")
    with pytest.raises(BuildError, match="must be a mistake or variant of one function"):
        course.build()


@pytest.mark.parametrize("number", [1, 2])
def test_a_chapter_ends_with_its_own_goals_and_no_goal_is_left_out(number: int) -> None:
    step = next(step for step in load_course(COURSE_ROOT) if step.number == number)
    lists = {chapter.source: goal_list(step, chapter.source).splitlines() for chapter in step.chapters}
    assert all("(#" in line for lines in lists.values() for line in lines)
    told = {line.split(" ([")[0] for lines in lists.values() for line in lines}
    assert told == {f"- {goal.text}" for goal in step.goals}
    assert all(len(lines) < len(step.goals) for lines in lists.values()), "each chapter has some of them"
