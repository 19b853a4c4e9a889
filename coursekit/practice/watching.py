"""What `course watch` knows and decides: which exercise is in hand, what is to be judged, what is still true.

Nothing here draws, waits or runs code: events come in, a request for the judge may go out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from coursekit.judging.verdict import Report, Status
from coursekit.practice import progress
from coursekit.practice.learner_file import bodies_of, digest_of
from coursekit.practice.passing import Following, following, following_on_path
from coursekit.practice.path import Item, in_path
from coursekit.practice.selection import Job, shown
from coursekit.practice.standing import keep
from coursekit.registry import Step
from coursekit.render.telling import first_to_do

KEYS = {
    "h": "the next hint",
    "n": "take up the next open exercise, and judge it",
    "r": "the reference beside your version, after a pass",
    "l": "the exercises of your path and how they stand",
    "a": "judge the whole file",
    "o": "open the exercise in your editor (VISUAL, EDITOR or VS Code)",
    "?": "this list",
    "q": "quit; Ctrl-C does the same",
}
HELP = "h hint  n next  l list  a all  o open  ? help  q quit"
NO_KEYS = "Judged after every save; Ctrl-C ends it."


class Why(StrEnum):
    """What a request comes from: a save moves on after a pass, a key does not, a pass may ask for more."""

    SAVE = "save"
    KEY = "key"
    ONWARD = "onward"


@dataclass(frozen=True)
class Request:
    """Exercises to be judged, a job for each file."""

    jobs: tuple[Job, ...]
    why: Why

    @property
    def ids(self) -> list[str]:
        return [item.id for job in self.jobs for item in job.items]


@dataclass
class Seen:
    """A file as it was when it was looked at last: a hash of the whole, the code of each exercise."""

    digest: str = ""
    bodies: dict[str, str] = field(default_factory=dict)


@dataclass
class State:
    """The exercise in hand, the verdicts on the screen, and what waits to be judged.

    `jobs` are the watched files with their exercises. Without `is_chosen` they are those of the course, and
    the path says what comes next. A verdict is told only if the file is still as it was when it was judged.
    `note` stands beneath the verdicts, `page` in their place until something else happens.
    """

    jobs: tuple[Job, ...]
    is_chosen: bool
    current: Item
    reports: tuple[tuple[Step, Report], ...] = ()
    note: str | None = None
    page: str | None = None
    busy: Request | None = None
    shows_reference: bool = False
    statuses: dict[str, Status] = field(default_factory=dict)
    _pending: dict[Path, list[Item]] = field(default_factory=dict)
    _why: Why = Why.SAVE
    _seen: dict[Path, Seen] = field(default_factory=dict)

    @property
    def items(self) -> list[Item]:
        """All exercises and milestones of the watched files that belong to the path, or were named."""
        known = progress.load(self.step.root)
        every = [item for job in self.jobs for item in job.items]
        return [item for item in every if self.is_chosen or in_path(item, known.path)] or every

    @property
    def has_more(self) -> bool:
        """Tell whether something waits for the judge to be free."""
        return bool(self._pending)

    @property
    def job(self) -> Job:
        """The file of the exercise in hand."""
        return next(job for job in self.jobs if self.current in job.items)

    @property
    def step(self) -> Step:
        return self.job.step

    def place(self) -> Following:
        """Return where the exercise in hand is written."""
        return following(self.step, self.current, self.job.path)

    def begin(self) -> None:
        """Look at every file and ask for a verdict on the exercise in hand."""
        for job in self.jobs:
            self._look(job)
        self.ask([self.current], Why.KEY)

    def saved(self, path: Path) -> bool:
        """Take note of a save; return whether it changed anything."""
        job = next((job for job in self.jobs if job.path == path), None)
        if job is None:
            return False
        before = self._seen.get(path, Seen())
        changed = self._look(job)
        now = self._seen[path]
        if now.digest == before.digest:
            return False
        if not now.digest:
            self.reports = ()
            self.note = f"{shown(path)} is not there: save it again, or course reset {job.step.folder}"
            return True
        self.note = self.page = None
        self.shows_reference = False
        if not changed:
            changed = [self.current if self.current in job.items else self._first(job)]
        self.current = changed[0]
        self.ask(changed, Why.SAVE)
        return True

    def _first(self, job: Job) -> Item:
        done = progress.load(job.step.root).done
        return next((item for item in job.items if item.id not in done), job.items[0])

    def ask(self, items: Sequence[Item], why: Why) -> None:
        """Let exercises be judged as soon as the judge is free."""
        self._why = why
        for job in self.jobs:
            waiting = self._pending.get(job.path, [])
            if more := [item for item in job.items if item in items or item in waiting]:
                self._pending[job.path] = more

    def take(self) -> Request | None:
        """Return what is to be judged now; None while the judge is at work or nothing waits."""
        if self.busy is not None or not self._pending:
            return None
        jobs = [
            dataclasses.replace(job, items=tuple(self._pending[job.path]))
            for job in self.jobs
            if job.path in self._pending
        ]
        self._pending.clear()
        self.busy = Request(tuple(jobs), self._why)
        return self.busy

    def judged(self, request: Request, reports: Sequence[Report]) -> None:
        """Take in verdicts. Those on a file that has changed meanwhile are dropped, and asked for anew."""
        self.busy = None
        fresh: list[tuple[Step, Report]] = []
        for job, report in zip(request.jobs, reports):
            digest = digest_of(job.path)
            if digest == report.sha256 and digest:
                kept, problem = keep(job.step, report)
                self.note = problem or self.note
                self.statuses |= {verdict.id: verdict.status for verdict in kept.verdicts}
                fresh.append((job.step, kept))
            elif digest:
                self.ask(job.items, self._why if self._pending else request.why)
        if fresh:
            before = self.reports if request.why is Why.ONWARD else ()
            self.reports = (*before, *fresh)
            self._go_on(request, [report for _, report in fresh])

    def failed(self, sentence: str) -> None:
        """Take in that the judge itself could not do its work."""
        self.busy, self.reports, self.note = None, (), sentence

    def _go_on(self, request: Request, reports: Sequence[Report]) -> None:
        """Take up what is to be done first; after a pass by a save, the next open exercise of the path."""
        items = {item.id: item for job in self.jobs for item in job.items}
        todo = [first for report in reports if (first := first_to_do(report)) is not None]
        if todo:
            self.current = items[todo[0].id]
            return
        if reports[-1].verdicts and all(report.all_passed for report in reports):
            self.current = items[reports[-1].verdicts[-1].id]
            onward = self._onward()
            if request.why is Why.KEY or onward is None:
                return
            self.current = onward
            if onward.is_milestone and set(onward.needs) <= progress.load(self.step.root).done:
                self.ask([onward], Why.ONWARD)

    def _onward(self) -> Item | None:
        """Return the next open exercise after the one in hand; None where nothing else is open."""
        known = progress.load(self.step.root)
        items = {item.id: item for item in self.items}
        if self.is_chosen:
            ids = list(items)
            place = ids.index(self.current.id) + 1
            found = next((i for i in ids[place:] + ids[:place] if i not in known.done), None)
        else:
            ahead = following_on_path(self.step, known, self.current.id)
            found = None if ahead is None else ahead.id
        return items.get(found or "") if found != self.current.id else None

    def next(self) -> None:
        """Take up the next open exercise after the one in hand, and ask for a verdict on it."""
        onward = self._onward()
        if onward is None:
            self.note = "Nothing else is open here. To see where you stand: course progress"
            return
        self.current, self.reports = onward, ()
        self.ask([onward], Why.KEY)

    def all(self) -> None:
        """Ask for verdicts on everything in the file of the exercise in hand."""
        path = [item for item in self.job.items if item in self.items]
        self.ask(path or list(self.job.items), Why.KEY)

    def _look(self, job: Job) -> list[Item]:
        """Read a file; return the exercises whose code is another than when it was read last."""
        digest = digest_of(job.path)
        old = self._seen.get(job.path, Seen())
        self._seen[job.path] = Seen(digest, bodies_of(job) if digest else old.bodies)
        new = self._seen[job.path].bodies
        return [item for item in job.items if old.bodies and new.get(item.id) != old.bodies.get(item.id)]
