"""Two learners in step 3's notebooks in a real browser: one who wrote nothing, one who wrote everything."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step3_pretrain"
EXPLORERS = {
    "tutorial": ["Blocks of a stream", "The schedule", "Optimizers in a valley"],
    "further_tutorial": ["Small steps in few digits", "Five steps toward 1"],
}
CHECKS = {"tutorial": 11, "further_tutorial": 10}
COMPUTED = "Computed by your code"


def test_who_wrote_nothing_sees_the_reference_train_and_can_answer_everything(run_notebook: Any) -> None:
    notebook, cells = run_notebook(f"{STEP}/tutorial.ipynb", "light")
    checks = notebook.checks(cells)
    assert len(checks) == CHECKS["tutorial"]
    for source, text in checks:
        assert "not started" in text or "blocked" in text, (source, text)
        assert "passed" not in text.replace("not passed", ""), (source, text)
    said = [notebook.text(cell["id"]) for cell in cells]
    assert not any(COMPUTED in text for text in said)
    assert sum("Computed by the reference" in text for text in said) >= 10
    assert all("reference" in words for words in notebook.explorers_say(EXPLORERS["tutorial"]))

    asked = [cell for cell in cells if cell["source"].startswith("ask(")]
    answered = notebook.use_questions()
    # The live hunt asks one question more.
    assert len(answered) == len(asked) + 1 >= 45
    for responses in answered:
        assert len(set(responses)) == len(responses) >= 2, responses
        assert min(map(len, responses)) >= 20, responses


def test_who_wrote_everything_passes_what_goes_further(run_notebook: Any, write_all: Any) -> None:
    written = write_all(STEP, "model", "further")
    notebook, cells = run_notebook(f"{STEP}/further_tutorial.ipynb", "dark")
    checks = notebook.checks(cells)
    assert len(checks) == CHECKS["further_tutorial"]
    for source, text in checks:
        assert "passed" in text.replace("not passed", ""), (source, text)
    said = [notebook.text(cell["id"]) for cell in cells]
    assert sum(COMPUTED in text for text in said) >= 8
    notebook.explorers_say(EXPLORERS["further_tutorial"])
    assert {path: path.read_text(encoding="utf-8") for path in written} == written
