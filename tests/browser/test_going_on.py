"""`python start.py` opens the course where the learner goes on, in the tutorial and in their file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEP = "step2_model"
SEEN = """e => { const { top, bottom } = e.getBoundingClientRect(); return top >= 0 && top < innerHeight; }"""


def test_start_py_opens_the_section_and_the_line_of_the_first_open_exercise(started: Any) -> None:
    wanted = []

    def prepare(course: Path) -> None:
        (course / ".course").mkdir()
        progress = {"exercises": {"2.1": {"earned": "2026-01-01T10-00-00"}}}
        (course / ".course" / "progress.json").write_text(json.dumps(progress), encoding="utf-8")
        lines = (course / STEP / "model_exercise.py").read_text(encoding="utf-8").splitlines()
        above = lines[: next(n for n, line in enumerate(lines) if "TODO 2.2:" in line)]
        wanted.append(max(n for n, line in enumerate(above, start=1) if line.lstrip().startswith("def ")))

    with started(prepare) as page:
        (number,) = wanted
        assert number > 100, "it is far from the top"
        active = page.locator(".jp-Notebook .jp-Cell.jp-mod-active h2")
        active.filter(has_text=re.compile(r"^2\.2 ")).wait_for(timeout=60_000)  # 2.1 is passed
        page.wait_for_function(f"() => ({SEEN})(document.querySelector('.jp-Cell.jp-mod-active'))")
        number_beside = page.locator(".jp-FileEditor .cm-lineNumbers .cm-gutterElement")
        number_beside = number_beside.filter(has_text=re.compile(f"^{number}$"))
        number_beside.wait_for(timeout=30_000)
        assert number_beside.evaluate(SEEN)
        page.keyboard.press("Control+Shift+Period")
        page.locator("#jp-main-statusbar").get_by_text(f"Ln {number},").wait_for(timeout=30_000)
        assert STEP in page.url
        if folder := os.environ.get("COURSE_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/going-on.png")
