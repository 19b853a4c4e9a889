"""GPT-2's published files make the tokenizer GPT-2's; where they cannot be had it is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

from step1_tokenizer.model_solution import Tokenizer, byte_characters
from step1_tokenizer.published import NotThere, folder_of


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as GPT-2's vocabulary was published: bytes in its order, merges, a special token."""
    table = byte_characters()
    order = sorted(range(256), key=lambda byte: table[byte])
    tokens = [table[byte] for byte in order] + ["he", "Ġhe", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate(tokens)}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nh e\nĠ he\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, published: Path) -> list[str]:
    """A hub that has these files under the name gpt2, and nothing else; returns what it was asked for."""
    asked: list[str] = []

    def download(repository: str, file: str) -> str:
        asked.append(f"{repository}/{file}")
        if repository == "away":
            raise LocalEntryNotFoundError("no network")
        if repository != "gpt2" or not (published / file).is_file():
            response = httpx.Response(404, request=httpx.Request("GET", "https://hub/"))
            raise RemoteEntryNotFoundError(file, response=response)
        return str(published / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return asked


def test_the_published_files_make_the_tokenizer_theirs(published: Path) -> None:
    tokenizer = Tokenizer.load(folder_of(str(published)))
    assert tokenizer.encode_ordinary("he he!") == [256, 257, 0]
    assert tokenizer.special_tokens == {"<|endoftext|>": 258}
    assert tokenizer.decode([257, 0, 258]) == " he!<|endoftext|>"


def test_a_name_on_the_hub_is_fetched_in_the_form_that_it_has(hub: list[str], published: Path) -> None:
    assert folder_of("hub:gpt2") == published
    assert hub == ["gpt2/tokenizer.json", "gpt2/vocab.json", "gpt2/merges.txt"]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("hub:away", "could not be reached"),
        ("hub:other", "must have tokenizer.json, or vocab.json and merges.txt"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence(hub: list[str], name: str, rule: str) -> None:
    with pytest.raises(NotThere, match=rule):
        folder_of(name)


def test_a_name_that_no_hub_can_have_is_told_without_asking() -> None:
    with pytest.raises(NotThere, match="must name what the hub can have"):
        folder_of("hub:a/b/c")


def test_a_folder_is_never_looked_for_on_the_hub(hub: list[str]) -> None:
    given: Any = folder_of("runs/tokenizr")
    assert given == Path("runs/tokenizr")
    assert hub == []
