"""`course watch`: what saves, keys, lost files and slow checks lead to; and its life in a real terminal."""

from __future__ import annotations

import io
import os
import queue
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.judging.judge import Judge
from coursekit.judging.verdict import Report, Status
from coursekit.practice import progress
from coursekit.practice.editor import Editor, NoEditor, find_editor
from coursekit.practice.keys import Keyboard
from coursekit.practice.saves import saves
from coursekit.practice.selection import Job
from coursekit.practice.watch import Watcher
from coursekit.practice.watching import HELP, KEYS, State
from coursekit.render.terminal import make_console
from coursekit.render.watching import fitting, screen
from coursekit.workers import WorkerError
from coursekit.workers.pool import Pool

RIGHT = 'return text.upper() + "!"'


@pytest.fixture(scope="module")
def judge(built_course: Any) -> Iterator[Judge]:
    with Pool() as pool:
        yield Judge(root=built_course.root, pool=pool)


class Session:
    """A watcher without threads: a save or a key, then all that follows from it."""

    def __init__(self, course: Any, judge: Any, names: tuple[str, ...] = ()) -> None:
        items = tuple(i for i in course.step.items if not names or i.id in names)
        self.course = course
        self.judge = judge
        job = Job(course.step, items, course.file)
        self.state = State((job,), bool(names), job.items[0])
        self.stream = io.StringIO()
        console = make_console(self.stream, width=60, color=False)
        self.watcher = Watcher(self.state, judge, console, Keyboard(lambda _: None), queue.SimpleQueue())
        self.state.begin()
        self.work()

    def work(self) -> None:
        while (request := self.state.take()) is not None:
            reports = [self.judge.report(job.step, job.items, job.path) for job in request.jobs]
            self.watcher.handle(("judged", (request, reports)))

    def save(self, **bodies: str) -> bool:
        self.course.write(**bodies)
        return self.hear()

    def hear(self) -> bool:
        is_news = self.watcher.handle(("saved", self.course.file))
        self.work()
        return is_news

    def press(self, *pressed: str) -> bool:
        answered = [self.watcher.handle(("key", key)) for key in pressed]
        self.work()
        return all(answered)

    @property
    def told(self) -> list[tuple[str, Status]]:
        return [(v.id, v.status) for _, report in self.state.reports for v in report.verdicts]

    def drawn(self, width: int = 60) -> str:
        stream = io.StringIO()
        make_console(stream, width=width, color=False).print(screen(self.state, "utf-8", has_keys=True))
        return stream.getvalue()


@pytest.fixture
def session(here: Any, judge: Judge) -> Session:
    """A watcher that has seen the untouched file."""
    return Session(here, judge)


def test_a_pass_stays_on_the_screen_and_the_next_open_exercise_is_taken_up(session: Session) -> None:
    assert session.save(shout=RIGHT)
    assert session.told == [("7.1a", Status.PASSED)]
    assert session.state.current.id == "7.1b"
    drawn = session.drawn()
    assert "Texts can be heard from afar." in drawn
    assert re.search(r"7\.1b Counting\nmodel_exercise\.py:\d+\n1 of 3 parts", drawn)


def test_the_exercise_whose_code_changed_is_judged_whichever_was_in_hand(session: Session) -> None:
    session.save(Echo__say="return text")
    assert session.told == [("7.2", Status.FAILED)]
    assert session.state.current.id == "7.2"


def test_the_path_says_what_comes_next(session: Session) -> None:
    progress.update(lambda known: setattr(known, "path", "quick"), session.course.root)
    session.save(shout=RIGHT)
    assert session.state.current.id == "7.2"


def test_named_exercises_are_not_left(here: Any, judge: Judge) -> None:
    session = Session(here, judge, ("7.1a", "7.2"))
    session.save(shout=RIGHT)
    assert session.state.current.id == "7.2"
    session.save(shout=RIGHT, Echo__say="return text + text")
    assert session.told == [("7.2", Status.PASSED)]
    assert session.state.current.id == "7.2"
    assert session.press("n")
    assert "Nothing else is open here" in session.drawn()


