"""`course debug 2.3a`: run one claim of a check in this process, with a keyboard, so that `breakpoint()`, the
debugger, `print` and `input` work, and no time limit ends it.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import coursekit
from coursekit.judging.compare import compare
from coursekit.judging.expected import PRACTICE_SEED, Expected
from coursekit.judging.loader import load_marked
from coursekit.judging.runs import Run, decide_holds, frozen, whole_probe
from coursekit.judging.smallest import MAX_SHORT, in_short, named, size, told_apart
from coursekit.judging.tell import describe
from coursekit.judging.trial import Setting
from coursekit.judging.verdict import Status, Verdict
from coursekit.practice.alone import load_alone
from coursekit.practice.selection import Item, WrongUsage, shown
from coursekit.probe import Claim, as_claims, marked
from coursekit.registry import Step
from coursekit.render.telling import plural

ENGINE = Path(coursekit.__file__).parent
# What these say needs no run, or there is nothing that could be run.
NOTHING_TO_RUN = (Status.NOT_STARTED, Status.BLOCKED, Status.NOT_ALLOWED)
Tell = Callable[[str], None]


class Left(Exception):
    """The learner has left the debugger: nothing is wrong, and nothing is left to tell."""


@dataclass(frozen=True)
class Target:
    """What is to be run: a generator over an implementation, and which of its values is looked at."""

    title: str
    run: Callable[[Any], Iterator[Any]]
    number: int
    want: Claim


def debug(step: Step, item: Item, path: Path, target: Target, tell: Tell) -> bool:
    """Run a target on the learner's file, as a check runs it; return whether what came back is right.

    What comes before runs without a word, and without stopping at a breakpoint. Raises Left where the learner
    leaves the debugger, and KeyboardInterrupt with the line in which their code was.
    """
    whole = "the whole file" if item.is_milestone else "the reference in every other exercise"
    tell(f"{item.id} {item.title}, {target.title}")
    tell(f"On {shown(path)}, with {whole}. No time limit; Ctrl-C ends it.\n")
    try:
        got = _run(lambda: target.run(load_alone(step, item, path)), target.number, path)
    except _Raised as raised:
        tell(f"{raised.told}\n")
        tell(f"Wanted: {in_short(target.want.value)}" if target.want.kind == "equal" else "")
        return False
    return _compared(load_marked(step, "checks"), target.want, got, tell)


def claim_target(step: Step, item: Item, verdict: Verdict, claim: int | None) -> Target:
    """Return the claim that fails, or the one of this number, counted from 1; the first where all hold."""
    want, checks = _expected(step, item, verdict), load_marked(step, "checks")
    claims = want.run.claims
    if claim is not None and not 1 <= claim <= len(claims):
        raise WrongUsage(f"the claims of {item.id} are numbered 1 to {len(claims)}, got {claim}")
    number = min(verdict.claim_number or 0, len(claims) - 1) if claim is None else claim - 1
    title = f"claim {number + 1} of {len(claims)}: {claims[number].label}"
    if number:
        title += f"\nThe {plural(number, 'claim')} before it ran in silence."
    if verdict.status is Status.PASSED:
        title += f"\nEverything passes. Another claim: course debug {item.id} --claim N"
    elif claim is None and verdict.case_number is not None:
        title += f"\nThe smallest input that fails: course debug {item.id} --small"
    probe = lambda m: whole_probe(checks, item.id, m, PRACTICE_SEED)  # noqa: E731
    return Target(title, probe, number, claims[number])


def small_target(step: Step, item: Item, verdict: Verdict) -> Target:
    """Return the smallest input that fails, the first where the code came to no end, as at a breakpoint.

    Raises WrongUsage where none of the small ones fails.
    """
    want, number = _expected(step, item, verdict), verdict.case_number
    makers = marked(load_marked(step, "checks"), "cases", item.id)
    what = "the smallest input that fails:"
    if number is None and verdict.status not in (Status.PASSED, Status.FAILED):
        number, what = 0, "the smallest input:"
    if number is None or not makers:
        raise WrongUsage(f"none of the small inputs of {item.id} fails: course debug {item.id}")
    inputs = [named(f"  {name} = ", value) for name, value in (want.cases[number]["inputs"] or {}).items()]
    title = "\n".join([what, *inputs])
    claim = Claim("the smallest input", want.cases[number]["output"])
    pairs = lambda m: (("", output) for maker in makers for _, output in maker(m))  # noqa: E731
    return Target(title, pairs, number, claim)


def _expected(step: Step, item: Item, verdict: Verdict) -> Expected:
    """Return the trusted values. Raises WrongUsage where the verdict says that there is nothing to run."""
    cannot_load = verdict.status is Status.ERROR and verdict.claim_number is None
    if cannot_load or verdict.status in NOTHING_TO_RUN:
        state = "cannot be run" if cannot_load else f"is {verdict.status}"
        raise WrongUsage(f"{item.id} {state}: {verdict.message}\nNext: {verdict.next}")
    from coursekit.judging.judge import shared

    return Setting(shared().pool(step), None, step.root / ".course" / "expected").expected(step, item)


class _Raised(Exception):
    """What the learner's code raised, told with the frames from the check inwards."""

    def __init__(self, told: str) -> None:
        self.told = told


