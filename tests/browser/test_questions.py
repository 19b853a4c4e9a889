"""A question answered without a mouse in a real notebook; the answer outlives a reload and a restart."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NOTEBOOK = """() => [...jupyterapp.shell.widgets('main')].find(
    widget => widget.context?.path === 'step2_model/tutorial.ipynb')"""
# Runs the first code cell with this text and resolves when it is done.
RUN = f"""async text => {{
    const panel = ({NOTEBOOK})();
    await panel.context.ready;
    await panel.context.sessionContext.ready;
    jupyterapp.shell.activateById(panel.id);
    const cells = [...panel.content.model.cells];
    const holds = cell => cell.type === 'code' && cell.sharedModel.getSource().includes(text);
    const index = cells.findIndex(holds);
    await panel.content.scrollToItem(index, 'start');
    panel.content.activeCellIndex = index;
    await jupyterapp.commands.execute('notebook:run-cell');
    return cells[index].sharedModel.getSource();
}}"""
RESTART = f"async () => (({NOTEBOOK})()).context.sessionContext.session.kernel.restart()"
KINDS = f"() => [...({NOTEBOOK})().content.model.cells].map(cell => cell.type).join()"
QUESTION = "2.q-positions"


def asked(page: Any) -> Any:
    """Run what the page needs and the question's cell; return the question's form."""
    page.wait_for_function(f"() => ({NOTEBOOK})()", timeout=120_000)
    page.evaluate(RUN, "from coursekit import ask")
    page.evaluate(RUN, f'ask("{QUESTION}")')
    form = page.locator("form.course-question").first
    form.wait_for(timeout=60_000)
    return form


def test_a_question_is_answered_by_keys_and_the_answer_outlives_a_reload_and_a_restart(
    open_lab: Any, course_copy: Path
) -> None:
    page = open_lab()
    form = asked(page)
    kinds = page.evaluate(KINDS)
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
    assert page.evaluate(KINDS) == kinds, "JupyterLab took a number key for itself"
    page.keyboard.press("Escape")
    assert not form.evaluate("form => form.contains(document.activeElement)")

    file = course_copy / ".course" / "progress.json"
    assert json.loads(file.read_text(encoding="utf-8"))["answers"] == {QUESTION: [1]}
    page.reload()
    page.wait_for_function("() => window.jupyterapp", timeout=120_000)
    page.evaluate("() => jupyterapp.restored")
    assert asked(page).locator(".course-response").inner_text().startswith("Right.")
    page.evaluate(RESTART)
    assert asked(page).locator(".course-response").inner_text().startswith("Right.")
