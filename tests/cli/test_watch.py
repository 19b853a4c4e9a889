"""`course watch`: what a save, a key, a lost file and a broken file lead to; and once in a real terminal."""

from __future__ import annotations

import io
import os
import queue
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit import progress
from coursekit.judge import Judge
from coursekit.render.terminal import make_console
from coursekit.selection import Job
from coursekit.verdict import Status
from coursekit.watch import HELP, State, handle, render, saves
from coursekit.workers.pool import Pool

RIGHT = 'return text.upper() + "!"'


@pytest.fixture(scope="module")
def judge(built_course: Any) -> Iterator[Judge]:
    with Pool() as pool:
        yield Judge(root=built_course.root, pool=pool)


@pytest.fixture
def state(here: Any, judge: Judge) -> State:
    """A watcher that has seen the untouched file."""
    told: list[str] = []
    state = State(Job(here.step, here.step.items, here.file), judge, here.step.items[0], told.append)
    assert state.saved()
    return state


def drawn(state: State, width: int = 60) -> str:
    stream = io.StringIO()
    make_console(stream, width=width, color=False).print(render(state, "utf-8", has_keys=True))
    return stream.getvalue()


def test_the_exercise_whose_code_changed_is_judged_and_taken_up(here: Any, state: State) -> None:
    here.write(Echo__say="return text + text")
    assert handle(state, "saved")
    assert state.current.id == "7.2"
    assert state.report is not None
    assert [(v.id, v.status) for v in state.report.verdicts] == [("7.2", Status.PASSED)]
    assert "go on with" in drawn(state)


def test_a_save_that_changes_nothing_is_not_judged_again(state: State) -> None:
    assert not handle(state, "saved")


def test_a_broken_a_lost_and_a_mended_file_are_each_told(here: Any, state: State) -> None:
    here.write(shout="return (text")
    assert handle(state, "saved")
    assert "never closed" in drawn(state)
    here.file.unlink()
    assert handle(state, "saved")
    assert not handle(state, "saved")
    assert "is not there" in drawn(state)
    here.write(shout=RIGHT)
    assert handle(state, "saved")
    assert state.report is not None
    assert state.report.all_passed


def test_keys_lead_on(here: Any, state: State) -> None:
    assert handle(state, "h")
    assert "Hint 1 of 3: Which case" in drawn(state)
    assert progress.load(here.root).note("7.1a").hints == 1
    assert handle(state, "n")
    assert state.current.id == "7.2"
    assert handle(state, "a")
    assert "0 of 4 passed" in drawn(state)
    assert handle(state, "l")
    assert "> 7.1a  Shouting: open, now not started" in drawn(state)
    assert not handle(state, "x")


def test_hints_end_with_the_last(state: State) -> None:
    for _ in range(5):
        handle(state, "h")
    assert "Hint 3 of 3" in drawn(state)


def test_the_place_of_the_exercise_and_the_keys_are_always_drawn(here: Any, state: State) -> None:
    for event in ("saved", "h", "a", "l"):
        handle(state, event)
        told = drawn(state)
        assert re.search(r"model_exercise\.py:\d+\n", told)
        assert HELP in told
        assert max(len(line.rstrip()) for line in told.split("\n")) <= 60


@pytest.mark.parametrize("kind", ["write", "rename"])
def test_every_way_of_saving_is_seen_and_other_files_are_not(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model_exercise.py"
    path.write_text("1", encoding="utf-8")
    events: queue.Queue[str] = queue.Queue()
    with saves(path, events.put):
        time.sleep(0.5)
        (tmp_path / "other.py").write_text("2", encoding="utf-8")
        with pytest.raises(queue.Empty):
            events.get(timeout=1)
        if kind == "write":
            path.write_text("2", encoding="utf-8")
        else:
            (tmp_path / ".swap").write_text("2", encoding="utf-8")
            os.replace(tmp_path / ".swap", path)
        assert events.get(timeout=20) == "saved"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_watch_in_a_terminal_judges_a_save_and_ends_with_q(course: Any) -> None:
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "coursekit.cli.app", "watch"],
        cwd=str(course.root),
        env=os.environ | {"PYTHONPATH": str(course.root), "TERM": "xterm"},
        dimensions=(40, 60),
        encoding="utf-8",
        timeout=60,
    )
    try:
        child.expect("q quit")
        course.write(shout=RIGHT)
        child.expect("passed")
        child.send("q")
        child.expect("Until next time")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
    finally:
        child.close(force=True)
    assert progress.load(course.root).done == {"7.1a"}
