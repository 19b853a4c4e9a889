"""What checks and mistakes are written with: probes that drive any implementation, and the claims they yield.

A probe is a generator `probe(m, rng)`. It calls the implementation `m` (a module with the course's names) on
inputs drawn from `rng` and yields claims: a sentence and the value observed. It computes no expected value:
the same probe with the same seed runs on the solution, and the two runs are compared elsewhere
(`compare.py`). Nothing here judges.

    from coursekit.probe import check, mistake

    @check("2.3a")
    def attention_scores(m, rng):
        q, k = rng.normal(2, 2, 3, 4, 8)
        yield "scores = q kᵀ / √D", m.attention_scores(q, k)

    @mistake("2.3a")
    def no_scale(q, k):
        '''The scores are not divided by √D: ...'''
        return q @ k.transpose(-2, -1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

from coursekit.inputs import Rng, redraw

__all__ = [
    "MAX_HANDED_ON",
    "TOLERANCE",
    "Claim",
    "Mark",
    "Rng",
    "as_claim",
    "as_claims",
    "at_most",
    "cases",
    "check",
    "curve",
    "equal",
    "holds",
    "law",
    "marked",
    "mistake",
    "new_process",
    "probe",
    "redraw",
    "reference",
    "steps",
    "variant",
]
TOLERANCE = 1e-5
# What the first part of a check may hand on to the second, in bytes.
MAX_HANDED_ON = 4 * 2**20
MARK = "__course_mark__"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Claim:
    """One sentence about an implementation with the value that was observed; judged in the trusted process.

    kind is "equal" (value equals the solution's within `tol` of the solution's largest magnitude), "at_most"
    (the cost `value` does not exceed `limit`), "law" (the draws in `value` follow the solution's
    `probabilities`) or "holds" (the module-level function named `predicate` accepts the value, given the
    trusted run's `given`).
    """

    label: str
    value: Any
    kind: str = "equal"
    tol: float = TOLERANCE
    limit: float | None = None
    probabilities: Any = None
    predicate: str | None = None
    given: Any = None


def equal(label: str, value: Any, tol: float = TOLERANCE) -> Claim:
    """Claim that the value equals the solution's: type, shape, dtype, NaN pattern, and every number within
    `tol`.

    `tol` is relative to the largest finite magnitude in the solution's tensor. A probe may also yield the
    bare pair `label, value`, which means this with the default tolerance.
    """
    return Claim(label, value, "equal", tol=tol)


def at_most(label: str, count: float, limit: float) -> Claim:
    """Claim that a cost stays within a limit. Count with objects that the probe hands in; never with a
    clock.
    """
    return Claim(label, count, "at_most", limit=limit)


def law(label: str, draws: Any, probabilities: Any) -> Claim:
    """Claim that integer draws follow a distribution: `probabilities` of outcomes 0, 1, ... from the trusted
    run.

    `draws` is a tensor or sequence of outcomes. The test rejects right code with probability of at most 1e-9.
    """
    return Claim(label, draws, "law", probabilities=probabilities)


def holds(label: str, value: Any, predicate: Callable[[Any, Any], bool], given: Any = None) -> Claim:
    """Claim that `predicate(value, given)` is true; it is evaluated on the trusted side with the trusted
    run's `given`.

    `predicate` is a function at the top level of the module of checks.
    """
    return Claim(label, value, "holds", predicate=predicate.__name__, given=given)


@dataclass(frozen=True)
class Mark:
    """What a decorator notes on a function: "check", "new process", "cases", "steps", "reference", "curve",
    "mistake" or "variant", and of which exercise. `called` is what a mistake is called among others.
    """

    kind: str
    id: str
    called: str = field(default="", compare=False)


def _marker(kind: str, item_id: str, called: str = "") -> Callable[[F], F]:
    def decorate(function: F) -> F:
        setattr(function, MARK, Mark(kind, item_id, called))
        return function

    return decorate


def check(item_id: str) -> Callable[[F], F]:
    """Mark the probe of an exercise or milestone: a generator `probe(m, rng)` that yields claims."""
    return _marker("check", item_id)


probe = check


def new_process(item_id: str) -> Callable[[F], F]:
    """Mark the second part of a check: a generator `probe(m, rng, files)` that runs in a process of its own.

    The first part, the check itself, ends with `return {"a name": b"the bytes of a file"}`, MAX_HANDED_ON in
    all: that is `files`, and nothing else gets from the one process to the other. `rng` begins anew, so that
    the same numbers can be drawn again.
    """
    return _marker("new process", item_id)


def cases(item_id: str) -> Callable[[F], F]:
    """Mark the small cases of an exercise: a generator `cases(m)` that yields `(inputs, output)`, the
    smallest first.

    `inputs` is a dict from the argument's name to its value. B = 1, T <= 3, widths of 2, small whole numbers
    where possible: the first case on which the learner and the solution differ is printed whole.
    """
    return _marker("cases", item_id)


def steps(item_id: str) -> Callable[[F], F]:
    """Mark a chain of an exercise: a generator `steps(m, rng)` that yields the values on the way, in order.

    It yields as a probe does, mostly from a `coursekit.chain.Chain`. After a failure, in practice, it runs on
    both sides, and the first value that differs is pointed at. Its docstring says under which conditions it
    runs ("with a cache"); of several chains of an exercise the first that differs is shown.
    """
    return _marker("steps", item_id)


def reference(item_id: str) -> Callable[[F], F]:
    """Mark what a milestone is compared with: a function without arguments that returns an `m` (a library's
    model, say).

    Without one, a milestone is compared with the solution.
    """
    return _marker("reference", item_id)


def curve(milestone_id: str) -> Callable[[F], F]:
    """Mark a short training: a generator `curve(m)` that yields the loss before every step, a few dozen.

    A hunt shows it with a mistake beside right code, for every exercise that the milestone needs.
    """
    return _marker("curve", milestone_id)


def mistake(item_id: str, called: str = "") -> Callable[[F], F]:
    """Mark a wrong implementation of an exercise. Its docstring says what is wrong and why it matters.

    It has the target's signature (methods take `self`). For a pair of targets, and for a milestone, it takes
    nothing and returns a dict from target ("MLP.forward") to function. `called` is the line that a hunt
    offers beside those of other mistakes, where the docstring's first sentence does not tell them apart.
    """
    return _marker("mistake", item_id, called)


def variant(item_id: str) -> Callable[[F], F]:
    """Mark a right implementation in another style, of the same form as a mistake; the check must accept
    it.
    """
    return _marker("variant", item_id)


def marked(modules: Iterable[ModuleType], kind: str, item_id: str) -> list[Callable[..., Any]]:
    """Return the functions of the modules that carry this mark, in the order in which they were defined."""
    found = [
        value
        for module in modules
        for value in vars(module).values()
        if getattr(value, MARK, None) == Mark(kind, item_id) and value.__module__ == module.__name__
    ]
    return list(dict.fromkeys(found))


def as_claims(run: Iterable[Any]) -> Iterator[Claim]:
    """Turn what a probe yields, bare pairs among it, into claims."""
    for item in run:
        yield as_claim(item)


def as_claim(item: Any) -> Claim:
    """Return a claim as it is, and a bare pair as a claim of equality."""
    return item if isinstance(item, Claim) else Claim(*item)
