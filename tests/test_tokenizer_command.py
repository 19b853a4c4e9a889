"""`course tokenizer` trains, encodes, decodes and shows, and says in one sentence what cannot be done."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coursekit.corpora import MissingCorpus
from coursekit.corpora.sources import open_corpus
from coursekit.corpora.storyworld import stories, story, story_corpus
from coursekit.registry import COURSE_ROOT, Step, find_step
from step1_tokenizer import command, further_solution, model_solution
from step1_tokenizer.model_solution import Tokenizer

TEXT = "the cat sat on the mat, the rat sat on the café 人 é\n" * 20 + "zq qz zq\n"


def course(*arguments: str, given: bytes = b"", status: int = 0) -> str:
    """Return what `course tokenizer` prints, or says where it ends with another status than 0."""
    out, err = io.StringIO(newline=""), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["course tokenizer", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        ended = command.main()
    assert ended == status, out.getvalue() + err.getvalue()
    assert "Traceback" not in err.getvalue()
    return err.getvalue() if status else out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `course tokenizer train` writes for a text of twenty and one lines."""
    path = tmp_path_factory.mktemp("tokenizer")
    (path / "text.txt").write_text(TEXT, encoding="utf-8")
    given = ["--vocab-size", "275", "--special", "<|end|>", "--out", f"{path / 'out'}"]
    assert "275 tokens" in course("train", f"file:{path / 'text.txt'}", *given)
    return path / "out"


def test_what_was_trained_is_the_reference_s_tokenizer_of_the_same_text(folder: Path) -> None:
    tokenizer = Tokenizer.load(folder)
    wanted = Tokenizer.train([TEXT], 275, ["<|end|>"])
    assert (tokenizer.merges, tokenizer.special_tokens) == (wanted.merges, {"<|end|>": 274})
    assert any(not data.isascii() for data in tokenizer.vocab[256:]), "é was merged"
    assert json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))


def test_whose_code_does_the_work_is_said_and_chosen(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert command.parts(True) is model_solution
    assert command.parts(True, "further") is further_solution
    asked: list[tuple[str, str]] = []
    own = SimpleNamespace(Tokenizer=SimpleNamespace(load=lambda path: SimpleNamespace(decode=repr)))

    def load(path: Path, step: Step, trio: str) -> Any:
        asked.append((f"{step.folder}/{path.name}", trio))
        return own

    monkeypatch.setattr(command, "load", load)
    assert command.parts(False, "further") is own
    assert course("decode", str(folder), "1") == "[1]", "the learner's own class opens the folder"
    assert course("decode", str(folder), "97", "--solution") == "a"
    assert asked == [
        ("step1_tokenizer/further_exercise.py", "further"),
        ("step1_tokenizer/model_exercise.py", "model"),
    ]


def test_a_file_that_is_missing_or_cannot_be_run_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model_exercise.py"
    others = find_step("1").trio_files("model")[1:]
    monkeypatch.setattr(Step, "trio_files", lambda *_: (file, *others))
    assert "model_exercise.py is missing: `course reset`" in course("encode", str(folder), "a", status=1)
    file.write_text("def f(:\n", encoding="utf-8")
    assert "line 1" in course("encode", str(folder), "a", status=1)


def test_the_bar_follows_the_newest_merge_and_touches_nothing() -> None:
    seen: list[float] = []

    def learn(packed: Any, size: int, merge_word: Any) -> list[Any]:
        assert (packed, size) == ({"abab": 2}, 256 + 4)
        for new in (256, 256, 258):
            assert merge_word("abab", "ab", chr(new)) == chr(new) * 2
        return [1, 2, 3]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command.Progress, "update", lambda _, task, completed: seen.append(completed))
        assert command.with_progress(learn, Counter(abab=2), 4) == [1, 2, 3]
    assert seen == [1, 3], "the bar is drawn once a merge, not once a word"


def test_bytes_go_through_a_real_shell_as_they_are(folder: Path) -> None:
    def piped(*arguments: str, given: bytes) -> bytes:
        line = [sys.executable, "-W", "error", "-m", "step1_tokenizer.command", *arguments]
        return subprocess.run(line, cwd=COURSE_ROOT, input=given, stdout=subprocess.PIPE, check=True).stdout

    text = "naïve 👍 人\n".encode()
    ids = piped("encode", str(folder), given=text)
    assert piped("decode", str(folder), given=ids).replace(b"\r\n", b"\n") == text


