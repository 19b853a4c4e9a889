"""`case("2.3a")`: what a check put into the learner's function, what came back and what should have, to look
at in a notebook.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coursekit.judging.compare import value_distance
from coursekit.judging.expected import PRACTICE_SEED
from coursekit.judging.judge import judge
from coursekit.judging.loader import load_marked, reference_implementation
from coursekit.judging.runs import whole_probe
from coursekit.judging.smallest import in_short
from coursekit.judging.tell import describe
from coursekit.judging.verdict import Status, Verdict
from coursekit.judging.wire import Array, freeze
from coursekit.loading import InOneSentence
from coursekit.practice.alone import Call, as_now, calls_behind, load_alone, record_calls
from coursekit.practice.selection import Item, WrongUsage, find_one
from coursekit.probe import TOLERANCE, marked
from coursekit.registry import Exercise, Step

# What ended without an answer in a check would end so here, too: it is not run.
NOT_RUN = (Status.TIMEOUT, Status.CRASHED)


class NoCase(InOneSentence):
    """There is nothing to hand out; the message says why, and what there is."""


class Case:
    """One call of an exercise's function. `inputs` are its arguments by name, `wanted` is what the reference
    returns for them, `yours` what your code returned, `error` what it raised instead.

    `function(**inputs)` runs your code once more; for a method it is bound to `object`, the layer or model
    that the check built. Each access to `inputs` and `object` gives fresh copies.
    """

    def __init__(self, item: Exercise, verdict: Verdict, yours: Call | None, wanted: Call) -> None:
        self.item = item
        self.verdict = verdict
        self.wanted = wanted.returned
        self.yours = None if yours is None else yours.returned
        self.error = None if yours is None else yours.error
        self._call = yours or wanted

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments by name."""
        return {name: as_now(value) for name, value in self._call.arguments.items()}

    @property
    def object(self) -> Any:
        """What the method was called on, as it was before the call; None for a plain function."""
        return None if self._call.owner is None else as_now(self._call.owner)

    @property
    def function(self) -> Callable[..., Any]:
        """Your function, ready to be called with `inputs`: `c.function(**c.inputs)`."""
        owner = self.object
        function = self._call.function
        return function if owner is None else lambda **inputs: function(owner, **inputs)

    def __repr__(self) -> str:
        told = [self._about()]
        told += [f"  inputs[{name!r}] = {_told(value)}" for name, value in self.inputs.items()]
        if self.object is not None:
            told.append(f"  object = a {type(self.object).__name__}, as the check has built it")
        told.append(f"  wanted = {_told(self.wanted)}")
        if self.error is not None:
            told.append(f"  error  = {type(self.error).__name__}: {self.error}")
        elif self.verdict.status in NOT_RUN:
            told.append(f"  yours  : not run here. {self.verdict.message}")
        else:
            told.append(f"  yours  = {_told(self.yours)}")
        again = f'To run your code on it: c = case("{self.item.id}"); c.function(**c.inputs)'
        return "\n".join([*told, *self._apart(), again])

    def _about(self) -> str:
        head = f"{self.item.id} {self.item.title}: "
        if self.verdict.status is Status.PASSED:
            return head + "everything passes. Its first small case:"
        if self.verdict.case_number is not None:
            return head + "the smallest call that fails"
        what = f" ({self.verdict.claim})" if self.verdict.claim else ""
        return f"{head}the call that fails{what}"

    def _apart(self) -> list[str]:
        """Return how to see the difference, where there are two tensors of one shape."""
        a, b = freeze(self.yours), freeze(self.wanted)
        if not isinstance(a, Array) or not isinstance(b, Array):
            return []
        if a.shape != b.shape:
            return [f"  yours is {describe(a)}, wanted is {describe(b)}"]
        apart = value_distance(b, a, TOLERANCE)
        if apart.distance <= 1:
            return ["  yours and wanted agree"]
        return [f"  farthest apart at {apart.where}: {apart.got}, not {apart.expected}"]


def case(name: str) -> Case:
    """Return the call of an exercise's function that fails: the smallest there is, else that of the check.

    Where everything passes it is the first call of the check. Judges the file as it is saved. Raises NoCase,
    shown as one sentence, where there is nothing to hand out: in grading, before the exercise is begun, for
    a file that cannot be run.
    """
    if os.environ.get("NBGRADER_EXECUTION"):
        raise NoCase("In grading there are no cases: only the checks run.")
    try:
        step, item = find_one(name)
    except WrongUsage as error:
        raise NoCase(str(error)) from None
    if not isinstance(item, Exercise) or not item.targets:
        raise NoCase(f"{item.id} runs the whole file and has no call of its own: case() takes an exercise.")
    from coursekit.cells import file_of

    path = file_of(step, item.trio)
    verdict = judge(step, [item], path).verdicts[0]
    is_loaded = verdict.claim_number is not None or verdict.status in (Status.PASSED, *NOT_RUN)
    if not is_loaded:
        raise NoCase(f"{verdict.message or f'{item.id} is {verdict.status}.'} Next: {verdict.next}")
    if verdict.status is Status.PASSED:
        verdict = dataclasses.replace(verdict, case_number=0)
    return _case(step, item, path, verdict)


def _case(step: Step, item: Exercise, path: Path, verdict: Verdict) -> Case:
    """Run the reference, and the learner's code where it comes to an end, up to the call in question."""
    reference = reference_implementation(step, item, load_marked(step, "checks"))
    wanted = _calls(step, item, reference, verdict)
    if not wanted:
        raise NoCase(f"The check of {item.id} calls nothing of its own there: course debug {item.id}")
    if verdict.status in NOT_RUN:
        return Case(item, verdict, None, wanted[0])
    yours = _calls(step, item, load_alone(step, item, path), verdict)
    pairs = list(zip(yours, wanted))
    mine, right = next((pair for pair in pairs if _differs(*pair)), pairs[-1] if pairs else (None, wanted[0]))
    return Case(item, verdict, mine, right)


def _calls(step: Step, item: Item, m: Any, verdict: Verdict) -> list[Call]:
    """Return the calls behind the small case that fails, else behind the claim."""
    assert isinstance(item, Exercise)
    checks = load_marked(step, "checks")
    calls = record_calls(m, item)
    makers = marked(checks, "cases", item.id)
    if verdict.case_number is not None and len(makers) == 1:
        return list(calls_behind(makers[0](m), verdict.case_number, calls))
    run = whole_probe(checks, item.id, m, PRACTICE_SEED)
    return list(calls_behind(run, verdict.claim_number or 0, calls))


def _told(value: Any) -> str:
    return in_short(freeze(value)).replace("\n", "\n            ")


def _differs(yours: Call, wanted: Call) -> bool:
    if yours.error is not None:
        return True
    return value_distance(freeze(wanted.returned), freeze(yours.returned), TOLERANCE).distance > 1
