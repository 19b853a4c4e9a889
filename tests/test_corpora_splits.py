"""A document's own content puts it on its side: copies together, in whatever order and company."""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.corpora import MissingCorpus
from coursekit.corpora.python import python_library
from coursekit.corpora.sources import documents, open_corpus, state_of
from coursekit.corpora.splits import SIDES, one_side, side_of, training_or_all
from coursekit.corpora.storyworld import stories

texts = st.lists(st.text(max_size=8), max_size=40)
# One document of each side, so that any list with them can be split.
BOTH = ["a training text", next(f"text {n}" for n in range(999) if side_of(f"text {n}") == "held_out")]


def sides_of(found: list[str]) -> tuple[list[str], list[str]]:
    train, held_out = (list(one_side([*BOTH, *found], side, "any")) for side in SIDES)
    return train, held_out


def test_the_two_documents_stand_on_their_sides() -> None:
    assert [side_of(text) for text in BOTH] == ["train", "held_out"]


@given(texts)
def test_every_document_is_on_one_side_and_none_is_lost(found: list[str]) -> None:
    train, held_out = sides_of(found)
    assert not {" ".join(text.split()) for text in train} & {" ".join(text.split()) for text in held_out}
    assert sorted(train + held_out) == sorted(text for text in [*BOTH, *found] if text.strip())


@given(texts, texts, st.randoms(use_true_random=False))
def test_a_document_keeps_its_side_in_any_order_and_company(
    found: list[str], more: list[str], random: object
) -> None:
    mixed = [*found, *more]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    for alone, among in zip(sides_of(found), sides_of(mixed)):
        assert set(alone) <= set(among)


@given(st.lists(st.text(min_size=1, max_size=6).filter(lambda word: word.split() == [word]), min_size=1))
def test_copies_stay_together_even_if_their_white_space_differs(words: list[str]) -> None:
    spread = "\n\n".join(words) + "\r\n"
    assert side_of(" ".join(words)) == side_of(spread) == side_of(f"\t{spread}")


def test_the_sides_of_texts_are_the_same_on_every_machine_and_about_a_tenth_is_held_out() -> None:
    held_out = [n for n in range(5000) if side_of(f"number {n}") == "held_out"]
    assert held_out[:4] == [2, 3, 5, 9]
    assert 400 < len(held_out) < 600


def test_stories_of_any_seed_never_stand_on_both_sides_and_are_the_seed_s_own() -> None:
    trained = set(documents("storyworld", "train", seed=0, limit=3000))
    for seed in (0, 1):
        held_out = list(documents("storyworld", "held_out", seed=seed, limit=100))
        assert len(held_out) == 100
        assert not trained & set(held_out)
        assert set(held_out) <= set(islice(stories(seed), 3000))


def test_a_corpus_without_end_is_read_as_far_as_asked() -> None:
    endless = documents("storyworld", "train", seed=7)
    assert list(islice(endless, 50)) == list(documents("storyworld", "train", seed=7, limit=50))


def test_python_is_split_as_in_the_rest_of_the_course() -> None:
    library = python_library()
    for side, files in zip(SIDES, (library.train, library.held_out)):
        assert [text.encode() for text in documents("python", side)] == [file.data for file in files]
    assert list(documents("python", "train", limit=3)) == list(islice(open_corpus("python"), 3))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([], r"a corpus must hold text, got nothing in mine: name another"),
        ([" \n"], r"got nothing in mine"),
        (
            BOTH[:1],
            r"documents to train on and others to measure on, got a single document in mine: .*<\|",
        ),
        (BOTH[1:], r"got a single document in mine"),
        (BOTH[:1] * 3, r"got 3 in mine, all on the training side: about 1 in 10 is held out, .*add more"),
        (BOTH[1:] * 2, r"got 2 in mine, all on the held-out side"),
    ],
)
def test_a_corpus_that_cannot_be_split_is_told_whichever_side_is_asked_for(
    side: str, found: list[str], sentence: str
) -> None:
    with pytest.raises(MissingCorpus, match=sentence):
        list(one_side(found, side, "mine"))  # type: ignore[arg-type]


