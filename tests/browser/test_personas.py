"""Two learners in a real browser: one who wrote nothing, one who wrote everything. No request leaves
the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.registry import load_step
from coursekit.source import exercise_text

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
CHECKS = 13
KEYS = ("ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "Home", "End")
# Every explorer with what it says, and the controls of which no key and no click changed a thing in it. A
# choice that is already made does nothing: what did nothing is tried again when the others have been used.
USE_EXPLORERS = """async keys => {
    const paint = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const isDead = async (explorer, control) => {
        const before = explorer.innerHTML;
        const isSlider = control.getAttribute('role') === 'slider';
        control.focus();
        for (const key of isSlider ? keys : ['Enter']) {
            if (isSlider) control.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
            else control.click();
            await paint();
            if (explorer.innerHTML !== before) return false;
        }
        return true;
    };
    const used = [];
    for (const explorer of document.querySelectorAll('.course-explorer')) {
        const controls = [...explorer.querySelectorAll('[role=slider], button')];
        let dead = controls;
        for (const attempt of [1, 2]) {
            const still = [];
            for (const control of dead) if (await isDead(explorer, control)) still.push(control);
            dead = still;
        }
        used.push({ title: explorer.getAttribute('aria-label'), says: explorer.innerText,
                    controls: controls.length,
                    dead: dead.map(control => control.getAttribute('aria-label') ?? control.textContent) });
    }
    return used;
}"""
# Every question: each choice is answered; what came back for them.
USE_QUESTIONS = """() => [...document.querySelectorAll('form.course-question')].map(form =>
    [...form.querySelectorAll('input[type=radio]')].map(radio => {
        radio.click();
        form.querySelector('button').click();
        return form.querySelector('[role=status]').textContent;
    }))"""


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


def errors_of(cells: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return source and output of every cell that shows a traceback."""
    return [(c["source"], o) for c in cells for o in c["outputs"] if o["output_type"] == "error"]


def checks_of(tutorial: Any, cells: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return source and text of every check cell."""
    return [(c["source"], tutorial.text(c["id"])) for c in cells if c["source"].startswith("check(")]


@pytest.fixture
def laboratory(new_laboratory: Any) -> Iterator[Any]:
    """A served course for each persona: nobody begins where another has left off."""
    with new_laboratory() as served:
        yield served


def test_who_wrote_nothing_reads_not_started_and_can_use_every_explorer_and_question(
    open_tutorial: Any, course_copy: Path
) -> None:
    tutorial = open_tutorial("light")
    cells = tutorial.run_all()
    assert errors_of(cells) == []
    checks = checks_of(tutorial, cells)
    assert len(checks) == CHECKS
    for source, said in checks:
        assert "not started" in said or "blocked" in said, (source, said)
        assert "passed" not in said.replace("not passed", ""), (source, said)
    labels = [tutorial.text(cell["id"]) for cell in cells]
    assert not any("Computed by your code" in said for said in labels)
    assert sum("the reference" in said for said in labels) >= 10

    made_by = [cell for cell in cells if cell["source"].count("explorers.") and cell["outputs"]]
    tutorial.page.wait_for_function(
        "n => document.querySelectorAll('.course-explorer').length === n", arg=len(made_by)
    )
    used = tutorial.page.evaluate(USE_EXPLORERS, list(KEYS))
    assert len(used) == len(made_by) >= 3
    for explorer in used:
        assert explorer["controls"] >= 1, explorer["title"]
        assert explorer["dead"] == [], explorer["title"]
        assert "reference" in explorer["says"], explorer["title"]

    asked = [cell for cell in cells if cell["source"].startswith("ask(")]
    said = tutorial.page.evaluate(USE_QUESTIONS)
    assert len(said) == len(asked) == len(load_step(course_copy / STEP).questions)
    for responses in said:
        assert len(set(responses)) == len(responses) >= 2, responses
        assert min(map(len, responses)) > 20, responses
    keep_screenshots(tutorial, "untouched-light")


def test_who_wrote_everything_passes_everything_and_the_model_writes(
    open_tutorial: Any, course_copy: Path
) -> None:
    step = load_step(course_copy / STEP)
    solution = (course_copy / STEP / "model_solution.py").read_text(encoding="utf-8")
    exercise = course_copy / STEP / "model_exercise.py"
    exercise.write_text(exercise_text(solution, step, "model"), encoding="utf-8")
    tutorial = open_tutorial("dark")
    cells = tutorial.run_all()
    assert errors_of(cells) == []
    checks = checks_of(tutorial, cells)
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
    assert exercise.read_text(encoding="utf-8") == exercise_text(solution, step, "model")
