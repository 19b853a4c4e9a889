"""Two learners in step 1's notebook in a real browser: one who wrote nothing, one who wrote everything."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step1_tokenizer"
TUTORIAL = f"{STEP}/tutorial.ipynb"
CHECKS = 11


def test_who_wrote_nothing_sees_everything_run_by_the_reference(run_notebook: Any) -> None:
    notebook, cells = run_notebook(TUTORIAL, "light")
    checks = notebook.checks(cells)
    assert len(checks) == CHECKS
    for source, text in checks:
        assert "not started" in text or "blocked" in text, (source, text)
    assert not any("Computed by your code" in notebook.text(cell["id"]) for cell in cells)
    for explorer in notebook.use_explorers(3):
        assert explorer["controls"] >= 1, explorer["title"]
        assert explorer["dead"] == [], explorer["title"]
    prompt = notebook.page.locator("form.course-question legend").first
    assert prompt.locator("em").text_content() == "other", "a stressed word of the prompt"


def test_who_wrote_everything_passes_everything(run_notebook: Any, write_all: Any) -> None:
    write_all(STEP, "model")
    notebook, cells = run_notebook(TUTORIAL, "dark")
    checks = notebook.checks(cells)
    assert len(checks) == CHECKS
    for source, text in checks:
        assert "passed" in text.replace("not passed", ""), (source, text)
    said = [notebook.text(cell["id"]) for cell in cells]
    assert sum("Computed by your code" in text for text in said) >= 6
    assert [text for text in said if "Computed by the reference:" in text] == []
