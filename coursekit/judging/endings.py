"""What a learner is told when the process of their code ended without an answer: time, memory, a crash."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from coursekit.judging import messages
from coursekit.judging.runs import Raised
from coursekit.judging.submission import Submission
from coursekit.judging.verdict import Status, Verdict
from coursekit.registry import Exercise, Milestone
from coursekit.workers.pool import Outcome
from coursekit.workers.watch import LOST, MEMORY, PROCESSES

Item = Exercise | Milestone


def ended_early(sub: Submission, item: Item, outcome: Outcome, lines: Sequence[int | None] | None) -> Verdict:
    """The process of the learner's code ended without an answer: time, memory, exit, crash."""
    how, code = outcome.end.how, outcome.end.code
    status = Status.CRASHED
    next_step = messages.hint(item)
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
    return messages.verdict(sub, item, status, next_step, message=text, printed=outcome.printed or None)


def unloaded(sub: Submission, item: Item, outcome: Outcome, lines: Sequence[int | None] | None) -> Raised:
    """Return the end of a process while the file was loaded, as what stopped the loading."""
    early = ended_early(sub, item, outcome, lines)
    line = _stuck_line(sub, outcome.stack, lines) if outcome.end.how == "timeout" else None
    text = early.message or ""
    return Raised("", text[:1].lower() + text[1:].rstrip("."), line=line, stage="module")


def _stuck_line(sub: Submission, stack: str, lines: Sequence[int | None] | None) -> int | None:
    """Return the learner's innermost line in a stack by faulthandler, which writes the innermost first."""
    for match in re.finditer(r'File "(.*?)", line (\d+)', stack):
        if match[1] == str(sub.path):
            number = int(match[2])
            return number if lines is None else lines[number - 1]
    return None


def _signal(code: int) -> str:
    names = {int(s): s.name for s in signal.Signals}
    meaning = {"SIGSEGV": " (a memory fault)", "SIGKILL": " (killed)", "SIGABRT": " (aborted)"}
    name = names.get(code, f"signal {code}")
    return name + meaning.get(name, "")
