"""`course tokenizer` trains, encodes, decodes and shows, and says in one sentence what cannot be done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coursekit.corpora import MissingCorpus
from coursekit.corpora.sources import open_corpus
from coursekit.corpora.storyworld import stories, story, story_corpus
from coursekit.registry import COURSE_ROOT
from step1_tokenizer.model_solution import Tokenizer


def course(*arguments: str, given: bytes = b"", status: int = 0) -> str:
    command = [sys.executable, "-W", "error", "-m", "step1_tokenizer.command", *arguments]
    done = subprocess.run(command, cwd=COURSE_ROOT, input=given, capture_output=True, check=False)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == status, out + err
    assert "Traceback" not in err
    return out if status == 0 else err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    text = path / "text.txt"
    text.write_text("the cat sat on the mat, the rat sat on the cat\n" * 20, encoding="utf-8")
    told = course(
        "train", f"file:{text}", "--vocab-size", "270", "--special", "<|end|>", "--out", f"{path / 'out'}"
    )
    assert "270 tokens" in told
    return path / "out"


def test_what_was_trained_is_a_tokenizer_that_opens(folder: Path) -> None:
    tokenizer = Tokenizer.load(folder)
    assert len(tokenizer) == 270
    assert tokenizer.special_tokens == {"<|end|>": 269}
    assert json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["the cat", "naïve 👍 人\r\n", "", "a\0b", "<|end|>"])
def test_encode_and_decode_are_inverse_in_a_shell(folder: Path, text: str) -> None:
    ids = course("encode", str(folder), given=text.encode())
    assert course("decode", str(folder), given=ids.encode()) == text
    assert ids.split() == [str(i) for i in Tokenizer.load(folder).encode(text, refuse=False)]


def test_special_tokens_are_special_only_if_asked_for(folder: Path) -> None:
    assert course("encode", str(folder), "<|end|>", "--special").split() == ["269"]
    assert "269" not in course("encode", str(folder), "<|end|>").split()


def test_inspect_shows_what_was_learned(folder: Path) -> None:
    told = course("inspect", str(folder), "the cat<|end|>")
    assert "270 tokens: 256 bytes, 13 merges, 1 special" in told
    assert "first merges:" in told
    assert "14 bytes" in told


@pytest.mark.parametrize(
    ("arguments", "rule", "status"),
    [
        (["train", "poems"], "a corpus must be one of python, storyworld, file:PATH, got 'poems'", 1),
        (["train", "file:/not/there"], "must name a file or a folder that is there", 1),
        (["train", "storyworld", "--vocab-size", "255"], "--vocab-size must be at least 256", 1),
        (["train", "storyworld", "--vocab-size", "many"], "Invalid value for '--vocab-size'", 2),
        (["encode", "/not/there", "hi"], "a folder must hold tokenizer.json", 1),
        (["sing"], "No such command 'sing'", 2),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], rule: str, status: int) -> None:
    assert rule in course(*arguments, status=status)


def test_ids_that_are_none_are_told(folder: Path) -> None:
    assert "got 'x'" in course("decode", str(folder), "1", "x", status=1)
    assert "from 0 to 269, got 270" in course("decode", str(folder), "270", status=1)


def test_a_text_with_too_few_pairs_says_how_many_tokens_are_missing(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abab", encoding="utf-8")
    told = course("train", f"file:{tmp_path / 't.txt'}", "--vocab-size", "300", "--out", str(tmp_path / "o"))
    assert "258 tokens" in told
    assert "42 tokens fewer" in told


def test_a_file_that_is_no_text_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.bin").write_bytes(b"text\xff\xfe")
    assert "byte 4 of" in course("train", f"file:{tmp_path}", "--out", str(tmp_path / "o"), status=1)
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_what_was_there_before(folder: Path, tmp_path: Path) -> None:
    before = (folder / "tokenizer.json").read_bytes()
    command = [sys.executable, "-m", "step1_tokenizer.command", "train", "python", "--out", str(folder)]
    process = subprocess.Popen([*command, "--vocab-size", "60000"], cwd=COURSE_ROOT, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.readline().decode()  # whose parts train: the work begins after it
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    told += process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, told
    assert "nothing was written" in told
    assert "Traceback" not in told
    assert (folder / "tokenizer.json").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["tokenizer.json", "tokenizer_config.json"]


def test_stories_are_the_same_from_the_same_seed_and_others_from_another() -> None:
    assert story(3) == story(3, seed=0) != story(3, seed=1)
    found = stories()
    assert [next(found) for _ in range(3)] == [story(0), story(1), story(2)]
    assert len({story(number) for number in range(200)}) == 200


def test_a_story_is_not_on_both_sides() -> None:
    corpus = story_corpus(500)
    sides = [{file.data for file in side} for side in (corpus.train, corpus.held_out)]
    assert all(sides)
    assert not sides[0] & sides[1]
    with pytest.raises(ValueError, match="at least 2"):
        story_corpus(1)


def test_a_folder_is_read_without_what_is_hidden(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x").write_bytes(b"\xff")
    (tmp_path / "b.txt").write_text("two", encoding="utf-8")
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    assert list(open_corpus(f"file:{tmp_path}")) == ["one", "two"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingCorpus, match="got nothing"):
        open_corpus(f"file:{tmp_path / 'empty'}")
