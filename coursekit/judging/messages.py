"""What a learner is told: every verdict in words. What came back, what should have, where, and the next
step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coursekit.judging.compare import Difference
from coursekit.judging.runs import Raised, Run
from coursekit.judging.verdict import FileFault, Status, Verdict
from coursekit.probe import Claim
from coursekit.registry import Exercise, Milestone

if TYPE_CHECKING:
    from coursekit.judging.expected import Expected
    from coursekit.judging.submission import Submission

# The type of the exception that code meets which asks for a keyboard in a check.
WANTS_KEYBOARD = "WantsKeyboard"
Item = Exercise | Milestone


def verdict(sub: Submission, item: Item, status: Status, next_step: str, **more: Any) -> Verdict:
    """Return a verdict on an item, without points unless told otherwise."""
    score = more.pop("score", 0.0)
    return Verdict(item.id, status, float(score), item.points, next_step, location=sub.location(item), **more)


def hint(item: Item) -> str:
    """Return the next step for somebody who is stuck."""
    return f"course hint {item.id}" if item.hints else f"read {item.writeup}"


def with_a_look_inside(verdict: Verdict) -> Verdict:
    """Return the verdict with the ways to run the failing claim by hand, where it does not say so already."""
    way = f'course debug {verdict.id}, or in a notebook: case("{verdict.id}")'
    return verdict if verdict.next.startswith("course debug") else dataclasses.replace(verdict, inside=way)


def passed(sub: Submission, item: Item) -> Verdict:
    """Every claim holds."""
    ids = [other.id for other in sub.step.items]
    following = sub.step.items[ids.index(item.id) + 1 :][:1]
    onward = [f"go on with {other.id}, {other.title}" for other in following]
    next_step = onward[0] if onward else f"step {sub.step.number} is complete as far as it is written"
    return verdict(sub, item, Status.PASSED, next_step, score=item.points)


def not_started(sub: Submission, item: Item) -> Verdict:
    """The body is the stub's."""
    return verdict(
        sub,
        item,
        Status.NOT_STARTED,
        f"write {' and '.join(item.targets)} in {sub.name}; a first nudge: course hint {item.id}",
        message=f"{' and '.join(item.targets)} {_is(item.targets)} as the course gave it in {sub.name}.",
    )


def missing(sub: Submission, item: Item, absent: Sequence[str]) -> Verdict:
    """A function or class that the exercise is about is not in the file."""
    text = f"{sub.name} has no {' and no '.join(absent)}."
    if not sub.is_there:
        text = no_file(sub)
    elif close := sub.closest(absent[0]):
        text += f" It has {close}: was it renamed? The name is part of what is asked."
    return verdict(
        sub,
        item,
        Status.ERROR,
        f"give it its name back, or bring the stub back with: course reset {item.id}",
        message=text,
    )


def not_allowed(sub: Submission, item: Item, name: str, line: int) -> Verdict:
    """The body calls what the exercise asks to be written out."""
    return verdict(
        sub,
        item,
        Status.NOT_ALLOWED,
        f"write out what {name} does; {hint(item)}",
        message=f"{sub.name}, line {line} uses {name}, which this exercise asks you to write yourself.",
    )


def blocked(sub: Submission, item: Milestone, open_ids: Sequence[str]) -> Verdict:
    """A milestone whose exercises do not all pass."""
    return verdict(
        sub,
        item,
        Status.BLOCKED,
        f"first: course check {open_ids[0]}",
        message=f"This milestone runs {_whole(item)} and needs {_list(open_ids)}, not passed yet.",
    )


def _whole(item: Milestone) -> str:
    """Say what a milestone runs: one file, or those of every step that it needs exercises of."""
    steps = sorted({needed.partition(".")[0] for needed in item.needs} | {item.id.partition(".")[0]})
    return "your whole file" if len(steps) == 1 else f"your whole files of steps {_list(steps)}"


def failed(sub: Submission, item: Item, claim: Claim, difference: Difference, credit: float) -> Verdict:
    """The first claim that does not hold."""
    silent = [target for target in item.targets if difference.got == "None" and sub.returns_nothing(target)]
    return verdict(
        sub,
        item,
        Status.FAILED,
        f"{silent[0]} has no `return`: give back what it has computed" if silent else hint(item),
        score=credit,
        claim=claim.label,
        got=difference.got,
        expected=difference.expected,
        where=difference.where,
    )


