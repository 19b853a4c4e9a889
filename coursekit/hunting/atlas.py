"""What is known of one exercise's mistakes: what each shows wherever one can look, and which differ there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from coursekit.hunting.called import call
from coursekit.hunting.sights import Sight, case_sight, spell, test_sight, way_sight
from coursekit.judging.compare import value_distance
from coursekit.judging.expected import PRACTICE_SEED, Expected
from coursekit.probe import TOLERANCE
from coursekit.registry import Exercise, Step
from coursekit.workers.pool import Pool

# A distance beyond which two outputs are as different as they can be: another shape or type is no more.
FAR = 1e9
SHORT = 32
TRAINING_SECONDS = 60.0


@dataclass(frozen=True)
class Probe:
    """A place where one can look: a small "input", the "way" of the values through the code, or a "test"."""

    kind: str
    number: int
    title: str


class Atlas:
    """The mistakes of one exercise, with what each shows at every probe. None stands for right code."""

    def __init__(self, step: Step, item: Exercise, pool: Pool, store: Path | None) -> None:
        self.step, self.item = step, item
        known = Expected(pool, step, item, PRACTICE_SEED, store)
        self._cases, self._want, self._pool = known.cases, known.run, pool
        shown = known.shown
        self.curve = shown.curve
        self._chains = {None: known.chains} | {one.name: one.chains for one in shown.known}
        self._runs = {mistake.name: mistake.run for mistake in known.mistakes}
        self._outputs = {one.name: [case["output"] for case in one.cases] for one in shown.known}
        self.texts = {mistake.name: mistake.text for mistake in known.mistakes}
        self.called = {one.name: call(self.texts[one.name], one.called) for one in shown.known}
        self.names = tuple(self.called)
        self.probes = (*self._inputs(), *self._ways(), *self._tests())
        self.sight = cache(self._sight)

    def _inputs(self) -> Iterable[Probe]:
        return (Probe("input", i, self._title(i)) for i in range(len(self._cases)))

    def _ways(self) -> Iterable[Probe]:
        titles = [f" {chain.title}" if chain.title else "" for chain in self._chains[None]]
        return (Probe("way", i, f"every value on the way{title}") for i, title in enumerate(titles))

    def _tests(self) -> Iterable[Probe]:
        return (Probe("test", i, claim.label) for i, claim in enumerate(self._want.claims))

    def _title(self, number: int) -> str:
        """Return a case in a few words: its first input, and what else sets it apart; no weights."""
        every = [case["inputs"] or {} for case in self._cases]
        said: list[str] = []
        for name, value in every[number].items():
            text = spell(value)
            is_same = all(name in other and spell(other[name]) == text for other in every)
            if said and (is_same or "." in name):
                continue
            shape = "×".join(map(str, getattr(value, "shape", ())))
            said.append(f"{name} = {text}" if len(text) <= SHORT else f"{name} of {shape}")
        return ", ".join(said)

    def inputs(self, probe: Probe) -> dict[str, str]:
        """Return every input of a case as it could be typed."""
        return {name: spell(value) for name, value in (self._cases[probe.number]["inputs"] or {}).items()}

    def _output(self, name: str | None, number: int) -> Any:
        if name is None:
            return self._cases[number]["output"]
        outputs = self._outputs[name]
        # Where the cases themselves stopped, nothing came after the last.
        return outputs[min(number, len(outputs) - 1)]

    def _sight(self, name: str | None, probe: Probe) -> Sight:
        """Return what a mistake shows at a probe."""
        if probe.kind == "input":
            return case_sight(self._output(name, probe.number))
        if probe.kind == "way":
            return way_sight(self._chains[None][probe.number].run, self._chains[name][probe.number].run)
        return test_sight(self._want, self._want if name is None else self._runs[name], probe.number)

    def losses(self, name: str | None) -> tuple[list[float], str]:
        """Train with a mistake, now; return the losses and what ended them early, nothing if they came to
        their end.
        """
        job = {"root": str(self.step.root), "step": self.step.folder, "item": self.item.id}
        more = {"task": "curve", "seed": PRACTICE_SEED, "curve": self.curve, "name": name}
        outcome = self._pool.run(job | more, TRAINING_SECONDS)
        if outcome.reply is None:
            return [], f"no answer within {TRAINING_SECONDS:g} seconds ({outcome.end.how})"
        return list(outcome.reply["losses"]), outcome.reply["stopped"]

    def tell_apart(self, one: str, other: str, probes: Iterable[Probe] | None = None) -> bool:
        """Tell whether two mistakes can be foreseen to show something else at one of the probes."""
        return any(
            self.sight(one, probe).key != self.sight(other, probe).key
            for probe in (self.probes if probes is None else probes)
        )

    def likeness(self, one: str, other: str) -> float:
        """Return the share of the probes at which two mistakes show the same, right code's answers aside."""
        same = [self.sight(one, probe).key == self.sight(other, probe).key for probe in self.probes]
        return sum(same) / len(same)

    def distance(self, one: str | None, other: str | None, probe: Probe) -> float:
        """Return by how many tolerances two outputs for an input differ, at most FAR; elsewhere 0 or 1."""
        if self.sight(one, probe).key == self.sight(other, probe).key:
            return 0.0
        if probe.kind != "input":
            return 1.0
        outputs = self._output(one, probe.number), self._output(other, probe.number)
        distance = value_distance(*outputs, TOLERANCE).distance
        return FAR if math.isinf(distance) else min(max(distance, 1.0), FAR)