def test_the_last_exercise_leads_to_the_milestone_which_is_judged_at_once(session: Session) -> None:
    session.save(shout=RIGHT)
    session.press("n")
    count = "return {word.lower(): [w.lower() for w in words].count(word.lower()) for word in words}"
    session.save(shout=RIGHT, count=count)
    session.save(shout=RIGHT, count=count, Echo__say="return text + text")
    assert session.told == [("7.2", Status.PASSED), ("7.all", Status.PASSED)]


def test_two_exercises_changed_by_one_save_are_both_judged(session: Session) -> None:
    session.save(shout=RIGHT, Echo__say="return text")
    assert session.told == [("7.1a", Status.PASSED), ("7.2", Status.FAILED)]
    assert session.state.current.id == "7.2"


def test_a_save_that_changes_nothing_is_not_judged_again(session: Session) -> None:
    assert not session.hear()


def test_a_broken_a_lost_and_a_mended_file_are_each_told(session: Session) -> None:
    assert session.save(shout="return (text")
    assert "never closed" in session.drawn()
    session.course.file.unlink()
    assert session.hear()
    assert not session.hear()
    assert "is not there" in session.drawn()
    assert session.told == []
    assert session.save(shout=RIGHT)
    assert session.told == [("7.1a", Status.PASSED)]
    assert "is not there" not in session.drawn()


def test_a_verdict_on_a_file_that_changed_meanwhile_is_never_told(session: Session, judge: Judge) -> None:
    session.course.write(shout="return text")
    session.watcher.handle(("saved", session.course.file))
    request = session.state.take()
    assert request is not None
    late = [judge.report(job.step, job.items, job.path) for job in request.jobs]
    session.course.write(shout=RIGHT)
    assert session.watcher.handle(("saved", session.course.file))
    assert session.state.take() is None
    session.watcher.handle(("judged", (request, late)))
    assert session.told != [("7.1a", Status.FAILED)]
    session.work()
    assert session.told == [("7.1a", Status.PASSED)]


def test_two_files_saved_at_once_are_both_judged_and_the_work_goes_on_in_the_one_that_needs_it(
    here: Any, judge: Judge
) -> None:
    session = Session(here, judge, ("7.1a",))
    other = here.file.with_name("other.py")
    shutil.copy(here.file, other)
    try:
        items = {item.id: item for item in here.step.items}
        session.state.jobs = (*session.state.jobs, Job(here.step, (items["7.2"],), other))
        session.state.begin()
        session.work()
        here.write(Echo__say="return text")
        os.replace(here.file, other)
        here.write(shout=RIGHT)
        for path in (here.file, other):
            assert session.watcher.handle(("saved", path))
        session.work()
        assert session.told == [("7.1a", Status.PASSED), ("7.2", Status.FAILED)]
        assert session.state.current.id == "7.2"
        assert "other.py:" in session.drawn()
    finally:
        other.unlink()


