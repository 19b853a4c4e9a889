"""The page of the explorer of formats rounds as torch does, for every weight and step that can be chosen."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from step3_pretrain.explorers.rounding import FORMATS, STEPS, WEIGHTS, lowered, rounding

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOAD = """async program => {
    const url = URL.createObjectURL(new Blob([program], {type: 'text/javascript'}));
    window.inside = (await import(url)).inside;
}"""
NEAREST = "([numbers, format]) => numbers.map(x => inside.nearest(x, ...format))"
LOWERED = """([weight, step, times, format]) => {
    let kept = weight;
    for (let k = 0; k < times; k += 1) kept = inside.nearest(kept - step, ...format);
    return kept;
}"""


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    """An empty page that has loaded the functions of the program."""
    page = browser.new_page()
    page.set_content("<!doctype html><title>formats</title>")
    page.evaluate(LOAD, f"{rounding()._esm}\nexport const inside = {{nearest}};")
    yield page
    page.close()


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_rounds_as_torch_does(page: Any, name: str) -> None:
    (format_,) = [row[1:] for row in rounding().values["formats"] if row[0] == name]
    chance, largest = random.Random(0), torch.finfo(FORMATS[name]).max
    numbers = [chance.choice((-1, 1)) * 2 ** chance.uniform(-30, 20) for _ in range(500)]
    numbers += [2.0**-24, 2.0**-25, 3 * 2.0**-26, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1.0, -1.0, largest]
    wanted = torch.tensor(numbers, dtype=torch.float64).to(FORMATS[name]).double().tolist()
    found = page.evaluate(NEAREST, [numbers, format_])
    assert [float(x) for x in found] == wanted


def test_the_page_lowers_weights_as_torch_does(page: Any) -> None:
    for name, *format_ in rounding().values["formats"]:
        for weight in WEIGHTS[::5]:
            for step in STEPS[::5]:
                found = page.evaluate(LOWERED, [weight, step, 1_000, format_])
                assert found == lowered(weight, step, FORMATS[name])[-1], (name, weight, step)