def cut_short(sub: Submission, item: Item, came: int, asked: int) -> Verdict:
    """The check came to its end with another number of claims than on the solution."""
    return verdict(
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
        return verdict(
            sub,
            item,
            Status.ERROR,
            "delete the raise statement of the stub once your code is there",
            score=credit,
            message=text,
            detail=error.traceback,
        )
    if not error.in_learner:
        return _cannot_be_used(sub, item, want, run, credit)
    if error.type == WANTS_KEYBOARD:
        text, next_step = f"{_asks_for_keyboard(sub, error)}.", f"course debug {item.id}, or take it out"
        return verdict(sub, item, Status.ERROR, next_step, score=credit, message=text)
    if error.type == "UnicodeEncodeError" and error.stage == "module" and sub.encoding_fault:
        text, next_step = sub.encoding_fault, "save the file as UTF-8, then check again"
        return verdict(sub, item, Status.ERROR, next_step, score=credit, message=text)
    text, next_step = _stopped(sub, item, error)
    asked = want.run.claims[len(run.claims) :] if error.stage == "probe" else ()
    return verdict(
        sub,
        item,
        Status.ERROR,
        next_step,
        score=credit,
        claim=asked[0].label if asked else None,
        message=text,
        detail=error.traceback or None,
    )


def _cannot_be_used(sub: Submission, item: Item, want: Expected, run: Run, credit: float) -> Verdict:
    """The check itself stopped at what the learner's code returned."""
    assert run.raised is not None
    got, expected = _first_return(run, want.run)
    return verdict(
        sub,
        item,
        Status.FAILED,
        hint(item),
        score=credit,
        claim=f"{' and '.join(item.targets) or item.title} returns what was asked for",
        got=got or f"something that cannot be used: {run.raised.type}: {run.raised.message}",
        expected=expected,
    )


def _asks_for_keyboard(sub: Submission, error: Raised) -> str:
    """Return what stops at a keyboard that is not there, and the way that works."""
    place = f"{sub.name}, line {error.line}" if error.line else sub.name
    return (
        f"{place} calls {error.message}, and a check has no keyboard for it: `course debug` runs the same in "
        "your terminal, where it works"
    )


def _stopped(sub: Submission, item: Item, error: Raised) -> tuple[str, str]:
    """Return what an exception of the learner's own code says, and the next step."""
    where = f"line {error.line}" if error.line else sub.name
    if error.type in ("SyntaxError", "IndentationError", "TabError") and error.stage == "module":
        return f"Python cannot read {where}: {error.type}: {error.message}", f"mend {where}"
    text = f"Your code stopped in {where} with {error.type}: {error.message}".rstrip(": ")
    if error.type == "SystemExit":
        return text, "return a value instead of ending the program"
    return text, f"mend {where}; {hint(item)}"


def no_file(sub: Submission) -> str:
    """Return the sentence for a file that is not there."""
    way = f"save it again, or course reset {sub.step.folder} brings the stub back"
    return f"There is no {sub.name} in {sub.path.parent}: {way}."


def missing_fault(sub: Submission, missing_by_id: Mapping[str, Sequence[str]]) -> FileFault:
    """Functions and classes that are gone from the file, named once."""
    names = [target for targets in missing_by_id.values() for target in targets]
    ids = tuple(missing_by_id)
    text = f"{sub.name} has no {_list(names)}. Everything else is judged as if it were there."
    return FileFault(f"{text} To bring the stub back: course reset {ids[0]}", ids)


def module_fault(sub: Submission, error: Raised, costs: Sequence[str]) -> FileFault:
    """An exception while the file is loaded, outside all exercises."""
    where = f", line {error.line}" if error.line else ""
    what = f"{error.type}: {error.message}" if error.type else error.message
    if error.type == WANTS_KEYBOARD:
        where, what = "", _asks_for_keyboard(sub, error)
    text = f"{sub.name}{where}, outside all exercises: {what}".rstrip(": ")
    rest = "Each exercise was judged all the same, as if the course's own code stood around it."
    return FileFault(f"{text}. {rest}", tuple(costs), error.traceback)


def _first_return(run: Run, want: Run) -> tuple[str | None, str | None]:
    """Return the first return value that is not like the trusted run's, and that one."""
    for got, wanted in zip(run.returns, want.returns):
        if got != wanted:
            return got, wanted
    return (run.returns[-1] if run.returns else None), None


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