def test_a_pass_that_cannot_be_kept_is_told_all_the_same(session: Session, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("coursekit.practice.standing.update", refuse)
    session.save(shout=RIGHT)
    assert session.told == [("7.1a", Status.PASSED)]
    assert "could not be kept" in session.drawn()


def test_what_is_judged_just_now_is_not_told_from_before(session: Session) -> None:
    session.save(shout="return text")
    assert "failed" in session.drawn()
    session.course.write(shout=RIGHT)
    session.watcher.handle(("saved", session.course.file))
    assert session.state.take() is not None
    assert "failed" not in session.drawn()
    assert "Checking 7.1a ..." in session.drawn()


def test_keys_answer_while_a_check_runs(session: Session) -> None:
    session.course.write(shout="while True: pass")
    session.watcher.handle(("saved", session.course.file))
    assert session.state.take() is not None
    assert session.watcher.handle(("key", "h"))
    assert "hint 1 of 3" in session.drawn()
    assert session.watcher.handle(("key", "l"))
    assert "> 7.1a  Shouting: open" in session.drawn()


def test_keys_lead_on(session: Session) -> None:
    assert session.press("h")
    assert "7.1a Shouting: hint 1 of 3\n  Which case" in session.drawn()
    assert progress.load(session.course.root).note("7.1a").hints == 1
    assert session.press("n")
    # 7.1b waits for 7.1a.
    assert session.state.current.id == "7.2"
    assert session.press("a")
    assert "0 of 4 passed" in session.drawn()
    assert session.press("l")
    assert "> 7.1a  Shouting: open, now not started" in session.drawn()
    assert "  7.2  An echo: open, now not started" in session.drawn()
    assert not session.press("x")


def test_help_explains_every_key_and_each_of_them_means_something(session: Session) -> None:
    session.press("?")
    drawn = session.drawn()
    assert all(f"{key}  {text}"[:40] in drawn for key, text in KEYS.items())
    assert all(session.watcher.press(key) for key in KEYS if key not in "qo")
    assert {word for word in HELP.split() if len(word) == 1} <= set(KEYS)


def test_the_last_hint_names_the_way_on(session: Session) -> None:
    session.press(*"hhh")
    assert "course solve 7.1a" in session.drawn()


def test_the_reference_is_shown_by_a_key_where_the_screen_is_low(session: Session) -> None:
    session.press("r")
    assert "The reference is shown beside" in session.drawn()
    session.save(shout="loud = text.upper()\nreturn loud + chr(33)")
    console = make_console(io.StringIO(), width=60, color=True)
    tall, low = (console_lines(session.state, console, height) for height in (60, 12))
    assert "the reference" in tall
    assert "loud = text.upper()" not in low
    assert "r shows the reference" in low
    session.press("r")
    assert "loud = text.upper()" in console_lines(session.state, console, 12)


def console_lines(state: State, console: Any, height: int) -> str:
    console._height = height
    lines = console.render_lines(fitting(state, console, has_keys=True))
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def test_a_judge_that_cannot_work_is_told_and_the_next_save_tries_again(session: Session) -> None:
    session.watcher.judge = Broken()
    session.course.write(shout=RIGHT)
    session.watcher.handle(("saved", session.course.file))
    session.watcher.set_to_work()
    session.watcher.handle(session.watcher.events.get(timeout=10))
    assert "no worker could be started" in session.drawn()
    assert session.save(shout="return text")
    assert session.told == [("7.1a", Status.FAILED)]


class Broken:
    def report(self, *_: Any) -> Report:
        raise WorkerError("no worker could be started")


def test_the_place_of_the_exercise_and_the_keys_are_always_drawn(session: Session) -> None:
    for change in (session.hear, *(lambda k=key: session.press(k) for key in "hal?nr")):
        change()
        drawn = session.drawn()
        assert re.search(r"model_exercise\.py(:\d+)?\n", drawn)
        assert HELP in drawn
        assert max(len(line.rstrip()) for line in drawn.split("\n")) <= 60


@pytest.mark.parametrize(
    ("visual", "arguments", "takes_terminal"),
    [
        ("code", ["--goto", "f.py:7"], False),
        ("code -g --wait", ["--wait", "--goto", "f.py:7"], False),
        ("vim", ["+7", "f.py"], True),
        ("emacsclient -n", ["-n", "+7", "f.py"], False),
        ("subl", ["f.py:7"], False),
        ("notes", ["f.py"], False),
    ],
)
def test_editors_are_told_the_line_in_their_own_way(
    tmp_path: Path, visual: str, arguments: list[str], takes_terminal: bool
) -> None:
    program = tmp_path / visual.split()[0]
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    editor = find_editor({"VISUAL": visual, "EDITOR": "ed", "PATH": str(tmp_path)})
    assert editor.arguments(Path("f.py"), 7) == [str(program), *arguments]
    assert editor.takes_terminal is takes_terminal


def test_without_an_editor_it_is_said_how_to_name_one(tmp_path: Path, session: Session) -> None:
    with pytest.raises(NoEditor, match="export VISUAL=code"):
        find_editor({"PATH": str(tmp_path)})
    with pytest.raises(NoEditor, match="EDITOR must name a program that there is, got 'nothere'"):
        find_editor({"EDITOR": "nothere", "PATH": str(tmp_path)})
    with pytest.raises(NoEditor, match="cannot be started"):
        Editor((str(tmp_path / "gone"),)).open(tmp_path, 1)


@pytest.mark.parametrize("kind", ["write", "rename", "delete", "delete and write"])
def test_every_way_of_saving_is_heard_and_other_files_are_not(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model_exercise.py"
    path.write_text("1", encoding="utf-8")
    events: queue.Queue[Path] = queue.Queue()
    with saves([path], events.put):
        time.sleep(0.5)
        (tmp_path / "other.py").write_text("2", encoding="utf-8")
        with pytest.raises(queue.Empty):
            events.get(timeout=1)
        if kind == "rename":
            (tmp_path / ".swap").write_text("2", encoding="utf-8")
            os.replace(tmp_path / ".swap", path)
        if "delete" in kind:
            path.unlink()
        if "write" in kind:
            path.write_text("2", encoding="utf-8")
        assert events.get(timeout=20) == path


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_file_that_is_a_link_is_heard_of_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    real, link = tmp_path / "b" / "kept.py", tmp_path / "a" / "model_exercise.py"
    real.write_text("1", encoding="utf-8")
    link.symlink_to(real)
    events: queue.Queue[Path] = queue.Queue()
    with saves([link], events.put):
        time.sleep(0.5)
        real.write_text("2", encoding="utf-8")
        assert events.get(timeout=20) == link


@pytest.fixture
def terminal(course: Any) -> Iterator[Callable[..., Any]]:
    """Start `course watch` in a terminal: `child = terminal(width=60, NO_COLOR="1")`."""
    if sys.platform == "win32":
        pytest.skip("needs a pseudo-terminal")
    pexpect = pytest.importorskip("pexpect")
    children = []

    def start(*names: str, width: int = 60, height: int = 40, **environment: str) -> Any:
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        child = pexpect.spawn(
            sys.executable,
            ["-m", "coursekit.cli.app", "watch", *names],
            cwd=str(course.root),
            env=kept | {"PYTHONPATH": str(course.root), "TERM": "xterm-256color"} | environment,
            dimensions=(height, width),
            encoding="utf-8",
            timeout=60,
        )
        children.append(child)
        child.expect("q quit")
        # The first verdict stands there and the folder is watched.
        child.expect("not started")
        child.expect("q quit")
        return child

    yield start
    for child in children:
        child.close(force=True)


def ended(child: Any) -> int:
    import pexpect

    child.expect("Until next time")
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def test_watch_in_a_terminal_judges_a_save_and_ends_with_q(course: Any, terminal: Any) -> None:
    child = terminal()
    course.write(shout=RIGHT)
    child.expect("passed")
    child.expect("\x1b]8;[^;]*;file://[^\x1b]*step7_words/model_exercise.py\x1b")
    child.expect("q quit")
    child.send("q")
    assert ended(child) == 0
    assert progress.load(course.root).done == {"7.1a"}


def test_watch_answers_keys_and_ends_while_code_of_the_learner_does_not(course: Any, terminal: Any) -> None:
    child = terminal()
    course.write(shout="while True: pass")
    child.expect("Checking 7.1a")
    child.send("h")
    child.expect("hint 1 of 3")
    child.sendintr()
    assert ended(child) == 0


def test_without_colors_watch_sends_none_and_nothing_is_lost(course: Any, terminal: Any) -> None:
    child = terminal(NO_COLOR="1", TERM="dumb")
    course.write(shout="return text")
    child.expect("failed")
    assert "\x1b[3" not in child.before
    assert "\x1b]8" not in child.before
    child.send("q")
    assert ended(child) == 0


def test_a_window_of_another_size_is_drawn_anew(course: Any, terminal: Any) -> None:
    child = terminal(width=60)
    child.setwinsize(40, 100)
    child.expect("q quit")
    os.kill(child.pid, signal.SIGCONT)
    child.expect("q quit")
    child.send("?")
    child.expect("judge the whole file")
    child.send("q")
    assert ended(child) == 0


def test_without_a_keyboard_watch_judges_and_says_how_it_ends(course: Any) -> None:
    import subprocess

    child = subprocess.Popen(
        [sys.executable, "-m", "coursekit.cli.app", "watch"],
        cwd=course.root,
        env=os.environ | {"PYTHONPATH": str(course.root), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    lines = iter(child.stdout.readline, "")
    assert any("not started" in line for line in lines)
    assert any("Ctrl-C ends it" in line for line in lines)
    course.write(shout=RIGHT)
    assert any("passed" in line for line in lines)
    child.send_signal(signal.SIGINT)
    assert "Until next time" in child.communicate(timeout=60)[0]
    assert child.returncode == 0