@pytest.mark.parametrize("text", ["the cat", "naïve 👍 人\r\n", "", "a\0b", "<|end|>"])
def test_encode_and_decode_are_inverse_in_a_shell(folder: Path, text: str) -> None:
    ids = course("encode", str(folder), given=text.encode())
    assert course("decode", str(folder), given=ids.encode()) == text
    assert ids.split() == [str(i) for i in Tokenizer.load(folder).encode(text, refuse=False)]


def test_special_tokens_are_special_only_if_asked_for(folder: Path) -> None:
    assert course("encode", str(folder), "<|end|>", "--special").split() == ["274"]
    assert "274" not in course("encode", str(folder), "<|end|>").split()


def test_bytes_that_are_no_text_arrive_as_replacement_characters(folder: Path) -> None:
    assert course("encode", str(folder), given=b"a\xff") == course("encode", str(folder), "a\ufffd")


def test_inspect_shows_what_was_learned(tmp_path: Path) -> None:
    pairs = [(ord("a"), ord("b")), (0xC3, 0xA9), (0xE4, 0xBA), (256, ord("a")), (32, 32)]
    more = [(260, 260 + n) for n in range(10)]
    Tokenizer([*pairs, *more], ["<|end|>", "<|go|>"]).save(tmp_path)
    assert course("inspect", str(tmp_path), "abaé<|go|>人").splitlines() == [
        "273 tokens: 256 bytes, 15 merges, 2 special",
        "      271  <|end|>",
        "      272  <|go|>",
        f"first merges: 'ab' 'é' '\\xe4\\xba' 'aba' {' '.join(repr(' ' * n) for n in [2, *range(4, 18, 2)])}",
        f"longest: {' '.join(repr(' ' * n) for n in range(22, 2, -2))} 'aba' 'ab'",
        "this text: 'aba' 'é' '<|go|>' '\\xe4\\xba' '\\xba'",
        "14 bytes, 5 tokens",
    ]
    assert "this text" not in course("inspect", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "rule", "status"),
    [
        (["train", "poems"], "must be one of python, storyworld, file:PATH, hub:NAME, got 'poems'", 1),
        (["train", "file:/not/there"], "must name a file or a folder that is there", 1),
        (["train", "storyworld", "--vocab-size", "255"], "--vocab-size must be at least 256", 1),
        (["train", "storyworld", "--vocab-size", "many"], "Invalid value for '--vocab-size'", 2),
        (["encode", "/not/there", "hi"], "a folder must hold tokenizer.json", 1),
        (["encode", "hub:a/b/c", "hi"], "must name what the hub can have", 1),
        (["sing"], "No such command 'sing'", 2),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], rule: str, status: int) -> None:
    assert rule in course(*arguments, status=status)


def test_ids_that_are_none_are_told(folder: Path) -> None:
    for wrong in ("x", "²", "1.0"):
        assert f"got '{wrong}'" in course("decode", str(folder), "1", wrong, status=1)
    assert "from 0 to 274, got 275" in course("decode", str(folder), "275", status=1)


def test_a_text_with_too_few_pairs_says_how_many_tokens_are_missing(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abab", encoding="utf-8")
    told = course("train", f"file:{tmp_path / 't.txt'}", "--vocab-size", "300", "--out", str(tmp_path / "o"))
    assert "258 tokens" in told
    assert "42 tokens fewer" in told


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abab", encoding="utf-8")
    out = str(tmp_path / "t.txt" / "o")
    said = course("train", f"file:{tmp_path / 't.txt'}", "--vocab-size", "256", "--out", out, status=1)
    assert f"{out} cannot be written: " in said


def test_a_file_that_is_no_text_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.bin").write_bytes(b"text\xff\xfe")
    assert "byte 4 of" in course("train", f"file:{tmp_path}", "--out", str(tmp_path / "o"), status=1)
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_what_was_there_before(folder: Path, tmp_path: Path) -> None:
    before = (folder / "tokenizer.json").read_bytes()
    line = [sys.executable, "-m", "step1_tokenizer.command", "train", "python", "--out", str(folder)]
    process = subprocess.Popen([*line, "--vocab-size", "60000"], cwd=COURSE_ROOT, stderr=subprocess.PIPE)
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
