"""Explorers of step 1 show what the reader's own functions compute, and say what cannot be shown."""

from __future__ import annotations

from typing import Any

import pytest

from step1_tokenizer import explorers, model_solution
from step1_tokenizer.experiments import measure
from step1_tokenizer.explorers.pictures import shown_bytes

WORDS = {" low": 5, " lower": 2, " newest": 6, " widest": 3}
SIZES = [256, 300, 512]


@pytest.fixture(scope="module")
def merges() -> list[tuple[int, int]]:
    return measure.trained(512, 200_000).merges


@pytest.fixture(scope="module", params=["merging", "cuts", "sizes"])
def shown(request: Any, merges: Any) -> Any:
    return {
        "merging": lambda: explorers.merging(model_solution, WORDS, 8),
        "cuts": lambda: explorers.cuts(model_solution, merges, SIZES, measure.SAMPLES),
        "sizes": lambda: explorers.sizes(model_solution, merges, SIZES, {"English": ["a text"]}),
    }[request.param]()


def test_every_explorer_leaves_a_picture_and_words_behind(shown: Any) -> None:
    data, _ = shown._repr_mimebundle_()
    assert data["image/png"]
    assert shown.says in data["text/plain"]
    assert 'alt="' in data["text/html"]
    assert shown.whose == "Computed by the reference."


def test_each_step_of_the_training_is_what_training_does() -> None:
    values = explorers.merging(model_solution, WORDS, 8).values
    words = {tuple(word.encode()): count for word, count in WORDS.items()}
    assert [tuple(pair) for pair in values["merges"]] == model_solution.train_bpe(words, 256 + 8)
    assert values["worth"][0] == max(model_solution.count_pairs(words).values())
    assert all(a >= b for a, b in zip(values["worth"], values["worth"][1:]))
    for state in values["states"]:
        texts = [b"".join(vocab_of(values["merges"])[i] for i in word).decode() for word in state]
        assert texts == list(WORDS)


def vocab_of(merges: Any) -> list[bytes]:
    return model_solution.Tokenizer(tuple(pair) for pair in merges).vocab


def test_a_text_without_pairs_has_nothing_to_step_through() -> None:
    assert explorers.merging(model_solution, {"a": 3}).says == "There is no pair to merge in these words."


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        (lambda m: explorers.merging(model_solution, {}), "1 to 24 different words, got 0"),
        (lambda m: explorers.merging(model_solution, WORDS, 0), "num_merges must be 1 to 60, got 0"),
        (lambda m: explorers.cuts(model_solution, m, [255], {"a": "b"}), "between 256 and 512, got"),
        (lambda m: explorers.cuts(model_solution, m, [256], {}), "at least one text"),
        (lambda m: explorers.sizes(model_solution, m, [], {"a": ["b"]}), "between 256 and 512, got"),
        (lambda m: explorers.sizes(model_solution, m, [256], {"a": ["b"]}, width=5), "width must be one of"),
    ],
)
def test_what_cannot_be_shown_is_told(what: Any, rule: str, merges: Any) -> None:
    with pytest.raises(ValueError, match=rule):
        what(merges)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b" a\n", "␣a⏎"), ("人".encode(), "人"), (b"\xe4\xba", "E4 BA"), (b"\x00", "<00>"), (b"\t\r", "⇥␍")],
)
def test_tokens_are_shown_with_their_white_space(data: bytes, text: str) -> None:
    assert shown_bytes(data) == text
