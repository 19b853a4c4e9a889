"""The demo trains the reference by the finale's path, writes, and ends cleanly whenever it is stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coursekit.corpora import MissingCorpus
from coursekit.lab import __main__ as way_in
from coursekit.lab import environment
from coursekit.registry import load_course
from step2_model import demo

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=3,bytes=4000")
    monkeypatch.setattr(demo, "LENGTH", 30)


def test_it_says_what_it_learns_from_how_fast_it_is_what_it_writes_and_what_comes_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo.main([]) == 0
    said, unsaid = capsys.readouterr()
    assert "8 bits a byte" in said
    assert ", 3 steps, " in said
    assert "Now it writes:\n\ndef " in said
    assert "characters per second" in said
    assert said.endswith("Next: python start.py\n")
    assert "%" not in unsaid  # no bar where nobody watches


def test_equal_seeds_write_equal_texts(capsys: pytest.CaptureFixture[str]) -> None:
    def text(*arguments: str) -> str:
        demo.main(arguments)
        return capsys.readouterr().out.partition("Now it writes:")[2].partition("This machine wrote")[0]

    assert text() == text("--seed", "0") != text("--seed", "1")


def test_the_line_tells_the_mean_loss_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(demo.LossBar, "add", lambda bar, x, y, fraction, text: told.append(text))
    view = demo.Minute()
    view.add(10.0, 4.0, 0.25, "")
    view.add(20.0, 2.0, 0.5, "")
    assert told == [
        "30 s left, loss 2.77 nats, 4.00 bits per byte",
        "20 s left, loss 2.08 nats, 3.00 bits per byte",
    ]


def test_an_interrupt_ends_the_training_early_and_the_text_is_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.Minute, "add", interrupt)
    assert demo.main([]) == 0
    said = capsys.readouterr().out
    assert "1 steps" in said
    assert "Next: python start.py" in said


def test_an_interrupt_while_it_writes_ends_the_text_and_says_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def few(*_: Any, **__: Any) -> Any:
        yield from b"ab"
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "sample", few)
    assert demo.main([]) == 0
    said = capsys.readouterr().out
    assert "def ab\n" in said
    assert "Next: python start.py" in said


def test_what_cannot_be_done_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        demo.main(["--seconds", "0"])
    assert "seconds must be above 0, got 0.0" in capsys.readouterr().err

    def missing() -> None:
        raise MissingCorpus("the sources must be there")

    monkeypatch.setattr(demo.finale, "python_library", missing)
    assert demo.main([]) == 1
    assert capsys.readouterr().err == "the sources must be there\n"


def test_the_way_in_finds_the_demo_by_the_registry_and_hands_its_arguments_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [e.module for step in load_course() for e in step.entries if e.name == "demo"] == [
        "step2_model.demo"
    ]
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(way_in.signal, "signal", lambda *_: None)
    monkeypatch.setattr(environment, "ensure", lambda wanted: f"python with {wanted}")
    monkeypatch.setattr(way_in, "become", lambda *words: started.append(words) or 0)
    assert way_in.main(["demo", "--seconds", "5", "--seed", "3"]) == 0
    assert started == [
        ("python with requirements.txt", "coursekit.cli.app", "demo", "--seconds", "5", "--seed", "3")
    ]


@pytest.mark.parametrize("word", ["-h", "--help"])
@pytest.mark.parametrize("here", [[], ["--here"]])
def test_help_needs_no_environment_and_names_every_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str, here: list[str]
) -> None:
    def never(*_: Any) -> None:
        pytest.fail("help began to make an environment")

    monkeypatch.setattr(way_in.signal, "signal", lambda *_: None)
    monkeypatch.setattr(way_in, "python_with", never)
    monkeypatch.setattr(environment, "state", lambda wanted: "not made")
    assert way_in.main(["demo", word, *here]) == 0
    told = capsys.readouterr().out
    assert "Watch the reference GPT learn for a minute" in told
    with pytest.raises(SystemExit):
        demo.main(["--help"])
    options = set(re.findall(r"--\w+", capsys.readouterr().out)) - {"--help"}
    assert options == set(re.findall(r"--\w+", told)) - {"--here", "--yes"}


def test_where_the_environment_is_made_help_is_the_demo_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(way_in.signal, "signal", lambda *_: None)
    monkeypatch.setattr(environment, "state", lambda wanted: "complete")
    monkeypatch.setattr(way_in, "become", lambda *words: started.append(words[1:]) or 0)
    assert way_in.main(["demo", "--help"]) == 0
    assert started == [("coursekit.cli.app", "demo", "--help")]


@pytest.mark.skipif(os.name != "posix", reason="sends the signal that Ctrl-C sends")
def test_in_a_terminal_ctrl_c_goes_on_to_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "seconds=100,bytes=4000")
    command = [sys.executable, "-m", "coursekit.cli.app", "demo"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        while "Ctrl-C" not in process.stdout.readline():
            pass
        # The line stands there before the first step: the signal comes during the training.
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait() == 0
    assert "Now it writes" in said
    assert "Next: python start.py" in said
