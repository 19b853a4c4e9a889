"""A learner who does everything in the wrong order: never old behavior, never a false green, nothing lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from coursekit.source import find_spans

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
RIGHT = "    return q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5\n"
UNSCALED = "    return q @ k.transpose(-2, -1)\n"
OPEN = "    return (q @ k.transpose(-2, -1)\n"
EARLIER = "From an earlier version of your file"
PLAY = "scores = mine.attention_scores(query, keys)"
MARKED = """(panel, id) => panel.content.widgets.find(c => c.model.id === id)
    .node.classList.contains('course-earlier')"""
KERNEL = """(panel, code) => panel.context.sessionContext.session.kernel
    .requestExecute({code}).done.then(() => null)"""
IDLE = "async panel => panel.context.sessionContext.session.kernel.status === 'idle'"


@pytest.fixture
def write(course_copy: Path) -> Any:
    """Return a function that saves the learner's file with this body of `attention_scores`."""
    path = course_copy / STEP / "model_exercise.py"
    stub = path.read_text(encoding="utf-8")
    span = find_spans(stub, ["attention_scores"])["attention_scores"]

    def save(body: str) -> str:
        lines = stub.splitlines(keepends=True)
        lines[span.body_first - 1 : span.last] = [body]
        path.write_text("".join(lines), encoding="utf-8")
        return "".join(lines)

    return save


def saved(tutorial: Any) -> None:
    """Wait until the tutorial is saved, as it is by itself when a cell has run."""
    tutorial.page.wait_for_function(f"() => !{tutorial.panel}.context.model.dirty")


def test_edits_between_cells_give_no_old_behavior_and_no_false_green(open_tutorial: Any, write: Any) -> None:
    tutorial = open_tutorial()
    assert "passed" not in tutorial.run('check("2.3a")'), "run before the cell that imports check"
    tutorial.run("from coursekit import")
    assert "not started" in tutorial.run('check("2.3a")')
    write(RIGHT)
    assert "the reference" in tutorial.run(PLAY), "not passed yet: a play cell runs before the check"
    assert "2.3a" in tutorial.run('check("2.3a")')
    check = tutorial.find('check("2.3a")')
    assert "passed" in tutorial.text(check)
    assert "your code" in tutorial.run(PLAY)

    write(OPEN)
    assert "was never closed" in tutorial.run('check("2.3a")')
    assert "passed" not in tutorial.text(check)
    said = tutorial.run(PLAY)
    assert "line" in said, said
    assert "your code" not in said

    write(RIGHT)
    assert "your code" in tutorial.run(PLAY)
    write(UNSCALED)
    said = tutorial.run('check("2.3a")')
    assert "failed" in said, said
    assert "passed" not in said


def answered(tutorial: Any) -> str:
    """Answer a question by mouse; return what comes back."""
    tutorial.run('ask("2.q-scale")')
    form = tutorial.page.locator("form.course-question")
    form.locator("label").first.click()
    form.locator("button").click()
    said = form.locator("[role=status]").inner_text()
    assert said
    return said


def test_a_reload_brings_everything_back_and_marks_what_the_file_has_left_behind(
    open_tutorial: Any, write: Any, course_copy: Path
) -> None:
    built = (course_copy / STEP / "tutorial.ipynb").read_bytes()
    tutorial = open_tutorial()
    tutorial.run("from coursekit import")
    write(RIGHT)
    tutorial.run('check("2.3a")')
    check = tutorial.find('check("2.3a")')
    green = tutorial.shown(check)
    assert "passed" in green
    answer = answered(tutorial)
    saved(tutorial)
    assert (course_copy / STEP / "tutorial.ipynb").read_bytes() == built

    tutorial.reload()
    assert "2.q-scale" in tutorial.ask("panel => panel.content.activeCell.model.sharedModel.getSource()")
    assert tutorial.shown(check) == green
    assert tutorial.page.locator("form.course-question [role=status]").inner_text() == answer

    write(UNSCALED)
    # The learner returns to the page from another program.
    tutorial.page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    tutorial.page.wait_for_function(f"id => ({MARKED})({tutorial.panel}, id)", arg=check, timeout=30_000)
    tutorial.reload()
    shown = tutorial.shown(check)
    assert EARLIER in shown
    assert "passed" not in shown, "folded away, not green"
    write(RIGHT)
    tutorial.reload()
    assert tutorial.shown(check) == green, "of this very version: as it was"
    write(UNSCALED)
    assert "failed" in tutorial.run('check("2.3a")')
    assert not tutorial.ask(MARKED, check)

    tutorial.ask("panel => panel.context.sessionContext.session.kernel.restart()")
    saved(tutorial)
    tutorial.reload()
    assert "Run this cell again to use it" in tutorial.shown(tutorial.find('ask("2.q-scale")'))


def test_stop_ends_a_training_that_goes_on_for_minutes_also_after_a_reload(open_tutorial: Any) -> None:
    tutorial = open_tutorial()
    tutorial.run("from coursekit import")
    tutorial.ask(KERNEL, 'import os; os.environ["COURSE_BUDGET"] = "seconds=600,bytes=4000"')
    tutorial.run("finale.prepare(mine")
    tutorial.ask(
        KERNEL, "run = finale.prepare(mine, shape=dict(n_layer=1, n_head=2, n_embd=32, block_size=32))"
    )
    train = tutorial.find("finale.train(run)")
    plot = tutorial.page.locator(".course-loss")
    stop = plot.get_by_role("button", name="Stop training")
    tutorial.start(train)
    stop.wait_for(timeout=60_000)
    stop.click()
    began = time.monotonic()
    plot.get_by_text("Training ended (stopped)").first.wait_for(timeout=30_000)
    print(f"stopped {time.monotonic() - began:.2f} s after the button was pressed")
    tutorial.page.wait_for_function(f"() => ({IDLE})({tutorial.panel})", timeout=30_000)

    # A page that is loaded while a cell runs hears from the kernel only when the cell ends; it can interrupt.
    tutorial.start(train)
    stop.wait_for(timeout=60_000)
    tutorial.page.wait_for_timeout(2000)
    saved(tutorial)
    tutorial.page.reload()
    tutorial.page.wait_for_function("() => window.jupyterapp", timeout=60_000)
    tutorial.page.evaluate("() => jupyterapp.restored")
    tutorial.page.wait_for_function(f"() => {tutorial.panel}.context.sessionContext.session?.kernel")
    tutorial.ask("panel => panel.context.sessionContext.session.kernel.interrupt()")
    plot.get_by_text("Training ended (interrupted)").first.wait_for(timeout=60_000)
    assert "The model is kept" in plot.inner_text()
