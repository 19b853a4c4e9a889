"""Try one exercise's check on all that is known: right code must pass, each mistake must fail and be named.

Distances are counted in tolerances: right code stays within a tenth of one, a mistake is at least ten away.
Everything here is trusted code and runs in this process.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from coursekit.dev.distances import spread, where
from coursekit.dev.partner import Partner, registered
from coursekit.dev.trails import trail_slips
from coursekit.judging.compare import measure, run_distance, same_behavior
from coursekit.judging.loader import implementation, load_marked, reference_implementation
from coursekit.judging.runs import Run, decide_holds, run_probe
from coursekit.registry import Exercise, Milestone, Step
from coursekit.source import forbidden_calls

LEAST_MARGIN, MOST_SPREAD = 10.0, 0.1
# Stands for another type, shape or exception, and for whole numbers that differ: no tolerance reaches there.
FAR = 1e9
# A claim may be looser than this only where right code needs it: where it is seen to use a thousandth of it.
# Rounding that needs it may be nil under one seed: it is asked for over several.
LOOSE, NEEDED, ENOUGH_SEEDS = 1e-4, 1e-3, 5
NAMING_SEEDS = 2

Function = Callable[..., Any]
Item = Exercise | Milestone


@dataclass(frozen=True)
class Slip:
    """Something that slipped through the check, and why it counts as such."""

    name: str
    why: str


@dataclass
class Row:
    """What the audit of one exercise or milestone found."""

    id: str
    title: str
    is_milestone: bool
    mistakes: int = 0
    rejected: int = 0
    named: int = 0
    variants: int = 0
    accepted: int = 0
    margin: float = FAR
    spread: float = 0.0
    same_as: list[dict[str, str]] = field(default_factory=list)
    slipped: list[Slip] = field(default_factory=list)

    def slip(self, name: str, why: str) -> None:
        """Note what slipped, once for each name and reason."""
        if Slip(name, why) not in self.slipped:
            self.slipped.append(Slip(name, why))

    def to_json(self) -> dict[str, Any]:
        """Return the row as `course dev audit --json` prints it."""
        return {key: value for key, value in asdict(self).items() if key not in ("title", "is_milestone")}


class Trial:
    """The audit of one item: its check, what it is compared with, and its mistakes and variants."""

    def __init__(self, step: Step, item: Item, further: Path | None, threads: Sequence[int]) -> None:
        self.step, self.item, self.threads = step, item, threads
        self.checks = load_marked(step, "checks")
        self.known, self.added, self.variants = registered(step, item, further)
        self.numbers = {f: i for i, f in enumerate([*self.known, *self.added, *self.variants])}
        self.partner = Partner(step, item, further)
        self.reference = reference_implementation(step, item, self.checks)
        self.row = Row(item.id, item.title, item.is_milestone)
        self.faulty: set[Function] = set()
        self.unnamed: set[Function] = set()
        self.alike: dict[Function, Function] = {}
        self.needs: dict[int, float] = {}
        self.not_allowed = {f for f in (*self.known, *self.added, *self.variants) if self._is_not_allowed(f)}
        self.built = {f: self._build(f) for f in (None, *self.known, *self.added, *self.variants)}

    def _build(self, function: Function | None) -> Any:
        try:
            return implementation(self.step, self.item, function)
        except (AttributeError, TypeError) as error:
            assert function is not None
            self.row.slip(function.__name__, f"cannot be put into the solution: {error}")
            self.faulty.add(function)
            return self.reference

    def audit(self, seeds: Sequence[int]) -> Row:
        """Return the finished row."""
        for number, seed in enumerate(seeds):
            want = self._run(None, seed, self.threads[0], None)
            if want.raised is not None:
                self.row.slip("the solution", f"raises {want.raised.type}: {want.raised.message}")
                return self.row
            self._right_code(want, seed)
            self._wrong_code(want, seed, number)
        self._partial(want)
        if len(seeds) >= ENOUGH_SEEDS:
            self._tolerances(want)
        self._trails(seeds)
        self._count()
        return self.row

    def _run(self, function: Function | None, seed: int, threads: int, want: Run | None) -> Run:
        torch.set_num_threads(threads)
        m = self.reference if want is None else self.built[function]
        first = run_probe(self.checks, self.item.id, m, seed)
        run = self.partner.finish(first, function and self.numbers[function], seed, threads)
        return decide_holds(self.checks, want or run, run)

    def _right_code(self, want: Run, seed: int) -> None:
        """Let the solution and every variant run with every number of threads."""
        for function, threads in itertools.product((None, *self.variants), self.threads):
            run = self._run(function, seed, threads, want)
            distances = [measure(w, g).distance for w, g in zip(want.claims, run.claims)]
            for i, distance in enumerate(distances):
                self.needs[i] = max(self.needs.get(i, 0.0), distance)
            distance = spread(want, run)
            self.row.spread = max(self.row.spread, min(distance, FAR))
            if distance <= MOST_SPREAD:
                continue
            name = "the solution" if function is None else function.__name__
            if function is not None:
                self.faulty.add(function)
            place = where(want, run, MOST_SPREAD)
            self.row.slip(name, f"{place} (right code must stay within {MOST_SPREAD:g})")

    def _wrong_code(self, want: Run, seed: int, number: int) -> None:
        """Let every mistake run, and once more with other threads where its name is asked for."""
        mistakes = (*self.known, *self.added)
        runs = {f: self._run(f, seed, self.threads[0], want) for f in mistakes}
        for function, run in runs.items():
            if function in self.not_allowed:
                continue
            distance = min(run_distance(want, run), FAR)
            self.row.margin = min(self.row.margin, distance)
            if distance < LEAST_MARGIN:
                self.faulty.add(function)
                what = "passes" if distance <= 1 else "is too near to right code"
                place = where(want, run, 0.0)
                self.row.slip(function.__name__, f"{what}: {place}, must be {LEAST_MARGIN:g}")
        for one, two in itertools.combinations(runs, 2):
            if self.not_allowed & {one, two}:
                continue
            if two not in self.alike and same_behavior(runs[one], runs[two], want):
                self.alike[two] = one
        if number < NAMING_SEEDS:
            for function in runs:
                again = self._run(function, seed, self.threads[-1], want)
                first = next((f for f in runs if same_behavior(runs[f], again, want)), None)
                if first is not function:
                    self.unnamed.add(function)

    def _is_not_allowed(self, function: Function) -> bool:
        """Tell whether a function uses what the exercise forbids: it is judged by that, not by its values."""
        forbidden = getattr(self.item, "forbidden", ())
        if not forbidden:
            return False
        text = inspect.getsource(inspect.getmodule(function) or function)
        return bool(forbidden_calls(text, function.__name__, forbidden))

    def _partial(self, want: Run) -> None:
        """Note points in part that end at no claim."""
        partial = getattr(self.item, "partial", None)
        labels = [claim.label for claim in want.claims]
        if partial and not any(label.startswith(partial.until) for label in labels[1:]):
            self.row.slip("partial", f"must end at a claim behind the first, got {partial.until!r}")

    def _trails(self, seeds: Sequence[int]) -> None:
        """Note what is told wrongly of the values on the way."""
        right = {"the solution" if f is None else f.__name__: self.built[f] for f in (None, *self.variants)}
        wrong = {f.__name__: self.built[f] for f in (*self.known, *self.added) if f not in self.faulty}
        for name, why in trail_slips(self.checks, self.item.id, self.reference, right, wrong, seeds):
            self.row.slip(name, why)

    def _tolerances(self, want: Run) -> None:
        """Note tolerances that no right code needs."""
        for i, claim in enumerate(want.claims):
            if claim.kind == "equal" and claim.tol > LOOSE and self.needs.get(i, 0.0) < NEEDED:
                self.row.slip(
                    claim.label,
                    f"its tolerance is {claim.tol:g}, but no right code needs more than {LOOSE:g}: "
                    f"the farthest uses {self.needs.get(i, 0.0):.1g} of it",
                )

    def _count(self) -> None:
        """Fill in the numbers, and say of each mistake that is not named what it is taken for."""
        row, mistakes = self.row, [*self.known, *self.added]
        row.mistakes, row.variants = len(mistakes), len(self.variants)
        row.rejected = sum(function not in self.faulty for function in mistakes)
        for function in mistakes:
            twin = self.alike.get(function)
            if function in self.not_allowed:
                row.named += 1
            elif twin is not None and function in self.added:
                row.same_as.append({"name": function.__name__, "same_as": twin.__name__})
                row.named += 1
            elif twin is not None:
                row.slip(function.__name__, f"cannot be told from {twin.__name__}: keep one of the two")
            elif function in self.unnamed:
                row.slip(
                    function.__name__,
                    "is not known again when it runs once more: its values are not fixed",
                )
            elif not (function.__doc__ or "").strip():
                row.slip(function.__name__, "must say in its docstring what is wrong, got none")
            elif function not in self.faulty:
                row.named += 1
        for function in self.variants:
            if function in self.not_allowed:
                self.faulty.add(function)
                row.slip(function.__name__, "uses a call that the exercise forbids")
        row.accepted = sum(function not in self.faulty for function in self.variants)


def audit_item(
    step: Step, item_id: str, further: Path | None, seeds: Sequence[int], threads: Sequence[int]
) -> Row:
    """Return what the audit of one exercise or milestone finds."""
    item = next(item for item in step.items if item.id == item_id)
    before = torch.get_num_threads()
    trial = Trial(step, item, further, threads)
    try:
        return trial.audit(seeds)
    finally:
        trial.partner.close()
        torch.set_num_threads(before)
