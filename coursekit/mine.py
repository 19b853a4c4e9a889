"""Whose code a loaded learner's file runs: the learner's where it has passed, else the reference.

`learner()` returns a `Mine`: the file as saved, as a module. Nothing is judged here; what has passed is told
by the digests that `practice.progress` keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from coursekit.judging.verdict import Report, Status
from coursekit.practice import progress
from coursekit.practice.progress import Note, Progress, Standing
from coursekit.practice.standing import body_digest
from coursekit.registry import Exercise, Step
from coursekit.source import exercise_text, find_spans, read_source, split_lines

STUB = "exercise {} is not written yet"


class State(StrEnum):
    """Whose code runs for an exercise, and why."""

    YOURS = "yours"
    SOLVED = "solved for you"
    MISSING = "not in your file"
    UNWRITTEN = "not written yet"
    UNPASSED = "not passed yet"
    CHANGED = "changed since it passed"

    @property
    def is_stood_in(self) -> bool:
        return self not in (State.YOURS, State.SOLVED)


@dataclass(frozen=True)
class Part:
    """One exercise of a loaded file: the digest of its code as loaded, and whose code runs."""

    exercise: Exercise
    digest: str
    state: State

    @property
    def id(self) -> str:
        return self.exercise.id


@dataclass(frozen=True)
class Parts:
    """The exercises of one loaded file. `has_stand_in` is False where the file runs as it is."""

    step: Step
    path: Path
    all: tuple[Part, ...]
    has_stand_in: bool = True

    def of(self, *states: State) -> list[Part]:
        return [part for part in self.all if part.state in states]

    @property
    def stood_in(self) -> list[Part]:
        return [part for part in self.all if part.state.is_stood_in]

    @property
    def changed(self) -> str | None:
        """One sentence on code that passed once and is another now; None where there is none."""
        ids = [part.id for part in self.of(State.CHANGED)]
        if not ids or not self.has_stand_in:
            return None
        calls = ", ".join(f'"{item_id}"' for item_id in ids)
        has = "has changed since it" if len(ids) == 1 else "have changed since they"
        return f"{listed(ids)} {has} passed: the reference stands in until check({calls}) passes."

    def __str__(self) -> str:
        yours, total = len(self.of(State.YOURS)), len(self.all)
        whole = self.step.title[:1].lower() + self.step.title[1:]
        lines = [f"{yours} of {total} parts of {whole} are yours"]
        if not self.has_stand_in:
            lines[0] += "; it runs as it is saved, without a stand-in"
        lines[0] += f"  [{''.join('#' if p.state is State.YOURS else '·' for p in self.all)}]"
        for state in State:
            if found := self.of(state):
                lines.append(f"{state}: {', '.join(part.id for part in found)}")
        return "\n".join([*lines, *([self.next] if self.next else [])])

    @property
    def next(self) -> str:
        """What makes the first part that is stood in for the learner's own; nothing where none is."""
        if not self.stood_in:
            return ""
        part = self.stood_in[0]
        write = "" if part.state in (State.UNPASSED, State.CHANGED) else f"write {part.id}, save, then "
        return f'Next: {write}check("{part.id}")'


class Mine(ModuleType):
    """The learner's file as a module; shown, it says which parts of it are the learner's."""

    __parts__: Parts

    def __repr__(self) -> str:
        return str(self.__parts__) if "__parts__" in self.__dict__ else super().__repr__()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from coursekit.render.parts import parts_html

        return {"text/plain": repr(self), "text/html": parts_html(self.__parts__)}


def parts_of(step: Step, trio: str, path: Path, text: str, has_stand_in: bool = True) -> Parts:
    """Return whose code runs for each exercise of a text that compiles, read from `path`."""
    if not step.of_trio(trio):
        return Parts(step, path, (), has_stand_in)
    known = progress.load(step.root)
    template = reference_text(step, trio)
    spans = find_spans(text, [t for e in step.of_trio(trio) for t in e.targets], template)
    lines = split_lines(text)
    found = []
    for exercise in step.of_trio(trio):
        digest = body_digest(text, template, exercise)
        theirs = [spans[t] for t in exercise.targets if t in spans]
        if len(theirs) < len(exercise.targets):
            state = State.MISSING
        else:
            code = "".join("".join(lines[s.header - 1 : s.last]) for s in theirs)
            is_stub = STUB.format(exercise.id) in code
            is_solution = digest == body_digest(template, template, exercise)
            note = known.exercises.get(exercise.id, Note())
            state = _state(note, digest, _here(path, exercise.id), is_stub, is_solution)
        found.append(Part(exercise, digest, state))
    return Parts(step, path, tuple(found), has_stand_in)


def passed_since(parts: Parts, known: Progress) -> list[str]:
    """Return the exercises whose code passed unchanged after it was loaded, and was stood in for then."""
    waiting = [part for part in parts.stood_in if parts.has_stand_in]
    kept = {part.id: known.exercises.get(part.id, Note()).body for part in waiting}
    return [part.id for part in waiting if part.digest in (kept[part.id], _here(parts.path, part.id))]


# What passed in this process and is not in progress, by file and exercise: progress keeps passes of the
# course's own file alone, and in a copy of a step's folder no part would become the learner's.
_passed: dict[tuple[Path, str], str] = {}


def note_passes(step: Step, report: Report) -> None:
    """Remember, while this process lives, which code of the report's file passed and could not be kept."""
    path = Path(report.file).resolve()
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != report.sha256:
        return
    text = read_source(path)[0]
    known = progress.load(step.root)
    passed = {verdict.id for verdict in report.verdicts if verdict.status is Status.PASSED}
    for exercise in step.exercises:
        if exercise.id in passed:
            digest = body_digest(text, reference_text(step, exercise.trio), exercise)
            if known.exercises.get(exercise.id, Note()).body != digest:
                _passed[path, exercise.id] = digest


def _here(path: Path, item_id: str) -> str | None:
    return _passed.get((path.resolve(), item_id))


@lru_cache(maxsize=8)
def _exercise_text(solution: str, step: Step, trio: str) -> str:
    return exercise_text(solution, step, trio)


def reference_text(step: Step, trio: str) -> str:
    """Return the solution under the exercise's name: what stands in, line for line as in the solution."""
    return _exercise_text(read_source(step.trio_files(trio)[1])[0], step, trio)


def _state(note: Note, digest: str, here: str | None, is_stub: bool, is_solution: bool) -> State:
    if note.seen and is_solution:
        return State.SOLVED
    if digest == note.body and note.standing is not Standing.OPEN:
        return State.YOURS if note.standing is Standing.EARNED else State.SOLVED
    if digest == here:
        return State.YOURS
    if is_stub:
        return State.UNWRITTEN
    return State.UNPASSED if note.body is None and here is None else State.CHANGED


def listed(words: Sequence[str]) -> str:
    """Return words as one says them: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