def test_a_vocabulary_is_learned_from_the_training_side_or_from_all_of_a_tiny_corpus() -> None:
    assert list(training_or_all([BOTH[1], BOTH[0], BOTH[1], " "], "mine")) == [BOTH[0]]
    assert list(training_or_all([BOTH[1], "\n", BOTH[1]], "mine")) == [BOTH[1]] * 2
    with pytest.raises(MissingCorpus, match="got nothing in mine"):
        list(training_or_all(["\n"], "mine"))


def test_what_a_caller_got_wrong_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="split must be one of train, held_out, got 'test'"):
        documents("python", "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        documents("python", "train", limit=0)
    for name in ("poems", "file:", "hub:", ""):
        with pytest.raises(MissingCorpus, match="one of python, storyworld, file:PATH, hub:NAME, got"):
            documents(name, "train")


def test_a_corpus_s_state_changes_with_what_it_holds_and_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    os.utime(tmp_path / "a.txt", ns=(0, 10**9))
    name = f"file:{tmp_path}"
    states = [state_of(name), state_of(name), state_of(f"hub:{tmp_path}#field")]
    assert states[0] == states[1] == states[2] != ""
    for change, seconds in (("longer", 1), ("others", 2)):
        (tmp_path / "a.txt").write_text(change, encoding="utf-8")
        os.utime(tmp_path / "a.txt", ns=(0, seconds * 10**9))
        states.append(state_of(name))
    (tmp_path / "b.txt").write_text("", encoding="utf-8")
    states.append(state_of(name))
    assert len(set(states)) == 4, "three changes"
    assert state_of("storyworld") == state_of("storyworld", 0) != state_of("storyworld", 1)
    assert state_of("hub:not/here") == state_of("hub:nor/here") == ""
    assert state_of("python")


datasets = pytest.mark.usefixtures("_hub")


@pytest.fixture
def _hub(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def write_rows(folder: Path, *rows: object, name: str = "train.jsonl") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return f"hub:{folder}"


@datasets
def test_a_data_set_is_read_as_a_stream_and_split_like_any_corpus(tmp_path: Path) -> None:
    found = [f"text {n}" for n in range(200)]
    name = write_rows(tmp_path / "set", *({"text": text, "title": f"title {text}"} for text in found))
    for side in SIDES:
        assert list(documents(name, side)) == [text for text in found if side_of(text) == side]
    assert "title text 0" in [*documents(f"{name}#title", "train"), *documents(f"{name}#title", "held_out")]


@datasets
@pytest.mark.parametrize(
    ("row", "place", "sentence"),
    [
        (
            {"text": "a"},
            "#body",
            r"must have the field 'body', got the fields text: name .*set#body\)",
        ),
        ({"text": 3}, "", r"the field 'text' must be text, got int"),
        ({"text": "a"}, ":large", r"must name a data set that can be reached .*got .*set:large: .*large"),
        ({}, "/none", r"got .*set/none: .*check the name and the network, or use storyworld"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_one_sentence(
    tmp_path: Path, row: object, place: str, sentence: str
) -> None:
    with pytest.raises(MissingCorpus, match=sentence) as told:
        list(documents(write_rows(tmp_path / "set", row) + place, "train"))
    assert "\n" not in str(told.value)


@datasets
def test_a_data_set_without_its_training_split_or_that_breaks_off_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingCorpus, match=r"a split 'train', got .*Available splits: .*validation"):
        documents(write_rows(tmp_path / "other", {"text": "a"}, name="validation.jsonl"), "train")
    broken = write_rows(tmp_path / "broken", {"text": "a"})
    with (tmp_path / "broken" / "train.jsonl").open("a") as file:
        file.write('{"te')
    with pytest.raises(MissingCorpus, match=r"must be read to its end, and broke off: .*try again"):
        list(documents(broken, "train"))


@datasets
def test_without_a_network_the_hub_is_told_in_one_sentence() -> None:
    with pytest.raises(MissingCorpus, match=r"got someone/something: .*offline.*network, or use storyworld"):
        documents("hub:someone/something", "train")


def test_without_its_package_the_hub_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingCorpus, match=r"is not installed: `.*pip install datasets`"):
        documents("hub:someone/something", "train")
