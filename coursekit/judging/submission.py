"""One learner's file as the judge sees it: read once, cut into its exercises, with what is wrong outside of
them.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from coursekit.judging import messages
from coursekit.judging.runs import Raised
from coursekit.judging.verdict import FileFault, Verdict
from coursekit.registry import Exercise, Milestone, Step
from coursekit.source import (
    exercise_text,
    find_spans,
    forbidden_calls,
    is_untouched,
    isolate,
    read_source,
    reset,
    stub_text,
    transplant,
)

Lines = Sequence[int | None]


class Submission:
    """A learner's file of one trio. A file that is missing reads as empty, with a fault that says so."""

    def __init__(self, step: Step, trio: str, path: Path) -> None:
        self.step = step
        self.trio = trio
        self.path = path
        self.name = path.name
        solution = step.trio_files(trio)[1].read_text(encoding="utf-8")
        self.exercise_text = exercise_text(solution, step, trio)
        self.stub_text = stub_text(solution, step, trio)
        self.targets = tuple(target for exercise in step.of_trio(trio) for target in exercise.targets)
        self.is_there = path.is_file()
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if self.is_there else ""
        self.text, self.encoding_fault = read_source(path) if self.is_there else ("", None)
        self.spans = find_spans(self.text, self.targets, self.stub_text)
        self._missing: dict[str, list[str]] = {}
        self._module_fault: tuple[Raised, set[str]] | None = None

    @property
    def is_own(self) -> bool:
        """Whether this is the file in the step's own folder, with those of the other steps around it."""
        return self.path.resolve() == self.step.trio_files(self.trio)[0].resolve()

    def without_running(self, item: Exercise) -> Verdict | None:
        """Return the verdict that needs no run: a missing function, an untouched stub, a forbidden call."""
        absent = [target for target in item.targets if target not in self.spans]
        if absent:
            self._missing[item.id] = absent
            return messages.missing(self, item, absent)
        if all(is_untouched(self.text, self.stub_text, target) for target in item.targets):
            return messages.not_started(self, item)
        for target in item.targets:
            others = [other for other in self.targets if other not in item.targets]
            calls = forbidden_calls(self.text, target, item.forbidden, others)
            if calls:
                return messages.not_allowed(self, item, *calls[0])
        return None

    def isolated(self, item: Exercise) -> tuple[str, Lines]:
        """Return the learner's file with the solution's bodies in every other exercise."""
        composed = isolate(self.text, self.exercise_text, item.targets, self.targets)
        return composed.text, composed.lines

    def transplanted(self, item: Exercise) -> tuple[str, Lines]:
        """Return the solution's file with the learner's body of this exercise."""
        composed = transplant(self.text, self.exercise_text, item.targets, self.targets)
        return composed.text, composed.lines

    def location(self, item: Exercise | Milestone) -> str:
        """Return where the exercise stands: file and line, for an editor to open."""
        lines = [self.spans[target].header for target in item.targets if target in self.spans]
        return f"{self.path}:{min(lines)}" if lines else str(self.path)

    def closest(self, target: str) -> str | None:
        """Return the name in the file that is most like a missing one, if one is."""
        name = target.rpartition(".")[2]
        header = re.compile(r"^[ \t]*(?:def|class)[ \t]+(\w+)", re.MULTILINE)
        new = set(header.findall(self.text)) - set(header.findall(self.stub_text))
        found = difflib.get_close_matches(name, sorted(new), n=1, cutoff=0.5)
        return found[0] if found else None

    def returns_nothing(self, target: str) -> bool:
        """Tell whether the learner's function has no statement that returns a value."""
        span = self.spans.get(target)
        if span is None:
            return False
        lines = self.text.splitlines(keepends=True)[span.header - 1 : span.last]
        try:
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except SyntaxError:
            return False
        gives = (ast.Return, ast.Yield, ast.YieldFrom)
        return not any(isinstance(node, gives) and node.value is not None for node in ast.walk(tree))

    @property
    def module_fault(self) -> Raised | None:
        """What was noted to keep the file from being loaded, outside every body."""
        return None if self._module_fault is None else self._module_fault[0]

    def note_fault(self, raised: Raised, costs: Sequence[str]) -> None:
        """Remember an exception outside every body, and the exercises that it may have cost."""
        if self._module_fault is None:
            self._module_fault = (raised, set())
        self._module_fault[1].update(costs)

    def note_on_given_code(self, item: Exercise | Milestone) -> str | None:
        """Return one sentence if the code around the exercises is no longer what the course gave."""
        if find_spans(self.text, self.targets, self.stub_text).keys() != set(self.targets):
            return None
        theirs = reset(self.text, self.stub_text, self.targets).splitlines()
        given = self.stub_text.splitlines()
        for tag, first, last, _, _ in difflib.SequenceMatcher(
            None, given, theirs, autojunk=False
        ).get_opcodes():
            if tag in ("replace", "delete") and any(line.strip() for line in given[first:last]):
                line = next(line.strip() for line in given[first:last] if line.strip())
                return f"Note: the code around the exercises has changed; the course gave this line: {line}"
        return None

    def faults(self, lost: Sequence[str]) -> list[FileFault]:
        """Return what is wrong outside the bodies, each once, with the exercises among `lost` that it
        costs.
        """
        if not self.is_there:
            return [FileFault(messages.no_file(self), tuple(lost))]
        found = []
        if self.encoding_fault is not None:
            found.append(FileFault(self.encoding_fault, self._not_utf8(lost)))
        if self._missing:
            found.append(messages.missing_fault(self, self._missing))
        if self._module_fault is not None:
            raised, met = self._module_fault
            if self.encoding_fault is None or raised.type not in ("SyntaxError", "UnicodeEncodeError"):
                found.append(messages.module_fault(self, raised, [i for i in lost if i in met]))
        return found

    def _not_utf8(self, lost: Sequence[str]) -> tuple[str, ...]:
        """Return the exercises whose own lines hold a byte that is not UTF-8."""
        lines = self.text.split("\n")
        hit = []
        for exercise in self.step.of_trio(self.trio):
            for target in exercise.targets:
                span = self.spans.get(target)
                body = "\n".join(lines[span.header - 1 : span.last]) if span else ""
                if exercise.id in lost and any("\ud800" <= c <= "\udfff" for c in body):
                    hit.append(exercise.id)
        return tuple(hit)
