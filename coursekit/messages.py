"""What a learner is told: every verdict in words. What came back, what should have, where, and the next
step.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit.compare import Difference, value_distance
from coursekit.probe import TOLERANCE, Claim
from coursekit.registry import Exercise, Milestone
from coursekit.runs import Raised, Run
from coursekit.tell import print_whole
from coursekit.verdict import FileFault, Status, Verdict
from coursekit.workers.watch import LOST, MEMORY, PROCESSES

if TYPE_CHECKING:
    from coursekit.expected import Expected
    from coursekit.submission import Submission
    from coursekit.workers.pool import Outcome

Item = Exercise | Milestone


def _verdict(sub: Submission, item: Item, status: Status, next_step: str, **more: Any) -> Verdict:
    score = more.pop("score", 0.0)
    return Verdict(item.id, status, float(score), item.points, next_step, location=sub.location(item), **more)


def _hint(item: Item) -> str:
    return f"course hint {item.id}" if item.hints else f"read {item.writeup}"


def passed(sub: Submission, item: Item) -> Verdict:
    """Every claim holds."""
    ids = [other.id for other in sub.step.items]
    following = sub.step.items[ids.index(item.id) + 1 :][:1]
    onward = [f"go on with {other.id}, {other.title}" for other in following]
    next_step = onward[0] if onward else f"step {sub.step.number} is complete as far as it is written"
    return _verdict(sub, item, Status.PASSED, next_step, score=item.points)


def not_started(sub: Submission, item: Item) -> Verdict:
    """The body is the stub's."""
    return _verdict(
        sub,
        item,
        Status.NOT_STARTED,
        f"write {' and '.join(item.targets)} in {sub.name}; a first nudge: course hint {item.id}",
        message=f"{' and '.join(item.targets)} in {sub.name} is still as the course gave it.",
    )


def missing(sub: Submission, item: Item, absent: Sequence[str]) -> Verdict:
    """A function or class that the exercise is about is not in the file."""
    text = f"{sub.name} has no {' and no '.join(absent)}."
    if not sub.is_there:
        text = no_file(sub.path)
    elif close := sub.closest(absent[0]):
        text += f" It has {close}: was it renamed? The name is part of what is asked."
    return _verdict(
        sub,
        item,
        Status.ERROR,
        f"give it its name back, or bring the stub back with: course reset {item.id}",
        message=text,
    )


def not_allowed(sub: Submission, item: Item, name: str, line: int) -> Verdict:
    """The body calls what the exercise asks to be written out."""
    return _verdict(
        sub,
        item,
        Status.NOT_ALLOWED,
        f"write out what {name} does; {_hint(item)}",
        message=f"{sub.name}, line {line} uses {name}, which this exercise asks you to write yourself.",
    )


def blocked(sub: Submission, item: Milestone, open_ids: Sequence[str]) -> Verdict:
    """A milestone whose exercises do not all pass."""
    return _verdict(
        sub,
        item,
        Status.BLOCKED,
        f"first: course check {open_ids[0]}",
        message=f"{item.title} runs your whole file and needs {_list(open_ids)}, not passed yet.",
    )


def failed(sub: Submission, item: Item, claim: Claim, difference: Difference, credit: float) -> Verdict:
    """The first claim that does not hold."""
    return _verdict(
        sub,
        item,
        Status.FAILED,
        _hint(item),
        score=credit,
        claim=claim.label,
        got=difference.got,
        expected=difference.expected,
        where=difference.where,
    )


def cut_short(sub: Submission, item: Item, came: int, asked: int) -> Verdict:
    """The check came to its end with another number of claims than on the solution."""
    return _verdict(
        sub,
        item,
        Status.CRASHED,
        "look for what your code changes outside itself: modules it assigns to, exceptions it swallows",
        message=f"The check asked {asked} things of your code, and {came} answers came back, no exception.",
    )


def raised(sub: Submission, item: Item, want: Expected, run: Run, credit: float) -> Verdict:
    """An exception: the learner's own, or one that a wrong return value caused in the check."""
    assert run.raised is not None
    error = run.raised
    if error.type == "NotImplementedError" and error.message.startswith("exercise "):
        text = f"{sub.name} still raises NotImplementedError in {' and '.join(item.targets) or item.title}."
        return _verdict(
            sub,
            item,
            Status.ERROR,
            "delete the raise statement of the stub once your code is there",
            score=credit,
            message=text,
            detail=error.traceback,
        )
    if not error.in_learner:
        got, expected = _first_return(run, want.run)
        return _verdict(
            sub,
            item,
            Status.FAILED,
            _hint(item),
            score=credit,
            claim=f"{' and '.join(item.targets) or item.title} returns what was asked for",
            got=got or f"something that cannot be used: {error.type}: {error.message}",
            expected=expected,
        )
    where = f"in line {error.line}" if error.line else f"in {sub.name}"
    text = f"Your code stopped {where} with {error.type}: {error.message}".rstrip(": ")
    return _verdict(
        sub,
        item,
        Status.ERROR,
        f"mend {'line ' + str(error.line) if error.line else 'it'}; {_hint(item)}",
        score=credit,
        message=text,
        detail=error.traceback,
    )


