"""Two learners in a real browser: one who wrote nothing, one who wrote everything. No request leaves
the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
TUTORIAL = f"{STEP}/tutorial.ipynb"
CHECKS = 13


def keep_screenshots(tutorial: Any, name: str) -> None:
    """Keep pictures of the page where COURSE_SCREENSHOTS names a folder, for people to look at."""
    folder = os.environ.get("COURSE_SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    cells = tutorial.cells()
    for index in range(0, len(cells), 3):
        tutorial.go(cells[index]["id"])
        tutorial.page.wait_for_timeout(700)
        tutorial.page.screenshot(path=f"{folder}/{name}-{index:03}.png")


@pytest.fixture
def laboratory(new_laboratory: Any) -> Iterator[Any]:
    """A served course for each persona: nobody begins where another has left off."""
    with new_laboratory() as served:
        yield served


def test_who_wrote_nothing_reads_not_started_and_can_use_every_explorer_and_question(
    run_notebook: Any,
) -> None:
    tutorial, cells = run_notebook(TUTORIAL, "light")
    checks = tutorial.checks(cells)
    assert len(checks) == CHECKS
    for source, said in checks:
        assert "not started" in said or "blocked" in said, (source, said)
        assert "passed" not in said.replace("not passed", ""), (source, said)
    labels = [tutorial.text(cell["id"]) for cell in cells]
    assert not any("Computed by your code" in said for said in labels)
    assert sum("the reference" in said for said in labels) >= 10

    made_by = [cell for cell in cells if cell["source"].count("explorers.") and cell["outputs"]]
    used = tutorial.use_explorers(len(made_by))
    assert len(used) == len(made_by) >= 3
    for explorer in used:
        assert explorer["controls"] >= 1, explorer["title"]
        assert explorer["dead"] == [], explorer["title"]
        assert "reference" in explorer["says"], explorer["title"]

    asked = [cell for cell in cells if cell["source"].startswith("ask(")]
    said = tutorial.use_questions()
    assert len(said) == len(asked) >= 40
    for responses in said:
        assert len(set(responses)) == len(responses) >= 2, responses
        assert min(map(len, responses)) > 20, responses
    keep_screenshots(tutorial, "untouched-light")


def test_who_wrote_everything_passes_everything_and_the_model_writes(
    run_notebook: Any, write_all: Any
) -> None:
    written_files = write_all(STEP, "model")
    tutorial, cells = run_notebook(TUTORIAL, "dark")
    checks = tutorial.checks(cells)
    assert len(checks) == CHECKS
    for source, said in checks:
        assert "passed" in said, (source, said)
    labels = [tutorial.text(cell["id"]) for cell in cells]
    assert not any("not written yet" in said for said in labels)
    assert sum("your code" in said for said in labels) >= 10
    written = tutorial.text(next(cell["id"] for cell in cells if "finale.write(" in cell["source"]))
    assert "def " in written
    assert len(written) > 100
    keep_screenshots(tutorial, "solver-dark")
    assert {path: path.read_text(encoding="utf-8") for path in written_files} == written_files
