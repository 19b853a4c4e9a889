"""Step 2's second and third notebook in a real browser: one learner wrote nothing, one wrote everything."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
EXPLORERS = {"modern": ["Rotary positions"], "further": ["MLA's shapes", "The router", "What a cache costs"]}
CHECKS = {"modern": 14, "further": 17}


def test_who_wrote_nothing_sees_the_modern_part_run_by_the_reference(run_notebook: Any) -> None:
    notebook, cells = run_notebook(f"{STEP}/modern_tutorial.ipynb", "light")
    checks = notebook.checks(cells)
    assert len(checks) == CHECKS["modern"]
    for source, text in checks:
        assert "not started" in text or "blocked" in text, (source, text)
        assert "passed" not in text.replace("not passed", ""), (source, text)
    said = [notebook.text(cell["id"]) for cell in cells]
    assert not any("your code (" in text for text in said)
    assert sum("Computed by the reference" in text for text in said) >= 15
    assert all("reference" in words for words in notebook.explorers_say(EXPLORERS["modern"]))


def test_who_wrote_everything_passes_what_goes_further(run_notebook: Any, write_all: Any) -> None:
    written = write_all(STEP, "model", "further")
    notebook, cells = run_notebook(f"{STEP}/further_tutorial.ipynb", "dark")
    checks = notebook.checks(cells)
    assert len(checks) == CHECKS["further"]
    for source, text in checks:
        assert "passed" in text.replace("not passed", ""), (source, text)
    notebook.explorers_say(EXPLORERS["further"])
    assert {path: path.read_text(encoding="utf-8") for path in written} == written
