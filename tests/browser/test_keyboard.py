"""A learner without a mouse: answers a question, explores, writes code, checks it. Keys alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
FOCUSED = "() => document.activeElement.matches(%r)"


def walk_to(tutorial: Any, cell_id: str) -> None:
    """Go from cell to cell by the arrow keys until this one is the active one."""
    keys = tutorial.page.keyboard
    keys.press("Escape")
    below = """(panel, id) => panel.content.widgets.findIndex(cell => cell.model.id === id)
        - panel.content.activeCellIndex"""
    # A key may go elsewhere until the notebook has the focus, and may be heard late.
    for _ in range(100):
        distance = tutorial.ask(below, cell_id)
        if distance == 0:
            return
        for _ in range(abs(distance)):
            keys.press("ArrowDown" if distance > 0 else "ArrowUp")
        tutorial.page.wait_for_timeout(100)
    raise AssertionError(f"{cell_id} is not reached by arrow keys")


def run_here(tutorial: Any, cell_id: str) -> None:
    """Run the active cell by Control and Enter, and wait until it has run."""
    tutorial.page.keyboard.press("Control+Enter")
    count = "(panel, id) => panel.content.widgets.find(c => c.model.id === id).model.executionCount"
    tutorial.page.wait_for_function(f"id => ({count})({tutorial.panel}, id)", arg=cell_id, timeout=90_000)


def tab_to(tutorial: Any, selector: str) -> None:
    """Press Tab until something that fits has the focus; it must show that it has."""
    for _ in range(12):
        tutorial.page.keyboard.press("Tab")
        if tutorial.page.evaluate(FOCUSED % selector):
            style = "() => getComputedStyle(document.activeElement).outlineStyle"
            assert tutorial.page.evaluate(style) != "none", f"{selector} does not show its focus"
            return
    raise AssertionError(f"{selector} is not reached by the Tab key")


def comes_true(condition: Callable[[], bool], what: str) -> None:
    """Wait for something outside the page; fails with `what` if it does not come."""
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(what)


def answer_here(tutorial: Any, progress: Path) -> None:
    """Answer the question of the active cell with its second choice."""
    tutorial.page.locator("form.course-question").wait_for()
    tab_to(tutorial, "form.course-question input")
    tutorial.page.keyboard.press("2")
    tutorial.page.keyboard.press("Enter")
    tutorial.page.locator(".course-response:not(:empty)").wait_for()
    comes_true(progress.is_file, "the answer is not kept")
    assert json.loads(progress.read_text(encoding="utf-8"))["answers"] == {"2.q-scale": [1]}


def explore_here(tutorial: Any) -> None:
    """Move the explorer of the active cell by one step; it says something else."""
    said = tutorial.page.locator(".course-explorer .said")
    said.wait_for()
    before = said.inner_text()
    tab_to(tutorial, ".course-explorer [role=slider]")
    tutorial.page.keyboard.press("ArrowUp")
    changed = "before => document.querySelector('.course-explorer .said').innerText !== before"
    tutorial.page.wait_for_function(changed, arg=before, timeout=10_000)


def write_scores(tutorial: Any, file: Path) -> None:
    """Write `attention_scores` in the editor beside the notebook, under its TODO, and save it."""
    page, keys = tutorial.page, tutorial.page.keyboard
    keys.press("Control+Shift+Period")
    page.wait_for_function("() => document.activeElement.closest('.jp-FileEditor')")
    keys.press("Control+Home")
    line = file.read_text(encoding="utf-8").split("# TODO 2.3a")[0].count("\n") + 1
    here = "() => Number(/Ln (\\d+)/.exec(document.querySelector('#jp-main-statusbar').innerText)[1])"
    for _ in range(20):
        for _ in range(line - page.evaluate(here)):
            keys.press("ArrowDown")
    assert page.evaluate(here) == line
    keys.press("End")
    keys.press("Enter")
    keys.type("return q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5")
    keys.press("Control+s")
    comes_true(lambda: "k.transpose" in file.read_text(encoding="utf-8"), "the file is not saved")


def test_keys_alone_answer_explore_write_and_check(open_tutorial: Any, course_copy: Path) -> None:
    tutorial = open_tutorial()
    for part in ("from coursekit import", "ablation.first_model()"):
        cell = tutorial.find(part)
        walk_to(tutorial, cell)
        run_here(tutorial, cell)
    question, explorer = tutorial.find('ask("2.q-scale")'), tutorial.find("explorers.attention(")
    for cell in sorted((question, explorer), key=[c["id"] for c in tutorial.cells()].index):
        walk_to(tutorial, cell)
        run_here(tutorial, cell)
        if cell == question:
            answer_here(tutorial, course_copy / ".course" / "progress.json")
        else:
            explore_here(tutorial)
        tutorial.ask("panel => panel.content.node.focus()")

    write_scores(tutorial, course_copy / STEP / "model_exercise.py")
    check = tutorial.find('check("2.3a")')
    tutorial.page.keyboard.press("Control+Shift+Comma")
    walk_to(tutorial, check)
    run_here(tutorial, check)
    assert "passed" in tutorial.text(check)
