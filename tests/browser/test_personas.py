"""Two learners in a real browser: one who wrote nothing, one who wrote everything. No request leaves
the machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from coursekit.registry import load_step
from coursekit.source import exercise_text

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
RUN_ALL = 600_000

NOTEBOOK = f"""() => {{
    const widgets = [...jupyterapp.shell.widgets('main')];
    return widgets.find(widget => widget.context?.path === '{STEP}/tutorial.ipynb');
}}"""
READY = f"""async () => {{
    const context = ({NOTEBOOK})().context;
    await context.ready;
    await context.sessionContext.ready;
    await context.sessionContext.session.kernel.info;
}}"""
RUN = f"""async () => {{
    jupyterapp.shell.activateById(({NOTEBOOK})().id);
    await jupyterapp.commands.execute('notebook:run-all-cells');
}}"""
# Every code cell with what it shows: its source, its count, and its outputs as plain objects.
CELLS = f"""() => [...({NOTEBOOK})().content.model.cells].filter(cell => cell.type === 'code').map(cell => ({{
    source: cell.sharedModel.getSource(),
    count: cell.executionCount,
    outputs: Array.from({{length: cell.outputs.length}}, (_, i) => cell.outputs.get(i).toJSON()),
}}))"""

SCROLL = f"""async index => {{
    const notebook = ({NOTEBOOK})().content;
    notebook.activeCellIndex = index;
    await notebook.scrollToItem(index, 'start');
}}"""


def run_all(page: Any) -> list[dict[str, Any]]:
    """Run every cell of the tutorial and return the code cells with their outputs."""
    page.set_default_timeout(RUN_ALL)
    page.wait_for_function(f"() => ({NOTEBOOK})()", timeout=120_000)
    page.evaluate(READY)
    page.evaluate(RUN)
    page.wait_for_function(
        f"() => (({CELLS})()).every(cell => cell.count !== null || !cell.source.trim())", timeout=RUN_ALL
    )
    return page.evaluate(CELLS)


def text_of(cell: dict[str, Any]) -> str:
    """Return what a cell's outputs say, as plain text."""
    parts = []
    for output in cell["outputs"]:
        data = output.get("data", {}).get("text/plain", output.get("text", ""))
        parts.append(data if isinstance(data, str) else "".join(data))
    return "\n".join(parts)


def keep_screenshots(page: Any, name: str) -> None:
    """Keep pictures of the page where COURSE_SCREENSHOTS names a folder, for people to look at."""
    folder = os.environ.get("COURSE_SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    count = page.evaluate(f"() => ({NOTEBOOK})().content.widgets.length")
    for index in range(0, count, 6):
        page.evaluate(SCROLL, index)
        page.wait_for_timeout(700)
        page.screenshot(path=f"{folder}/{name}-{index:03}.png")


def stays_here(page: Any) -> bool:
    """Tell whether every request of the page went to this machine."""
    local = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "http://localhost", "ws://localhost")
    return all(url.startswith(local) for url in page.requests_made)


def errors_of(cells: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return source and output of every cell that shows a traceback."""
    return [(c["source"], o) for c in cells for o in c["outputs"] if o["output_type"] == "error"]


def test_who_wrote_nothing_reads_not_started_everywhere_and_nothing_green(open_lab: Any) -> None:
    page = open_lab("light")
    cells = run_all(page)
    assert errors_of(cells) == []
    checks = [cell for cell in cells if cell["source"].startswith("check(")]
    assert len(checks) == 13
    for cell in checks:
        said = text_of(cell)
        assert "not started" in said or "blocked" in said, (cell["source"], said)
        assert "passed" not in said.replace("not passed", ""), (cell["source"], said)
    assert sum("not written yet" in text_of(cell) for cell in cells) >= 10
    keep_screenshots(page, "untouched-light")
    assert page.requests_made
    assert stays_here(page), [url for url in page.requests_made if "127.0.0.1" not in url]


def test_who_wrote_everything_passes_everything_and_the_model_writes(
    open_lab: Any, course_copy: Path
) -> None:
    step = load_step(course_copy / STEP)
    solution = (course_copy / STEP / "model_solution.py").read_text(encoding="utf-8")
    exercise = course_copy / STEP / "model_exercise.py"
    exercise.write_text(exercise_text(solution, step, "model"), encoding="utf-8")
    page = open_lab("dark")
    cells = run_all(page)
    assert errors_of(cells) == []
    checks = [cell for cell in cells if cell["source"].startswith("check(")]
    assert len(checks) == 13
    for cell in checks:
        assert "passed" in text_of(cell), (cell["source"], text_of(cell))
    assert not any("not written yet" in text_of(cell) for cell in cells)
    written = next(cell for cell in cells if "finale.write(" in cell["source"])
    assert text_of(written).startswith("def ")
    assert len(text_of(written)) > 100
    keep_screenshots(page, "solver-dark")
    assert stays_here(page), [url for url in page.requests_made if "127.0.0.1" not in url]
    assert exercise.read_text(encoding="utf-8") == exercise_text(solution, step, "model")
