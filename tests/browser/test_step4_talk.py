"""The page of the talk: a question goes out with the story, pieces come in, the verdict stands beneath."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.registry import COURSE_ROOT
from coursekit.widgets import sheets

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FOLDER = COURSE_ROOT / "step4_generate" / "talk"
STORY = "One day, Ada wanted a red bike."
# A model that keeps what the page sends, and lets a test change it as a kernel would.
MOUNT = """async ([program, css, state]) => {
    const style = document.createElement('style');
    style.textContent = css;
    document.head.append(style);
    const heard = {};
    window.sent = [];
    window.model = {
        get: name => state[name],
        send: message => window.sent.push(message),
        on: (name, call) => (heard[name] ??= new Set()).add(call),
        off: (name, call) => heard[name]?.delete(call),
    };
    window.change = (name, value) => {
        state[name] = value;
        heard[`change:${name}`]?.forEach(call => call());
    };
    window.piece = text => heard['msg:custom'].forEach(call => call({piece: text}));
    window.listeners = () => Object.values(heard).reduce((sum, calls) => sum + calls.size, 0);
    const url = URL.createObjectURL(new Blob([program], {type: 'text/javascript'}));
    const el = document.createElement('div');
    document.body.append(el);
    window.end = (await import(url)).default.render({model: window.model, el});
}"""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.set_content("<!doctype html><title>talk</title>")
    program = Path(FOLDER / "talk.js").read_text(encoding="utf-8")
    css = sheets.joined(sheets.PAGE, FOLDER / "talk.css")
    state = {
        "story": STORY,
        "turns": [],
        "running": False,
        "problem": "",
        "whose": "Computed by the reference.",
    }
    page.evaluate(MOUNT, [program, css, state])
    yield page
    page.close()


def test_a_question_is_asked_and_answered_with_the_keyboard_alone(page: Any) -> None:
    assert page.input_value("textarea") == STORY
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.keyboard.press("Control+End")
    page.keyboard.type(" Ada was glad.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("Who <b>wanted</b> it?")
    page.keyboard.press("Enter")
    asked = {"ask": "Who <b>wanted</b> it?", "story": f"{STORY} Ada was glad."}
    assert page.evaluate("() => window.sent") == [asked]
    page.evaluate("() => { change('running', true); piece('A'); piece('da.'); }")
    assert page.inner_text(".asked") == "You: Who <b>wanted</b> it?"
    assert page.inner_text(".answered") == "Model: Ada."
    assert page.get_attribute("[role=log]", "aria-busy") == "true"
    assert page.is_disabled("button[type=submit]")
    page.click("text=Stop")
    assert page.evaluate("() => window.sent[1]") == {"stop": True}
    turn = {
        "question": "Who?",
        "answer": "Ada.",
        "note": "",
        "verdict": "right: it says so",
        "is_right": True,
    }
    page.evaluate("turn => { change('turns', [turn]); change('running', false); }", turn)
    assert page.inner_text(".verdict") == "✓ right: it says so"
    assert page.get_attribute("[role=log]", "aria-busy") == "false"
    assert page.evaluate("() => document.activeElement.className") == "question", "the next one can be typed"


def test_another_story_comes_from_the_kernel_and_a_problem_is_a_status(page: Any) -> None:
    page.click("text=Another story")
    assert page.evaluate("() => window.sent") == [{"draw": True}]
    page.evaluate("() => { change('story', 'In spring.'); change('problem', 'a sentence'); }")
    assert page.input_value("textarea") == "In spring."
    assert page.inner_text("[role=status]") == "a sentence"
    page.press("input", "Enter")
    assert page.evaluate("() => window.sent.length") == 1, "an empty question is not asked"


def test_every_field_has_a_label_and_a_closed_page_hears_nothing(page: Any) -> None:
    labels = page.evaluate(
        "() => [...document.querySelectorAll('textarea, input')].map(e => e.labels.length)"
    )
    assert labels == [1, 1]
    assert page.evaluate("() => listeners()") > 0
    page.evaluate("() => end()")
    assert page.evaluate("() => listeners()") == 0
