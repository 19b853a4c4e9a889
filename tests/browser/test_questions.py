"""A question answered without a mouse in a real notebook; the answer outlives a reload and a restart."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
QUESTION = "2.q-positions"


def asked(tutorial: Any) -> Any:
    """Run what the page needs and the question's cell; return the question's form."""
    tutorial.run("from coursekit import ask")
    tutorial.run(f'ask("{QUESTION}")')
    form = tutorial.page.locator("form.course-question").first
    form.wait_for(timeout=60_000)
    return form


def kinds_of(tutorial: Any) -> Any:
    """Return the type of every cell."""
    return tutorial.ask("panel => [...panel.content.model.cells].map(cell => cell.type).join()")


def test_a_question_is_answered_by_keys_and_the_answer_outlives_a_reload_and_a_restart(
    open_tutorial: Any, course_copy: Path
) -> None:
    tutorial = open_tutorial()
    page, form = tutorial.page, asked(tutorial)
    kinds = kinds_of(tutorial)
    form.locator("input").first.focus()
    page.keyboard.press("Enter")
    response = form.locator(".course-response")
    assert response.inner_text() == "Choose one first."
    page.keyboard.press("3")
    page.keyboard.press("ArrowUp")
    assert form.locator("input:checked").get_attribute("value") == "1"
    page.keyboard.press("Enter")
    assert response.inner_text().startswith("Right. Logits are (B, T, V)")
    outline = form.locator("input:checked").evaluate("radio => getComputedStyle(radio).outlineStyle")
    assert outline == "solid"
    assert form.locator("legend").inner_text().startswith("A text of 10 tokens")
    assert response.get_attribute("role") == "status"
    if folder := os.environ.get("COURSE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/question.png")
    assert kinds_of(tutorial) == kinds, "JupyterLab took a number key for itself"
    page.keyboard.press("Escape")
    assert not form.evaluate("form => form.contains(document.activeElement)")

    file = course_copy / ".course" / "progress.json"
    assert json.loads(file.read_text(encoding="utf-8"))["answers"] == {QUESTION: [1]}
    tutorial.reload()
    assert asked(tutorial).locator(".course-response").inner_text().startswith("Right.")
    tutorial.ask("panel => panel.context.sessionContext.session.kernel.restart()")
    assert asked(tutorial).locator(".course-response").inner_text().startswith("Right.")
