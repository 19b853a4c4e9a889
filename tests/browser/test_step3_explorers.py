"""The pages of step 3's explorers: keys move what they should, and what the page itself computes is right."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from step3_pretrain import explorers, model_solution

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DOCUMENTS = [[f"w{i} " for i in range(length)] for length in (30, 50, 20)]
SHOW = """async ([program, css, values, arrays, whose]) => {
    const style = document.head.appendChild(document.createElement('style'));
    style.textContent = css;
    const url = URL.createObjectURL(new Blob([program], {type: 'text/javascript'}));
    const module = await import(url);
    window.inside = module.inside;
    const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
    for (const array of Object.values(arrays)) array.data = bytes(array.data);
    const model = { get: name => ({ values, arrays, whose })[name] };
    module.default.render({ model, el: document.body });
}"""


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """A function that shows an explorer on a page of its own, with some of its program's names."""
    pages = []

    def show(widget: Any, *inside: str) -> Any:
        page = browser.new_page(viewport={"width": 760, "height": 700})
        pages.append(page)
        page.set_content("<!doctype html><title>an explorer</title>")
        arrays = {
            name: {"shape": array["shape"], "data": base64.b64encode(array["data"]).decode()}
            for name, array in widget.arrays.items()
        }
        program = f"{widget._esm}\nexport const inside = {{ {', '.join(inside)} }};"
        page.evaluate(SHOW, [program, widget._css, widget.values, arrays, widget.whose])
        return page

    yield show
    for page in pages:
        page.close()


def said(page: Any) -> str:
    page.wait_for_timeout(100)
    return str(page.locator(".said").inner_text())


def test_the_schedules_keys_move_warm_up_and_floor_and_stop_at_the_ends(open_page: Any) -> None:
    page = open_page(explorers.schedule(model_solution), "straight")
    assert said(page).startswith("50 of 1000 steps of warm-up to 0.003, then down to 0.0003;")
    page.locator("[role=slider]").focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    assert said(page).startswith("0 of 1000 steps")
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    assert "then down to 0;" in said(page) or "e−" in said(page)
    page.get_by_role("button", name="longer run").click()
    assert said(page).startswith("0 of 2000 steps")


def test_the_straight_line_of_the_page_is_a_straight_line_with_the_same_ends(open_page: Any) -> None:
    page = open_page(explorers.schedule(model_solution), "straight")
    found = page.evaluate("() => [0, 49, 50, 525, 1000].map(s => inside.straight(s, 50, 1000, 0.1))")
    assert found == pytest.approx([1 / 50, 1.0, 1.0, 0.55, 0.1])


def test_the_valley_shows_the_place_after_each_step_and_its_height(open_page: Any) -> None:
    page = open_page(explorers.optimizer(model_solution), "heightOf")
    assert said(page).startswith("SGD, after 0 of 60 steps: height 1.435.")
    page.locator("[role=slider]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert said(page).startswith("Adam, after 1 of 60 steps")
    cells = page.locator("tbody td").all_inner_texts()
    assert cells[0] == "−2.800"
    assert cells[3] == "1.200"
    page.keyboard.press("End")
    assert "after 60 of 60" in said(page)
    assert page.locator("tbody td").all_inner_texts()[2] == ""
    assert page.evaluate("() => inside.heightOf([0.05, 2], [2, 0.5], [-3, 1.4])") == pytest.approx(1.435)


def test_the_blocks_of_the_page_hold_what_stands_there_and_reads_are_counted(open_page: Any) -> None:
    page = open_page(explorers.blocks(model_solution, DOCUMENTS), "countReads")
    first = model_solution.sample_blocks(torch.arange(103), 32, 4, 0, 0)[:, 0].tolist()
    assert f"block 0 begins at {first[0]} and holds 32 tokens" in said(page)
    page.locator("[role=slider]").focus()
    page.keyboard.press("ArrowDown")
    assert f"block 1 begins at {first[1]}" in said(page)
    page.keyboard.press("ArrowRight")
    assert said(page).startswith("Seed 0, step 1:")
    starts = "{ at: () => [0, 2] }"
    assert page.evaluate(f"() => inside.countReads({starts}, 0, 0, 3, 6)") == [1, 1, 2, 1, 1, 0]
