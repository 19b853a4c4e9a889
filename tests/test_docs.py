"""Chapters and write-ups keep what they promise: blocks run, questions exist, Run All gets to the end."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from coursekit.dev.markdown import headings
from coursekit.registry import COURSE_ROOT, load_course

STEPS = [step for step in load_course() if (COURSE_ROOT / step.tutorial).exists()]
CHAPTERS = [(step, chapter) for step in STEPS for chapter in step.chapters]
NAMES = [chapter.source.stem for _, chapter in CHAPTERS]
SHOW = re.compile(r"^ *show\(", re.M)
WRITE_UPS = sorted([*COURSE_ROOT.glob("docs/step*/*.md"), *COURSE_ROOT.glob("docs/components/*.md")])
EXECUTED = [
    *WRITE_UPS,
    *(COURSE_ROOT / "docs" / f"{name}.md" for name in ("parity", "corpora", "training_guide")),
    COURSE_ROOT / "docs" / "quick_reference.md",
]
BUDGET = "seconds=4,steps=6,bytes=4000"


def blocks(page: Path) -> list[str]:
    """Return the Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run_write_ups(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=COURSE_ROOT, check=False)


@pytest.mark.slow
def test_every_block_of_every_write_up_runs_and_asserts_what_it_says() -> None:
    told = run_write_ups(COURSE_ROOT / "docs")
    assert told.returncode == 0, told.stdout
    assert f"{sum(len(blocks(page)) for page in EXECUTED)} passed" in told.stdout


@pytest.mark.slow
def test_a_wrong_number_in_a_write_up_turns_its_block_red(tmp_path: Path) -> None:
    shutil.copy(COURSE_ROOT / "docs/conftest.py", tmp_path)
    text = (COURSE_ROOT / "docs/step2/parameters.md").read_text(encoding="utf-8")
    (tmp_path / "step2").mkdir()
    wrong = text.replace("124_439_808, 84", "124_439_809, 84")
    (tmp_path / "step2/wrong.md").write_text(wrong, encoding="utf-8")
    told = run_write_ups(tmp_path)
    assert told.returncode == 1
    assert "1 failed" in told.stdout


@pytest.mark.parametrize("page", WRITE_UPS, ids=lambda page: page.stem)
def test_a_write_up_has_code_that_asserts_and_goes_from_problem_to_further_reading(page: Path) -> None:
    found = [heading.text for heading in headings(page.read_text(encoding="utf-8")) if heading.level == 2]
    assert found[0] == "The problem"
    assert found[-1] == "Further reading"
    assert any("assert" in block for block in blocks(page))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.folder)
def test_the_chapter_asks_every_question_once_and_checks_every_exercise_once(step: Any) -> None:
    asked: list[str] = []
    for chapter in step.chapters:
        code = "\n".join(blocks(chapter.source))
        asked += re.findall(r'^ask\("(.+?)"\)$', code, re.MULTILINE)
        items = [item.id for item in step.items if step.chapter_of(item) == chapter]
        assert re.findall(r'^check\("(.+?)"\)$', code, re.MULTILINE) == items
    assert sorted(asked) == sorted(question.id for question in step.questions)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.folder)
def test_each_question_has_one_right_choice_and_a_different_response_to_each(step: Any) -> None:
    for question in step.questions:
        assert sum(choice.right for choice in question.choices) == 1, question.id
        assert len({choice.response for choice in question.choices}) == len(question.choices) >= 3, (
            question.id
        )


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.folder)
def test_each_main_section_asks_at_least_three_questions(step: Any) -> None:
    text = "\n".join(chapter.source.read_text(encoding="utf-8") for chapter in step.chapters)
    asked: dict[str, int] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        if number := re.match(r"\d+\.\d+", section):
            asked[number[0]] = asked.get(number[0], 0) + section.count('\nask("')
    assert asked
    assert min(asked.values()) >= 3, asked


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.folder)
def test_the_right_choice_is_not_always_at_the_same_place(step: Any) -> None:
    places = [[choice.right for choice in question.choices].index(True) for question in step.questions]
    assert max(places.count(place) for place in set(places)) <= 0.6 * len(places)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.folder)
