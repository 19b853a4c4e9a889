"""The pages of beams and of drafts show and say what Python computed, with keys and buttons alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from step2_model.model_solution import ModelArgs, Transformer
from step4_generate import explorers, further_solution
from step4_generate.explorers.beams import STEPS
from step4_generate.explorers.speculation import DRAFTS, NEW

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = [f"t{i}" for i in range(12)]
MOUNT = """async ([program, css, values, whose]) => {
    const style = document.head.appendChild(document.createElement('style'));
    style.textContent = css;
    const url = URL.createObjectURL(new Blob([program], {type: 'text/javascript'}));
    const model = { get: name => ({ values, arrays: {}, whose })[name] };
    (await import(url)).default.render({ model, el: document.body });
}"""
# The page draws in the frame after a change.
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def small_model(seed: int) -> Transformer:
    """Return a model of 12 tokens that has learned nothing, but says something."""
    sizes: dict[str, Any] = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_kv_heads": 2, "attention": "gqa"}
    torch.manual_seed(seed)
    model = Transformer(ModelArgs(**sizes, intermediate_size=24, vocab_size=12, max_seq_len=64)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.5)
    return model


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[[Any], Any]]:
    """Put an explorer on a page of its own."""
    page = browser.new_page(viewport={"width": 760, "height": 700})

    def shown(widget: Any) -> Any:
        page.set_content("<!doctype html><title>an explorer</title>")
        page.evaluate(MOUNT, [widget._esm, widget._css, widget.values, widget.whose])
        return page

    yield shown
    page.close()


def said(page: Any) -> str:
    page.evaluate(DRAWN)
    return str(page.inner_text(".said"))


def numbers(text: str, pattern: str) -> list[int]:
    found = re.match(pattern, text)
    assert found is not None, text
    return [int(number) for number in found.groups()]


BEAMS = r"Step (\d) of 6 with (\d) beams?: of (\d+) candidates (\d+) go on, (\d+) ended, (\d+) given up\."


def test_the_page_walks_through_the_tree(show: Callable[[Any], Any]) -> None:
    widget = explorers.beams(further_solution, small_model(0), torch.tensor([3, 1, 4]), NAMES, 5)
    page = show(widget)
    page.focus(".tree")
    for step in range(1, STEPS + 1):
        nodes = widget.values["trees"][2][step - 1]
        kinds = [sum(node["state"] == kind for node in nodes) for kind in ("open", "ended", "dropped")]
        text = said(page)
        assert numbers(text, BEAMS) == [step, 3, len(nodes), *kinds]
        assert f"beam_search finds “{widget.values['found'][2]['text']}”" in text
        page.keyboard.press("ArrowRight")
    assert numbers(said(page), BEAMS)[0] == STEPS, "there is no step behind the last"
    shown = sum(len(step) for step in widget.values["trees"][2])
    assert page.locator(".tree line").count() == shown
    first = page.locator(".tree text:not(.sum)").first.text_content()
    assert first.endswith(widget.values["trees"][2][0][0]["name"])


def test_the_number_of_beams_stays_between_one_and_four(show: Callable[[Any], Any]) -> None:
    page = show(explorers.beams(further_solution, small_model(0), torch.tensor([3, 1, 4]), NAMES, 5))
    page.focus(".tree")
    for key, end in (("ArrowUp", 4), ("ArrowDown", 1)):
        for _ in range(6):
            page.keyboard.press(key)
        assert numbers(said(page), BEAMS)[1] == end
    pairs = {"more beams": "ArrowUp", "fewer beams": "ArrowDown", "a step on": "ArrowRight"}
    for name, key in (pairs | {"a step back": "ArrowLeft"}).items():
        page.click(f"button:has-text('{name}')")
        clicked = said(page)
        opposite = {"ArrowUp": "ArrowDown", "ArrowRight": "ArrowLeft"}
        back = (opposite | {b: a for a, b in opposite.items()})[key]
        page.focus(".tree")
        page.keyboard.press(back)
        assert said(page) != clicked
        page.keyboard.press(key)
        assert said(page) == clicked


RACE = r"After (\d+) calls? of the large model: (\d+) tokens one by one, (\d+) with (\d+) drafts? a round"


def test_the_race_counts_what_was_computed(show: Callable[[Any], Any]) -> None:
    prompt = torch.tensor([[3, 1, 4]])
    widget = explorers.speculation(further_solution, small_model(0), small_model(1), prompt, NAMES)
    page = show(widget)
    race = widget.values["races"][DRAFTS.index(4)]
    page.focus(".race")
    for calls in range(1, 6):
        written, drafted = sum(race["brought"][:calls]), sum(race["drafted"][:calls])
        text = said(page)
        assert numbers(text, RACE) == [calls, calls, written, 4]
        assert f"Of {drafted} drafts {written - calls} were accepted." in text
        assert page.locator(".lane .drafted").count() == written - calls
        cells = page.locator("tbody td").all_text_contents()
        assert cells[4:6] == [str(sum(one["read"][:calls])) for one in (widget.values["races"][0], race)]
        page.keyboard.press("ArrowRight")
    for _ in range(NEW):
        page.keyboard.press("ArrowRight")
    text = said(page)
    assert numbers(text, RACE) == [NEW, NEW, NEW, 4]
    assert f"finished after {len(race['brought'])} calls" in text
    lanes = page.locator(".lane").nth(1).locator(".token").all_text_contents()
    assert lanes == race["names"]


def test_the_number_of_drafts_is_one_of_those_that_were_run(show: Callable[[Any], Any]) -> None:
    prompt = torch.tensor([[3, 1, 4]])
    page = show(explorers.speculation(further_solution, small_model(0), small_model(1), prompt, NAMES))
    page.focus(".race")
    for key, end in (("ArrowUp", DRAFTS[-1]), ("ArrowDown", DRAFTS[0])):
        for _ in range(len(DRAFTS)):
            page.keyboard.press(key)
        assert numbers(said(page), RACE)[3] == end
    page.click("button:has-text('more drafts')")
    assert numbers(said(page), RACE)[3] == DRAFTS[1]
