"""Two learners in step 1's notebook in a real browser: one who wrote nothing, one who wrote everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coursekit.registry import load_step
from coursekit.source import exercise_text

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step1_tokenizer"
CHECKS = 11
# Presses the keys of every explorer's place to walk; says which changed nothing.
WALK = """async () => {
    const paint = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const still = [];
    for (const explorer of document.querySelectorAll('.course-explorer')) {
        const before = explorer.innerHTML;
        for (const control of explorer.querySelectorAll('[role=slider], button')) {
            control.focus();
            if (control.getAttribute('role') !== 'slider') control.click();
            else for (const key of ['End', 'Home', 'ArrowRight', 'ArrowUp'])
                control.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
            await paint();
        }
        if (explorer.innerHTML === before) still.push(explorer.getAttribute('aria-label'));
    }
    return still;
}"""


def walk(open_lab: Any, notebook_class: Any, theme: str) -> tuple[Any, list[str], dict[str, str]]:
    """Run all of the notebook; return it, what its cells say, and what its checks say. No cell may raise."""
    page = open_lab(theme)
    path = f"{STEP}/tutorial.ipynb"
    page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', { path })", path)
    notebook = notebook_class(page, path)
    cells = notebook.run_all()
    assert [cell["source"] for cell in cells for o in cell["outputs"] if o["output_type"] == "error"] == []
    said = [notebook.text(cell["id"]) for cell in cells]
    checks = {c["source"]: text for c, text in zip(cells, said) if c["source"].startswith("check(")}
    assert len(checks) == CHECKS
    return notebook, said, checks


def test_who_wrote_nothing_sees_everything_run_by_the_reference(open_lab: Any, notebook_class: Any) -> None:
    notebook, said, checks = walk(open_lab, notebook_class, "light")
    for source, text in checks.items():
        assert "not started" in text or "blocked" in text, (source, text)
    assert not any("Computed by your code" in text for text in said)
    notebook.page.wait_for_function("() => document.querySelectorAll('.course-explorer').length === 3")
    assert notebook.page.evaluate(WALK) == []
    prompt = notebook.page.locator("form.course-question legend").first
    assert prompt.locator("em").text_content() == "other", "a stressed word of the prompt"


def test_who_wrote_everything_passes_everything(
    open_lab: Any, notebook_class: Any, course_copy: Path
) -> None:
    step = load_step(course_copy / STEP)
    solution = (course_copy / STEP / "model_solution.py").read_text(encoding="utf-8")
    (course_copy / STEP / "model_exercise.py").write_text(
        exercise_text(solution, step, "model"), encoding="utf-8"
    )
    _, said, checks = walk(open_lab, notebook_class, "dark")
    for source, text in checks.items():
        assert "passed" in text.replace("not passed", ""), (source, text)
    assert sum("Computed by your code" in text for text in said) >= 6
    assert [text for text in said if "Computed by the reference:" in text] == []
