"""A hunt played with keys alone in a real notebook."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def press(page: Any, control: Any) -> None:
    """Reach a control as a keyboard does, and press it."""
    control.focus()
    page.keyboard.press("Enter")


def name_until_found(page: Any, hunt: Any) -> int:
    """Name one candidate after the other; return how many were wrong."""
    entries = hunt.locator(".course-hunt-entry")
    wrong = 0
    while hunt.get_by_role("button", name="Name it").count():
        hunt.locator("input:not(:disabled)").first.focus()
        page.keyboard.press("Space")
        before = entries.count()
        press(page, hunt.get_by_role("button", name="Name it"))
        entries.nth(before).wait_for(timeout=30_000)
        wrong += entries.nth(before).inner_text().startswith("It is not")
        page.wait_for_timeout(200)
    return wrong


def test_a_hunt_is_played_to_its_end_with_keys_alone(open_tutorial: Any, course_copy: Path) -> None:
    tutorial = open_tutorial()
    page = tutorial.page
    tutorial.run("from coursekit import ask")
    tutorial.run("hunt()")
    hunt = page.locator(".course-hunt").first
    hunt.wait_for(timeout=60_000)
    foot = hunt.locator(".course-hunt-foot")
    press(page, hunt.get_by_role("button", name="Begin"))
    page.wait_for_function("foot => foot.innerText", arg=foot.element_handle(), timeout=30_000)
    assert foot.inner_text().startswith("No exercise is passed yet")

    # An exercise that is passed meanwhile is hunted in without running the cell again.
    file = course_copy / ".course" / "progress.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"exercises": {"2.3a": {"earned": "2026-01-01T10-00-00"}}}), encoding="utf-8")
    press(page, hunt.get_by_role("button", name="Begin"))
    hunt.locator("legend").first.wait_for(timeout=60_000)
    assert hunt.locator("legend").first.inner_text().startswith("attention_scores carries one of these")
    entries = hunt.locator(".course-hunt-entry")
    look = hunt.locator("button.is-place").first
    press(page, look)
    entries.nth(0).wait_for(timeout=30_000)
    assert "This model gives" in entries.nth(0).inner_text()
    assert look.evaluate("button => document.activeElement === button"), "a look moved the keyboard's place"
    press(page, hunt.get_by_role("button", name="1 with right code's answer, a clue"))
    entries.nth(1).wait_for(timeout=30_000)
    assert "Right code gives" in entries.nth(1).inner_text()
    if folder := os.environ.get("COURSE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/hunt.png")

    wrong = name_until_found(page, hunt)
    assert hunt.get_by_role("button", name="Another hunt").count() == 1
    if folder := os.environ.get("COURSE_SCREENSHOTS"):
        hunt.scroll_into_view_if_needed()
        page.screenshot(path=f"{folder}/hunt-over.png")
    kept = json.loads(file.read_text(encoding="utf-8"))["hunts"]
    assert kept["played"] == 1
    assert kept["streak"] == (0 if wrong else 1)
    assert hunt.locator("[role=log]").count() == 1
