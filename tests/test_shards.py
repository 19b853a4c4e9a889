"""Shards are indexed like the one tensor that they hold, and a set that is not whole is told."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.corpora import shard_writing
from coursekit.corpora.shard_index import INDEX, dtype_for, fingerprint
from coursekit.corpora.shards import BrokenShards, Shards, write_shards

END = 300
TEXTS = ["one", "", "naïve é", "four and twenty", "x" * 23]


def by_bytes(text: str) -> list[int]:
    return list(text.encode())


def write(folder: Path, texts: list[str] = TEXTS, shard_tokens: int = 7, **changes: Any) -> Shards:
    arguments: dict[str, Any] = {"vocab_size": 301, "tokenizer": "bytes", "shard_tokens": shard_tokens}
    return write_shards(folder, iter(texts), by_bytes, END, **arguments | changes)


def whole(texts: list[str] = TEXTS) -> torch.Tensor:
    return torch.tensor([token for text in texts for token in [*text.encode(), END]])


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    found = write(tmp_path_factory.mktemp("shards") / "set", meta={"corpus": "mine"})
    assert found.index.num_shards > 5
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=9), min_size=1, max_size=12), st.integers(1, 60))
def test_what_is_written_is_read_back_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], shard_tokens: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_writing.os, "fsync", lambda _: None)  # slow on some disks
        shards = write(tmp_path_factory.mktemp("any") / "set", texts, shard_tokens)
    assert torch.equal(shards[:], whole(texts))
    assert [bytes(shards.document(n).tolist()).decode() for n in range(shards.num_documents)] == texts
    sizes = [len(text.encode()) for text in texts]
    assert [shards.document_bytes(n) for n in range(shards.num_documents)] == sizes
    assert (shards.num_bytes, len(shards)) == (sum(sizes), sum(sizes) + len(texts))
    files = sorted(path.stat().st_size for path in shards.folder.glob("tokens-*"))
    assert set(files[1:]) <= {2 * shard_tokens}
    assert sum(files) == 2 * len(shards)


ALL = len(whole())
position = st.integers(-ALL, ALL - 1)
bound = st.none() | st.integers(-ALL - 5, ALL + 5)


@given(st.one_of(position, st.builds(slice, bound, bound, st.none() | st.integers(1, 9))))
def test_an_integer_and_a_slice_give_what_a_tensor_gives(shards: Shards, where: int | slice) -> None:
    got = shards[where]
    assert got.dtype == torch.int64
    assert torch.equal(got, whole()[where])


@given(st.lists(position, max_size=24), st.sampled_from([torch.int64, torch.int32]))
def test_positions_of_any_shape_give_what_a_tensor_gives(
    shards: Shards, found: list[int], dtype: torch.dtype
) -> None:
    positions = torch.tensor(found, dtype=dtype)
    shapes = [(-1,), (1, len(found), 1), (2, len(found) // 2) if len(found) % 2 == 0 else (len(found),)]
    for shape in shapes:
        where = positions.reshape(shape) if found else positions
        got = shards[where]
        assert (got.dtype, got.shape) == (torch.int64, where.shape)
        assert torch.equal(got, whole()[where])


def test_a_batch_of_windows_is_read_across_the_borders_of_files(shards: Shards) -> None:
    starts = torch.tensor([0, 5, 30])
    batch = shards[starts[:, None] + torch.arange(12)]
    assert torch.equal(batch, torch.stack([whole()[start : start + 12] for start in starts.tolist()]))
    batch[0] = 0
    assert torch.equal(shards[:], whole()), "what is read is a copy"
    assert torch.equal(shards[torch.tensor(3)], whole()[3])


def test_what_is_no_position_is_refused(shards: Shards) -> None:
    for where in (ALL, -ALL - 1, torch.tensor([0, ALL]), torch.tensor([[-ALL - 1]])):
        with pytest.raises(IndexError, match=f"a position must be from -{ALL} to {ALL - 1}, got"):
            shards[where]
    for wrong in (1.0, True, None, torch.tensor([1.0]), torch.tensor([True]), torch.tensor([1]).byte(), [1]):
        with pytest.raises(TypeError, match="an integer, a slice or an integer tensor, got"):
            shards[wrong]  # type: ignore[index]
    with pytest.raises(ValueError, match="a step of at least 1, got -1"):
        shards[::-1]
    for number in (-1, len(TEXTS)):
        with pytest.raises(IndexError, match=f"a document must be from 0 to 4, got {number}"):
            shards.document(number)


def test_the_index_says_what_is_there_and_where_it_came_from(shards: Shards) -> None:
    told = json.loads((shards.folder / INDEX).read_text(encoding="utf-8"))
    assert told["meta"] == {"corpus": "mine"}
    assert (told["vocab_size"], told["end_of_text"], told["tokenizer"]) == (301, END, "bytes")
    assert (told["dtype"], told["shard_tokens"], told["num_documents"]) == ("<u2", 7, 5)
    assert told["num_tokens"] == ALL == 5 + told["num_bytes"]
    begins = np.cumsum([0, *(len(text.encode()) + 1 for text in TEXTS[:-1])]) // 7
    assert told["shard_documents"] == np.bincount(begins, minlength=-(-ALL // 7)).tolist()


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(1, "<u2"), (2**16, "<u2"), (2**16 + 1, "<u4"), (2**32, "<u4")]
)
def test_the_smallest_type_that_holds_the_vocabulary_is_taken(
    tmp_path: Path, vocab_size: int, dtype: str
) -> None:
    assert dtype_for(vocab_size).str == dtype
    top = vocab_size - 1
    found = write_shards(tmp_path / "set", ["a"], lambda _: [top], top, vocab_size=vocab_size, tokenizer="")
    assert found[:].tolist() == [top, top]


def test_a_pickled_copy_opens_the_folder_again_and_carries_no_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shards = write(Path("set"), ["x" * 10_000], shard_tokens=4_000)
    packed = pickle.dumps(shards)
    assert len(packed) < 1000
    monkeypatch.chdir("/")
    assert torch.equal(pickle.loads(packed)[:], whole(["x" * 10_000]))


def test_a_fingerprint_is_of_the_value_not_of_its_order_and_differs_between_tokenizers() -> None:
    merges = [(97, 98), (256, 99)]
    assert fingerprint([merges, {"<|a|>": 258, "<|b|>": 259}]) == fingerprint(
        [merges, {"<|b|>": 259, "<|a|>": 258}]
    )
    assert len({fingerprint([some, {}]) for some in (merges, merges[::-1], merges[:1])}) == 3
    assert fingerprint([]) == "4f53cda18c2baa0c"


def test_another_tokenizer_s_shards_are_not_opened(shards: Shards) -> None:
    assert len(Shards.open(str(shards.folder), "bytes")) == ALL
    with pytest.raises(BrokenShards, match=r"with the tokenizer that wrote them, got .* words .*bytes"):
        Shards.open(shards.folder, "words")


def cut_short(folder: Path) -> None:
    path = folder / "tokens-00002.bin"
    path.write_bytes(path.read_bytes()[:-2])


def swapped(folder: Path) -> None:
    path = folder / "documents.bin"
    path.write_bytes(path.read_bytes()[::-1])


def says(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        told = json.loads((folder / INDEX).read_text(encoding="utf-8")) | changes
        told = {key: value for key, value in told.items() if value != "gone"}
        (folder / INDEX).write_text(json.dumps(told), encoding="utf-8")

    return change


DISAGREE = "counts that agree with each other, and does not: delete"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no index": (lambda folder: (folder / INDEX).unlink(), "must hold index.json, got .* without it"),
    "an index cut short": (
        lambda folder: (folder / INDEX).write_text('{"dtype'),
        "JSON, and it is not: delete",
    ),
    "an index of another kind": (lambda folder: (folder / INDEX).write_text("[]"), "the format 1, got list"),
    "an index that is a folder": (
        lambda folder: ((folder / INDEX).unlink(), (folder / INDEX).mkdir()),
        "index.json must be readable, got: ",
    ),
    "another format": (says(format=2), "the format 1, got 2: delete"),
    "a count that is gone": (says(num_bytes="gone"), DISAGREE),
    "a count too many": (says(num_words=3), DISAGREE),
    "a count that is no number": (says(num_bytes="3"), DISAGREE),
    "fewer tokens": (says(num_tokens=3), DISAGREE),
    "more documents": (says(num_documents=6), DISAGREE),
    "documents that are no numbers": (says(shard_documents=["a"] * 8), DISAGREE),
    "another type": (says(dtype="<u4"), DISAGREE),
    "too large a vocabulary": (says(vocab_size=2**33), DISAGREE),
    "other bytes": (says(num_bytes=99), "documents.bin must begin at 0 and end where"),
    "a shard cut short": (
        cut_short,
        "tokens-00002.bin must have 14 bytes, as its index says, got 12: delete",
    ),
    "a shard missing": (lambda folder: (folder / "tokens-00003.bin").unlink(), "tokens-00003.bin is missing"),
    "no documents": (lambda folder: (folder / "documents.bin").unlink(), "documents.bin is missing: delete"),
    "documents mixed up": (swapped, "documents.bin must begin at 0 and end where its index says, got"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_set_that_is_not_whole_is_told_in_one_sentence(tmp_path: Path, damage: str) -> None:
    folder = write(tmp_path / "set").folder
    act, sentence = DAMAGES[damage]
    act(folder)
    with pytest.raises(BrokenShards, match=sentence) as told:
        Shards.open(folder)
    assert str(folder) in str(told.value)
    assert "\n" not in str(told.value)
