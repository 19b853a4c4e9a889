"""`course watch`: stay with the files of the course, judge after every save, answer single keys at once.

Three threads hear and work (saves, keys, the judge); this one alone decides and draws.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from rich.console import Console

from coursekit.judging.verdict import Report
from coursekit.practice.editor import NoEditor, find_editor
from coursekit.practice.hints import next_hint
from coursekit.practice.keys import Keyboard
from coursekit.practice.path import in_path
from coursekit.practice.progress import load
from coursekit.practice.saves import saves
from coursekit.practice.selection import Job, WrongUsage
from coursekit.practice.watching import KEYS, Request, State
from coursekit.render.terminal import make_console, plain
from coursekit.render.watching import fitting, list_text
from coursekit.workers import WorkerError

# A check that takes longer than this is shown as what goes on; a shorter one would only flicker.
PATIENCE = 0.5

Event = tuple[str, Any]


class Judges(Protocol):
    """Whatever judges a job: the shared judge with its warm workers."""

    def report(self, step, items, path) -> Report: ...  # type: ignore[no-untyped-def]


def watch(jobs: Sequence[Job], is_chosen: bool, console: Console | None = None) -> None:
    """Stay with these files until q or Ctrl-C. `is_chosen`: the exercises were named, the path is not
    asked.
    """
    from coursekit.judging.judge import shared

    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    state = State(tuple(jobs), is_chosen, first_of(jobs, is_chosen))
    keyboard = Keyboard(lambda key: events.put(("key", key)))
    watcher = Watcher(state, shared(), console or make_console(), keyboard, events)
    with (
        saves([job.path for job in jobs], lambda path: events.put(("saved", path))),
        keyboard,
        _signals(events),
        contextlib.suppress(KeyboardInterrupt),
    ):
        watcher.stay()
    watcher.console.print(plain("Until next time: course progress shows where you stand."))


def first_of(jobs: Sequence[Job], is_chosen: bool) -> Any:
    """Return the first exercise that is open, on the path unless exercises were named."""
    known = load(jobs[0].step.root)
    every = [item for job in jobs for item in job.items]
    on_path = [item for item in every if is_chosen or in_path(item, known.path)] or every
    return next((item for item in on_path if item.id not in known.done), on_path[0])


class Watcher:
    """Turns events into what the state does, and draws what it has become."""

    def __init__(
        self,
        state: State,
        judge: Judges,
        console: Console,
        keyboard: Keyboard,
        events: queue.SimpleQueue[Event],
    ) -> None:
        self.state = state
        self.judge = judge
        self.console = console
        self.keyboard = keyboard
        self.events = events

    def stay(self) -> None:
        """Draw, and handle events until q."""
        self.state.begin()
        self.draw()
        self.set_to_work()
        while (event := self._wait()) != ("key", "q"):
            if self.handle(event):
                self.draw()
            self.set_to_work()

    def _wait(self) -> Event:
        if sys.platform != "win32":
            return self.events.get()
        while True:  # on Windows Ctrl-C does not end a wait without an end
            with contextlib.suppress(queue.Empty):
                return self.events.get(timeout=0.5)

    def handle(self, event: Event) -> bool:
        """Let one event change the state; return whether there is something new to draw."""
        kind, what = event
        if kind == "key":
            return self.press(what)
        if kind == "saved":
            return self.state.saved(what)
        if kind == "judged":
            self.state.judged(*what)
        elif kind == "failed":
            self.state.failed(what)
        elif kind == "continued":
            self.keyboard.renew()
        elif kind == "broken":
            raise what
        elif kind == "slow":
            return self.state.busy is what
        return True

    def press(self, key: str) -> bool:
        """Do what a key asks for; return False where it means nothing."""
        state = self.state
        actions: dict[str, Callable[[], str | None]] = {
            "h": self._hint,
            "n": state.next,
            "r": self._reference,
            "l": self._list,
            "a": state.all,
            "o": self.open_editor,
            "?": self._help,
        }
        if key not in actions:
            return False
        state.note = state.page = None
        state.note = actions[key]() or state.note
        return True

    def _hint(self) -> str:
        state = self.state
        if all(v.id != state.current.id for _, report in state.reports for v in report.verdicts):
            state.reports = ()  # one thing at a time
        try:
            hint = next_hint(state.step, state.current)
        except WrongUsage as sentence:
            return f"{sentence}."
        is_last = hint.number == len(hint.item.hints)
        said = [hint.head, hint.text, *(hint.onward() if is_last else []), hint.problem or ""]
        return "\n".join(said).rstrip()

    def _list(self) -> None:
        self.state.page = list_text(self.state)

    def _help(self) -> None:
        self.state.page = "\n".join(f"{key}  {text}" for key, text in KEYS.items())

    def _reference(self) -> str | None:
        verdicts = [verdict for _, report in self.state.reports for verdict in report.verdicts]
        has_one = any(verdict.passing and verdict.passing.beside for verdict in verdicts)
        self.state.shows_reference = has_one
        return None if has_one else "The reference is shown beside your version once a check has passed."

    def open_editor(self) -> str:
        """Open the exercise in hand at its line; say so, or say how."""
        place = self.state.place()
        try:
            editor = find_editor()
            with self.keyboard.paused() if editor.takes_terminal else contextlib.nullcontext():
                editor.open(self.state.job.path, place.line or 1)
        except NoEditor as error:
            return f"{error}."
        return f"Opened with {editor.name}."

    def set_to_work(self) -> None:
        """Hand the judge what waits for it, if it is free."""
        request = self.state.take()
        if request is None:
            return
        self.console.print(plain(f"Checking {', '.join(request.ids)} ..."), style="dim")
        threading.Thread(target=self._judge, args=(request,), daemon=True).start()
        timer = threading.Timer(PATIENCE, self.events.put, [("slow", request)])
        timer.daemon = True
        timer.start()

    def _judge(self, request: Request) -> None:
        try:
            reports = [self.judge.report(job.step, job.items, job.path) for job in request.jobs]
            self.events.put(("judged", (request, reports)))
        except (WorkerError, OSError) as error:
            self.events.put(("failed", f"{error}. The next save tries again; course doctor finds causes."))
        except Exception as error:  # noqa: BLE001 - a fault of the course is raised where it is seen
            self.events.put(("broken", error))

    def draw(self) -> None:
        """Draw the state: on a terminal on a fresh screen, elsewhere beneath what was told before."""
        told = fitting(self.state, self.console, self.keyboard.has_keys)
        if self.console.is_terminal:
            self.console.clear()
        self.console.print(told)


@contextlib.contextmanager
def _signals(events: queue.SimpleQueue[Event]) -> Iterator[None]:
    """Tell when the window's size has changed and when the program goes on after Ctrl-Z."""
    kinds = {"SIGWINCH": "resized", "SIGCONT": "continued"}
    here = {getattr(signal, name): kind for name, kind in kinds.items() if hasattr(signal, name)}
    is_main = threading.current_thread() is threading.main_thread()
    old = {}
    if is_main:
        for number, kind in here.items():
            old[number] = signal.signal(number, lambda *_, kind=kind: events.put((kind, None)))
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
