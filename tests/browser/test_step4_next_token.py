"""The page of the next token: sliders and keys do what they say, and its cuts are those of the solution."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from step4_generate import explorers, further_solution, model_solution

pytestmark = [pytest.mark.browser, pytest.mark.slow]
VOCABULARY = [f"w{i}" for i in range(40)]
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


def some_logits() -> torch.Tensor:
    """Return logits (6, 40): whole and half numbers, so that many are tied."""
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(6, 40, generator=generator) * 4).round() / 2


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """The explorer of six tokens on a page of its own."""
    names = [f"t{i}" for i in range(6)]
    widget = explorers.next_token(model_solution, names, some_logits(), VOCABULARY, position=2)
    found = browser.new_page(viewport={"width": 760, "height": 800})
    found.set_content("<!doctype html><title>an explorer</title>")
    arrays = {
        name: {"shape": array["shape"], "data": base64.b64encode(array["data"]).decode()}
        for name, array in widget.arrays.items()
    }
    program = f"{widget._esm}\nexport const inside = {{ drawnFrom, entropy }};"
    found.evaluate(SHOW, [program, widget._css, widget.values, arrays, widget.whose])
    yield found
    found.close()


def told(page: Any) -> tuple[str, list[str]]:
    """Return what the page says, and the numbers of its account."""
    page.wait_for_timeout(100)
    return str(page.locator(".said").inner_text()), page.locator("dd").all_inner_texts()


def solved(logits: torch.Tensor, temperature: float, k: int, p: float, min_p: float) -> torch.Tensor:
    """Return the law that the solutions draw from."""
    cut = model_solution.apply_temperature(logits, temperature)
    cut = model_solution.keep_top_p(model_solution.keep_top_k(cut, k), p)
    cut = further_solution.keep_min_p(cut, min_p) if min_p else cut
    return cut.double().softmax(dim=-1)


def test_the_cuts_of_the_page_are_those_of_the_solutions(page: Any) -> None:
    settings = itertools.product((0.5, 1.0, 2.0), (1, 5, 40), (0.3, 0.9, 1.0), (0.0, 0.05, 0.5))
    rows = some_logits()
    for number, (temperature, k, p, min_p) in enumerate(settings):
        logits = rows[number % len(rows)]
        given = {"temperature": temperature, "k": k, "p": p, "minP": min_p}
        found = page.evaluate("([z, s]) => inside.drawnFrom(z, s)", [logits.tolist(), given])
        wanted = solved(logits[None], temperature, k, p, min_p)[0]
        # Where tokens are tied at the cut, others of the same probability may stay.
        torch.testing.assert_close(
            torch.tensor(found["law"]).double().sort().values, wanted.sort().values, atol=1e-6, rtol=1e-5
        )
        assert found["kept"] == int((wanted > 0).sum())
    greedy = page.evaluate("z => inside.drawnFrom(z, { temperature: 0 })", [1.0, 3.0, 2.0])
    assert greedy == {"law": [0, 1, 0], "kept": 1}


def test_the_page_begins_with_the_modules_own_cut_and_says_how_free_the_choice_is(page: Any) -> None:
    said, numbers = told(page)
    law = solved(some_logits()[2:3], 1.0, 40, 0.9, 0.0)
    kept = int((law > 0).sum())
    assert f"{kept} of 40 tokens are left" in said
    assert numbers[0] == numbers[5] == str(kept)
    entropy = float(torch.special.entr(law).sum())
    assert numbers[3] == f"{entropy:.2f}"
    assert f"as one among {torch.tensor(entropy).exp():.1f} equally likely" in said


def test_keys_walk_through_the_text_and_move_each_slider_until_only_one_token_is_left(page: Any) -> None:
    page.locator(".text[role=slider]").focus()
    page.keyboard.press("ArrowLeft")
    assert told(page)[0].startswith("After “t1”")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    assert told(page)[0].startswith("After “t5”")
    for name, key in (("temperature", "Home"), ("top-k", "Home"), ("top-p", "Home"), ("min-p", "End")):
        page.get_by_role("button", name="Everything as it was").click()
        before = told(page)[1]
        page.get_by_role("slider", name=name).focus()
        page.keyboard.press(key)
        after = told(page)[1]
        assert after != before, name
        assert int(after[0]) < int(before[0]), name
