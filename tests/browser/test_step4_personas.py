"""A learner in step 4's notebook in a real browser who wrote nothing: everything runs and can be used."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step4_generate"
CHECKS = 9


def test_who_wrote_nothing_hears_a_model_speak_and_can_answer_everything(run_notebook: Any) -> None:
    notebook, cells = run_notebook(f"{STEP}/tutorial.ipynb", "light")
    checks = notebook.checks(cells)
    assert len(checks) == CHECKS
    for source, text in checks:
        assert "not started" in text or "blocked" in text, (source, text)
        assert "passed" not in text.replace("not passed", ""), (source, text)
    said = [notebook.text(cell["id"]) for cell in cells]
    assert not any("Computed by your code" in text for text in said)
    assert sum("Computed by the reference" in text for text in said) >= 10
    (used,) = notebook.use_explorers(1)
    assert used["title"] == "The next token"
    assert used["controls"] >= 2
    assert used["dead"] == []
    assert "tokens are left" in used["says"]

    asked = [cell for cell in cells if cell["source"].startswith("ask(")]
    answered = notebook.use_questions()
    assert len(answered) == len(asked) >= 36
    for responses in answered:
        assert len(set(responses)) == len(responses) >= 2, responses
        assert min(map(len, responses)) >= 20, responses
