"""The page of step 1's explorer cuts and shows any text exactly as Python does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from step1_tokenizer import explorers, model_solution
from step1_tokenizer.experiments import measure
from step1_tokenizer.explorers.pictures import shown_bytes

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SIZES = [256, 300, 512]
LOAD = """async program => {
    const url = URL.createObjectURL(new Blob([program], {type: 'text/javascript'}));
    window.inside = (await import(url)).inside;
}"""
ENCODE = """([texts, merges, size]) => {
    const ranks = new Map(merges.map(([a, b], i) => [a * 65536 + b, 256 + i]));
    return texts.map(text => inside.encode(text, ranks, size));
}"""


@pytest.fixture(scope="module")
def merges() -> list[tuple[int, int]]:
    return measure.trained(512, 200_000).merges


@pytest.fixture
def page(browser: Any, merges: Any) -> Iterator[Any]:
    """An empty page that has loaded the functions of the program."""
    widget = explorers.cuts(model_solution, merges, SIZES, measure.SAMPLES)
    program = f"{widget._esm}\nexport const inside = {{encode, vocabularyOf, readable}};"
    page = browser.new_page()
    page.set_content("<!doctype html><title>a program</title>")
    page.evaluate(LOAD, program)
    yield page
    page.close()


def test_the_page_cuts_text_as_the_tokenizer_does(page: Any, merges: Any) -> None:
    letters = random.Random(0)
    alphabet = "abc seltion  '\n\t\r12é人👍_-.²\x1c\x85\u00a0\u2028\ufeff"
    texts = ["".join(letters.choices(alphabet, k=letters.randrange(40))) for _ in range(300)]
    texts += [*measure.SAMPLES.values(), "it's they'll 'S", measure.python_texts(20_000)[0][:5000]]
    for size in SIZES:
        own = model_solution.Tokenizer(merges[: size - 256])
        assert page.evaluate(ENCODE, [texts, merges, size]) == [own.encode_ordinary(text) for text in texts]


def test_the_page_reads_tokens_as_python_does(page: Any, merges: Any) -> None:
    vocabulary = page.evaluate("m => inside.vocabularyOf(m)", merges)
    assert [bytes(data) for data in vocabulary] == model_solution.Tokenizer(merges).vocab
    found = page.evaluate(
        "v => v.map(bytes => inside.readable(bytes))", vocabulary[32:127] + vocabulary[256:]
    )
    assert found == [shown_bytes(bytes(data)) for data in vocabulary[32:127] + vocabulary[256:]]