def _run(start: Callable[[], Iterator[Any]], number: int, path: Path) -> Claim:
    """Run what `start` gives up to its value of this number. Raises _Raised, Left and KeyboardInterrupt."""
    try:
        run = as_claims(start())
        with _in_silence():
            for _ in range(number):
                next(run)
        return frozen(next(run))
    except KeyboardInterrupt as error:
        sys.stdout.flush()
        raise KeyboardInterrupt(_innermost(error, path)) from None
    except Exception as error:  # noqa: BLE001 - whatever the learner's code raises is told whole
        if type(error).__name__ == "BdbQuit":
            raise Left from None
        raise _Raised(_told(error)) from None
    except SystemExit as error:
        # Some versions of the debugger leave in this way; so does code that ends the program.
        if _is_from_debugger(error):
            raise Left from None
        raise _Raised(_told(error)) from None


@contextlib.contextmanager
def _in_silence() -> Iterator[None]:
    """Let nothing be printed and nothing wait for the keyboard while the block runs."""
    hook, ask = sys.breakpointhook, builtins.input
    pdb = sys.modules.get("pdb")
    trace = getattr(pdb, "set_trace", None)
    sys.breakpointhook = lambda *_, **__: None
    builtins.input = lambda *_: ""
    if pdb is not None:
        pdb.set_trace = lambda *_, **__: None  # type: ignore[attr-defined]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        sys.breakpointhook, builtins.input = hook, ask
        if pdb is not None:
            pdb.set_trace = trace  # type: ignore[attr-defined]


def _told(error: BaseException) -> str:
    """Return the traceback from the check inwards, without the frames of the course's engine."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        if not Path(trace.tb_frame.f_code.co_filename).is_relative_to(ENGINE):
            break
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def _is_from_debugger(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).name in ("pdb.py", "bdb.py") for frame in frames)


def _innermost(error: BaseException, path: Path) -> str:
    """Return the learner's line in which the code was."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"It was in line {frames[-1].lineno} of {shown(path)}: {frames[-1].line}" if frames else ""


def _compared(checks: Sequence[ModuleType], want: Claim, got: Claim, tell: Tell) -> bool:
    """Say what came back and what was wanted; return whether it is right."""
    seen = got.value
    if want.kind == "holds":
        got = decide_holds(checks, Run((want,)), Run((got,))).claims[0]
    difference = compare(want, got)
    if difference is None:
        tell(f"Came back, as it should: {in_short(seen)}")
        return True
    if want.kind != "equal":
        tell(f"Came back: {difference.got if want.kind != 'holds' else in_short(seen)}")
        tell(f"Expected: {difference.expected}")
        return False
    if size(seen) <= MAX_SHORT and size(want.value) <= MAX_SHORT:
        tell("\n".join(told_apart(seen, want.value)))
    else:
        tell(f"yours  = {describe(seen)}\nwanted = {describe(want.value)}")
    if difference.where:
        tell(f"Farthest apart at {difference.where}: {difference.got}, wanted {difference.expected}")
    return False
