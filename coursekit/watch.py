"""`course watch`: a verdict after every save. What is known, what happens and what is drawn, apart."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.text import Text
from watchfiles import watch as watch_files

from coursekit import keys, progress
from coursekit.learner_file import places
from coursekit.progress import Progress
from coursekit.render.telling import first_to_do, plural
from coursekit.render.terminal import bold, indented, make_console, plain, render_report
from coursekit.selection import Item, Job, shown
from coursekit.source import find_spans, read_source, split_lines
from coursekit.standing import in_path, keep, next_open
from coursekit.verdict import Report

HELP = "h hint   n next   l list   a all   q quit"


class Judges(Protocol):
    """Whatever judges a job: the shared judge with its warm workers."""

    def report(self, step, items, path) -> Report: ...  # type: ignore[no-untyped-def]


@dataclass
class State:
    """What the watcher knows: the exercise in hand, the last verdicts, and the code that they are about.

    `announce` is told what is about to be judged, which takes seconds where code does not end.
    """

    job: Job
    judge: Judges
    current: Item
    announce: Callable[[str], None]
    report: Report | None = None
    bodies: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    note: str | None = None

    def saved(self) -> bool:
        """Judge what a save has changed; return whether there is something new to tell."""
        try:
            raw = self.job.path.read_bytes()
        except OSError:
            gone = (
                f"{shown(self.job.path)} is not there: save it again, or course reset {self.job.step.folder}"
            )
            is_news, self.note, self.report, self.digest = self.note != gone, gone, None, ""
            return is_news
        digest = hashlib.sha256(raw).hexdigest()
        if digest == self.digest:
            return False
        changed = self._changed()
        self.digest = digest
        if changed:
            self.current = changed[0]
        self.look(changed or [self.current])
        return True

    def look(self, items: list[Item]) -> None:
        """Judge these exercises."""
        self.announce(f"Checking {', '.join(item.id for item in items)} ...")
        report = self.judge.report(self.job.step, items, self.job.path)
        self.report, self.note = keep(self.job.step, report)
        first = first_to_do(self.report)
        if first is not None and len(items) > 1:
            self.current = next(item for item in self.items if item.id == first.id)

    def hint(self) -> None:
        """Tell the next hint of the exercise in hand."""
        hints = self.current.hints
        if not hints:
            self.note = f"{self.current.id} has no hints; to read: {self.current.writeup}"
            return

        def count(known: Progress) -> None:
            note = known.note(self.current.id)
            note.hints = min(note.hints + 1, len(hints))

        try:
            number = progress.update(count, self.job.step.root).note(self.current.id).hints
        except OSError as error:
            self.note = f"Your progress could not be kept: {error.strerror or error}."
            return
        self.note = f"Hint {number} of {len(hints)}: {hints[number - 1]}"

    def next(self) -> None:
        """Take up the next open exercise after the one in hand, and judge it."""
        known = progress.load(self.job.step.root)
        following = next_open(self.job.step, known.done, known.path, self.current.id)
        if following is None or following not in self.items:
            self.note = "Nothing else is open in this file."
            return
        self.current = following
        self.look([following])

    @property
    def items(self) -> tuple[Item, ...]:
        return self.job.items

    def _changed(self) -> list[Item]:
        """Return the exercises whose code is another than at the last save, and remember the new."""
        text = read_source(self.job.path)[0]
        template = read_source(self.job.step.trio_files(self.items[0].trio)[1])[0]
        spans = find_spans(text, [t for item in self.items for t in item.targets], template)
        lines = split_lines(text)
        old = self.bodies
        self.bodies = {
            item.id: "".join(
                "".join(lines[spans[t].header - 1 : spans[t].last]) for t in item.targets if t in spans
            )
            for item in self.items
            if item.targets
        }
        return [item for item in self.items if old and self.bodies.get(item.id) != old.get(item.id)]


def watch(job: Job, is_chosen: bool, console: Console | None = None) -> None:
    """Stay with one file until q or Ctrl-C: judge after every save, answer single keys."""
    from coursekit.judge import shared

    console = console or make_console()
    known = progress.load(job.step.root)
    on_path = [item for item in job.items if is_chosen or in_path(item, known.path)] or list(job.items)
    open_ones = [item for item in on_path if item.id not in known.done]
    state = State(job, shared(), (open_ones or on_path)[0], lambda text: console.print(text, style="dim"))
    events: queue.Queue[str] = queue.Queue()
    with (
        saves(job.path, events.put),
        keys.listening(events.put) as has_keys,
        contextlib.suppress(KeyboardInterrupt),
    ):
        state.saved()
        draw(state, console, has_keys)
        while (event := events.get()) != "q":
            if handle(state, event):
                draw(state, console, has_keys)
    console.print(plain("Until next time: course progress shows where you stand."))


def handle(state: State, event: str) -> bool:
    """Let one event (a key, or "saved") change the state; return whether there is something new to draw."""
    if event == "saved":
        return state.saved()
    actions: dict[str, Callable[[], None]] = {
        "h": state.hint,
        "n": state.next,
        "l": lambda: _list(state),
        "a": lambda: state.look(list(state.items)),
    }
    if event not in actions:
        return False
    state.note = None
    actions[event]()
    return True


@contextlib.contextmanager
def saves(path: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell("saved")` after every save of the file while the block runs.

    The folder is watched, not the file: editors save by writing another file and renaming it.
    """
    done = threading.Event()

    def follow() -> None:
        is_ours = lambda _, changed: Path(changed).name == path.name  # noqa: E731
        for _ in watch_files(
            path.parent,
            watch_filter=is_ours,
            debounce=100,
            step=20,
            stop_event=done,
            recursive=False,
            raise_interrupt=False,
        ):
            tell("saved")

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=2)


def draw(state: State, console: Console, has_keys: bool) -> None:
    """Draw the whole state: on a terminal on a fresh screen, elsewhere beneath what was told before."""
    if console.is_terminal:
        console.clear()
    console.print(render(state, console.encoding, has_keys))


def render(state: State, encoding: str, has_keys: bool) -> Group:
    """Return what is drawn: the verdicts, a note, the exercise in hand with its place, the keys."""
    told: list[RenderableType] = []
    if state.report is not None:
        told.append(render_report(state.report, state.job.step, encoding))
    if state.note:
        told += [Text(), indented(state.note)]
    known = progress.load(state.job.step.root)
    done = sum(item.id in known.done for item in state.items)
    told += [Text(), bold(f"{state.current.id} {state.current.title}")]
    told += [Text(place) for place in places(state.job.step, state.current)[:2]]
    told.append(Text(f"{done} of {plural(len(state.items), 'part')} done", style="dim"))
    told.append(Text(HELP if has_keys else "Judged after every save; Ctrl-C ends it.", style="dim"))
    return Group(*told)


def _list(state: State) -> None:
    known = progress.load(state.job.step.root)
    verdicts = {v.id: str(v.status) for v in state.report.verdicts} if state.report else {}
    lines = [
        f"{'>' if item is state.current else ' '} {item.id}  {item.title}: "
        + (str(known.standing(item.id)) + (f", now {verdicts[item.id]}" if item.id in verdicts else ""))
        for item in state.items
    ]
    state.note = "\n".join(lines)