def ended_early(sub: Submission, item: Item, outcome: Outcome, lines: Sequence[int | None] | None) -> Verdict:
    """The process of the learner's code ended without an answer: time, memory, exit, crash."""
    how, code = outcome.end.how, outcome.end.code
    status = Status.CRASHED
    next_step = _hint(item)
    if how == "timeout":
        status = Status.TIMEOUT
        line = _stuck_line(sub, outcome.stack, lines)
        where = f" Shortly before, it was in line {line}." if line else ""
        text = f"No answer after {item.timeout:g} seconds: is there a loop that does not end?{where}"
        next_step = f"look at what ends each loop in {' and '.join(item.targets) or sub.name}"
    elif how == "memory":
        text = f"Your code took more than the {MEMORY >> 30} GiB of memory that a check may use."
        next_step = "print the shapes: is a tensor larger than it should be?"
    elif how == "processes":
        text = f"Your code ran more than {PROCESSES} processes at a time: is there a fork that does not end?"
        next_step = "start no process in your code; the exercises need none"
    elif how == "lost":
        text = "While your code ran, the process that watches over it was killed."
        next_step = "end no other process in your code; if it ends none, check once more"
    elif how == "signal":
        text = f"The process that ran your code was ended by {_signal(code)}."
    elif outcome.lost or code == LOST:
        why = f" ({outcome.lost})" if outcome.lost else ""
        text = f"Your code came to its end, but left Python so that its results could not be saved{why}."
        next_step = (
            "look for what it changes outside itself: files it closes or deletes, modules it assigns to"
        )
    else:
        text = f"Your code ended the process itself (exit status {code}) before the check was over."
        next_step = "return a value instead of ending the program"
    return _verdict(sub, item, status, next_step, message=text, printed=outcome.printed or None)


def _stuck_line(sub: Submission, stack: str, lines: Sequence[int | None] | None) -> int | None:
    """Return the learner's innermost line in a stack by faulthandler, which writes the innermost first."""
    for match in re.finditer(r'File "(.*?)", line (\d+)', stack):
        if match[1] == str(sub.path):
            number = int(match[2])
            return number if lines is None else lines[number - 1]
    return None


def no_file(path: Path) -> str:
    """Return the sentence for a file that is not there."""
    return f"There is no {path.name} in {path.parent}: bring the stub back with `course reset`."


def missing_fault(sub: Submission, missing_by_id: Mapping[str, Sequence[str]]) -> FileFault:
    """Functions and classes that are gone from the file, named once."""
    names = [target for targets in missing_by_id.values() for target in targets]
    ids = tuple(missing_by_id)
    text = f"{sub.name} has no {_list(names)}. Everything else is judged as if it were there."
    return FileFault(f"{text} To bring the stub back: course reset {ids[0]}", ids)


def module_fault(sub: Submission, error: Raised, costs: Sequence[str]) -> FileFault:
    """An exception while the file is loaded, outside all exercises."""
    where = f", line {error.line}" if error.line else ""
    text = f"{sub.name}{where}, outside all exercises: {error.type}: {error.message}".rstrip(": ")
    rest = "Every exercise that does not use that line was judged all the same."
    return FileFault(f"{text}. {rest}", tuple(costs), error.traceback)


def smallest_case(wanted: Sequence[Mapping[str, Any]], got: Any) -> str | None:
    """Return the first small case whose outputs differ, whole: input, yours, wanted. `got` comes from a
    worker.
    """
    for want, have in zip(wanted, got if isinstance(got, list) else ()):
        if not isinstance(have, dict) or "output" not in have:
            return None
        if value_distance(want["output"], have["output"], TOLERANCE).distance > 1:
            inputs = [f"{name} =\n{_indented(value)}" for name, value in (want["inputs"] or {}).items()]
            return "\n".join(
                [
                    "The smallest input that shows it:",
                    *inputs,
                    f"yours =\n{_indented(have['output'])}",
                    f"wanted =\n{_indented(want['output'])}",
                ]
            )
    return None


def _indented(value: Any) -> str:
    return "\n".join("    " + line for line in print_whole(value).splitlines())


def _first_return(run: Run, want: Run) -> tuple[str | None, str | None]:
    """Return the first return value that is not like the trusted run's, and that one."""
    for got, wanted in zip(run.returns, want.returns):
        if got != wanted:
            return got, wanted
    return (run.returns[-1] if run.returns else None), None


def _signal(code: int) -> str:
    names = {int(s): s.name for s in signal.Signals}
    meaning = {"SIGSEGV": " (a memory fault)", "SIGKILL": " (killed)", "SIGABRT": " (aborted)"}
    name = names.get(code, f"signal {code}")
    return name + meaning.get(name, "")


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
