"""The page of the explorer of singular values computes what Python computes, with keys and buttons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from step3_pretrain import further_solution as further
from step3_pretrain.explorers.spectrum import COEFFICIENTS, HIGH, LOW, spectrum

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MOUNT = """async ([program, css, state]) => {
    const style = document.createElement('style');
    style.textContent = css;
    document.head.append(style);
    for (const array of Object.values(state.arrays))
        array.data = new Uint8Array(array.data);
    const url = URL.createObjectURL(new Blob([program], {type: 'text/javascript'}));
    const el = document.createElement('div');
    document.body.append(el);
    (await import(url)).default.render({model: {get: key => state[key]}, el});
}"""

# The page draws in the frame after a change.
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that shows the explorer of a matrix with known singular values."""
    shown = spectrum(further, matrix(), start=0.01)
    arrays = {n: {"shape": a["shape"], "data": list(a["data"])} for n, a in shown.arrays.items()}
    page = browser.new_page()
    page.set_content("<!doctype html><title>singular values</title>")
    state = {"values": shown.values, "arrays": arrays, "whose": shown.whose}
    page.evaluate(MOUNT, [shown._esm, shown._css, state])
    yield page
    page.close()


def matrix() -> torch.Tensor:
    return torch.randn(9, 20, generator=torch.Generator().manual_seed(0))


def said(page: Any) -> tuple[float, float, int, int]:
    """Return what the page says: the value before, after, the step, and how many lie within."""
    page.evaluate(DRAWN)
    text = page.inner_text(".said")
    found = re.fullmatch(
        r"A singular value of ([\d.]+) is ([\d.]+) after (\d) of 5 steps \(computed in the page\)\. "
        rf"Of the 9 shown of the matrix, (\d+) lie between {LOW} and {HIGH}\.",
        text,
    )
    assert found is not None, text
    return float(found[1]), float(found[2]), int(found[3]), int(found[4])


def test_the_page_takes_the_steps_that_python_takes(page: Any) -> None:
    a, b, c = COEFFICIENTS
    page.focus(".chart")
    value = 0.01
    for step in range(6):
        values = torch.linalg.svdvals(further.orthogonalize(matrix(), steps=step))
        within = int(((values > LOW) & (values < HIGH)).sum())
        before, after, told, count = said(page)
        assert (before, told, count) == (0.01, step, within)
        assert after == pytest.approx(value, rel=0.05, abs=0.005)
        value = a * value + b * value**3 + c * value**5
        page.keyboard.press("ArrowRight")
    assert said(page)[2] == 5, "there is no sixth step"


def test_every_button_does_what_its_key_does(page: Any) -> None:
    names = ("a step on", "larger value", "a step back", "smaller value")
    for name, key in zip(names, ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"), strict=True):
        start = said(page)
        page.click(f"button:has-text('{name}')")
        clicked = said(page)
        assert clicked != start
        page.click(f"button:has-text('{names[(names.index(name) + 2) % 4]}')")
        assert said(page) == start
        page.focus(".chart")
        page.keyboard.press(key)
        assert said(page) == clicked


def test_the_value_stays_between_a_thousandth_and_one(page: Any) -> None:
    page.focus(".chart")
    for key, end in (("ArrowUp", 1.0), ("ArrowDown", 0.001)):
        for _ in range(70):
            page.keyboard.press(key)
        assert said(page)[0] == end