def test_the_right_choice_is_not_the_longest_more_often_than_by_chance(step: Any) -> None:
    longest = [
        max(question.choices, key=lambda choice: len(choice.text)).right for question in step.questions
    ]
    assert sum(longest) <= 0.4 * len(longest), f"{sum(longest)} of {len(longest)}"


@pytest.mark.parametrize("picture", sorted((COURSE_ROOT / "docs/images").glob("*.svg")), ids=lambda p: p.stem)
def test_a_drawing_has_a_title_and_a_description_and_looks_of_its_own_in_the_dark(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    names = {element.get("id"): element for element in root.iter() if element.get("id")}
    assert root.get("role") == "img"
    assert all(names[name].text for name in root.get("aria-labelledby", "none").split())
    text = picture.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_every_figure_says_who_computed_it(chapter: Any) -> None:
    for block in blocks(chapter[1].source):
        # Where a cell needs exercises, the line beneath it says whose code it was.
        if SHOW.search(block) and "with needs(" not in block:
            assert re.search(r'caption=f?"[^"]*Computed ', block), block


@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_every_figure_is_shown_with_a_text_that_stands_for_it(chapter: Any) -> None:
    for block in blocks(chapter[1].source):
        assert len(SHOW.findall(block)) == block.count("alt="), block


def run_notebook(chapter: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, solved: bool) -> list[Any]:
    """Run a chapter beside stubs or solutions, all cells, and return the code cells."""
    import nbformat
    from nbclient import NotebookClient

    from coursekit.dev.notebook import notebook_text
    from coursekit.source import exercise_text, stub_text

    step, page = chapter
    work = folder / step.folder
    work.mkdir()
    for trio in {other.trio for other in step.chapters}:
        file, solution = step.trio_files(trio)
        text = (exercise_text if solved else stub_text)(solution.read_text(encoding="utf-8"), step, trio)
        (work / file.name).write_text(text, encoding="utf-8")
    built = notebook_text(page.source, page.notebook, step)
    notebook = nbformat.reads(built, as_version=4)
    monkeypatch.setenv("COURSE_BUDGET", BUDGET)
    monkeypatch.setenv("PYTHONPATH", str(COURSE_ROOT))
    resources = {"metadata": {"path": str(work)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any) -> str:
    return "\n".join(output.get("text", "") + str(output.get("data", "")) for output in cell.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_run_all_with_an_untouched_file_reaches_the_last_cell_with_nothing_passed(
    chapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = run_notebook(chapter, tmp_path, monkeypatch, solved=False)
    assert cells[-1].execution_count == len(cells)
    checks = [cell for cell in cells if cell.source.startswith("check(")]
    assert not [cell.source for cell in checks if "passed  " in shown(cell) or "✓" in shown(cell)]
    with_needs = [cell for cell in cells if "with needs(" in cell.source]
    assert with_needs
    assert not [cell.source for cell in with_needs if "Computed by the reference: " not in shown(cell)]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_run_all_with_every_exercise_written_passes_everything_and_shows_every_play_cell(
    chapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = run_notebook(chapter, tmp_path, monkeypatch, solved=True)
    checks = [cell for cell in cells if cell.source.startswith("check(")]
    step, asked = chapter
    assert len(checks) == sum(step.chapter_of(item) == asked for item in step.items)
    assert all("✓" in shown(cell) for cell in checks)
    assert not [cell.source for cell in cells if "is not written yet" in shown(cell)]
    with_needs = [cell for cell in cells if "with needs(" in cell.source]
    assert not [cell.source for cell in with_needs if "Computed by your code (" not in shown(cell)]
