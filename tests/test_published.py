"""GPT-2's published files make the tokenizer GPT-2's; where they cannot be had it is one sentence, soon.

The hub of these tests is a server on this machine that answers as the real one does; the library that asks
it is the real one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from step1_tokenizer import published as module
from step1_tokenizer.model_solution import Tokenizer, byte_characters
from step1_tokenizer.published import NotThere, folder_of
from step2_model.exchange import hub as models

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub: repositories are folders; `asked` lists what was asked for, `says` overrules every answer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.says: int | None = None
        hub = self

        class Answer(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.answer(self)

            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer /REPOSITORY/resolve/main/FILE as the Hugging Face hub does."""
        repository, _, file = request.path.lstrip("/").partition("/resolve/main/")
        if file:  # the library asks for a list of programs, too
            self.asked.append(f"{request.command} {repository}/{file}")
        path = self.root / repository / file
        status = self.says or (200 if path.is_file() else 404)
        data = path.read_bytes() if status == 200 else b""
        request.send_response(status)
        if status == 404:
            is_known = (self.root / repository).is_dir()
            request.send_header("X-Error-Code", "EntryNotFound" if is_known else "RepoNotFound")
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{file}"')
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(data)

    def close(self) -> None:
        """End the server, as if the network were gone."""
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as GPT-2's vocabulary was published: bytes in its order, merges, a special token."""
    table = byte_characters()
    order = sorted(range(256), key=lambda byte: table[byte])
    tokens = [table[byte] for byte in order] + ["he", "Ġhe", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate(tokens)}
    folder = tmp_path / "hub" / "gpt2"
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nh e\nĠ he\n", encoding="utf-8")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, published: Path, tmp_path: Path) -> Iterator[Hub]:
    """A hub that has these files under the name gpt2; nothing was fetched yet, and nobody waits to retry."""
    served = Hub(published.parent)
    address = f"http://127.0.0.1:{served.server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def wait(seconds: float) -> None:
        pytest.fail(f"{seconds} s were waited to ask again")

    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", wait)
    yield served
    served.close()


def test_the_published_files_make_the_tokenizer_theirs(published: Path) -> None:
    tokenizer = Tokenizer.load(folder_of(str(published)))
    assert tokenizer.encode_ordinary("he he!") == [256, 257, 0]
    assert tokenizer.special_tokens == {"<|endoftext|>": 258}
    assert tokenizer.decode([257, 0, 258]) == " he!<|endoftext|>"


def test_a_name_on_the_hub_is_fetched_in_the_form_that_it_has(hub: Hub) -> None:
    tokenizer = Tokenizer.load(folder_of("hub:gpt2"))
    assert tokenizer.encode_ordinary("he he!") == [256, 257, 0]
    assert hub.asked[0] == "HEAD gpt2/tokenizer.json"
    assert [name for name in hub.asked if name.startswith("GET")] == [
        "GET gpt2/vocab.json",
        "GET gpt2/merges.txt",
    ]


def test_what_the_hub_has_as_tokenizer_json_is_taken_first(hub: Hub, published: Path) -> None:
    Tokenizer.load(published).save(published)
    assert (folder_of("hub:gpt2") / "tokenizer.json").is_file()
    assert hub.asked[-1] == "GET gpt2/tokenizer.json"
    assert not any("vocab.json" in name for name in hub.asked)


def test_what_was_fetched_once_needs_no_network_again(hub: Hub) -> None:
    folder = folder_of("hub:gpt2")
    hub.close()
    hub.asked.clear()
    assert folder_of("hub:gpt2") == folder
    assert hub.asked == []
    assert len(Tokenizer.load(folder)) == 259
    (folder / "merges.txt").unlink()
    with pytest.raises(NotThere, match="is not on this machine"):
        folder_of("hub:gpt2")


def test_a_hub_that_cannot_be_reached_is_one_sentence_at_once(hub: Hub) -> None:
    hub.close()
    with pytest.raises(NotThere, match=r"^hub:gpt2 is not on this machine, and the hub could not be reached"):
        folder_of("hub:gpt2")


def test_a_hub_that_is_out_of_order_is_asked_once(hub: Hub) -> None:
    hub.says = 503
    with pytest.raises(NotThere, match="could not be reached"):
        folder_of("hub:gpt2")
    assert hub.asked == ["HEAD gpt2/tokenizer.json"]


def test_a_hub_that_is_silent_is_waited_for_as_long_as_it_is_said(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    gave_up, silences = threading.Event(), []
    monkeypatch.setattr(hub, "answer", lambda _: silences.append(gave_up.wait(10)))
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    try:
        with pytest.raises(NotThere, match="could not be reached"):
            folder_of("hub:gpt2")
    finally:
        gave_up.set()
        hub.close()
    assert False not in silences, "the silence was sat out"


def test_a_repository_without_a_vocabulary_and_one_that_is_none_are_told_apart(hub: Hub) -> None:
    (hub.root / "other").mkdir()
    with pytest.raises(NotThere, match=r"must have tokenizer.json, or vocab.json and merges.txt"):
        folder_of("hub:other")
    with pytest.raises(NotThere, match="or does not have it"):
        folder_of("hub:nobody/nothing")


def test_half_of_a_vocabulary_is_none(hub: Hub, published: Path) -> None:
    (published / "merges.txt").unlink()
    with pytest.raises(NotThere, match="and has neither"):
        folder_of("hub:gpt2")


def test_a_name_that_no_hub_can_have_is_told_without_asking(hub: Hub) -> None:
    with pytest.raises(NotThere, match="must name what the hub can have"):
        folder_of("hub:a/b/c")
    assert hub.asked == []


def test_a_folder_is_never_looked_for_on_the_hub(hub: Hub) -> None:
    assert folder_of("runs/tokenizr") == Path("runs/tokenizr")
    assert hub.asked == []


def test_a_model_of_the_hub_is_asked_for_once_and_needs_no_network_again(hub: Hub, published: Path) -> None:
    (published / "config.json").write_text("{}", encoding="utf-8")
    (published / "model.safetensors").write_bytes(b"weights")
    folder = models.folder_of("gpt2")
    assert {"config.json", "model.safetensors", "vocab.json"} <= {path.name for path in folder.iterdir()}
    hub.says = 503
    hub.asked.clear()
    assert models.folder_of("gpt2") == folder
    assert not {"HEAD gpt2/config.json", "HEAD gpt2/model.safetensors", "HEAD gpt2/vocab.json"} & {*hub.asked}
    with pytest.raises(NotThere, match=r"^other is no folder on this machine, and the hub could not be"):
        models.folder_of("other")
    assert hub.asked[-1] == "HEAD other/config.json"
    assert len([name for name in hub.asked if "other" in name]) == 1
    hub.close()
    with pytest.raises(NotThere, match=r"^other is no folder on this machine, and the hub could not be"):
        models.folder_of("other")
