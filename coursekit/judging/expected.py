"""What the trusted run gave: reference values, known mistakes and small cases of an exercise, computed
once and stored.

For the practice seed the values are kept in `.course/expected/`, so that a check needs no second import
of torch. Values under any other seed (grading) are computed anew and never stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import coursekit
from coursekit.judging import wire
from coursekit.judging.runs import Chained, Run, chains_from_data, run_from_data, run_to_data
from coursekit.registry import Exercise, Milestone, Step
from coursekit.workers import WorkerError
from coursekit.workers.pool import Pool

# The engine's files that decide which values a trusted run gives; one that is not there is an error.
ENGINE = (
    "probe.py",
    "chain.py",
    "judging/loader.py",
    "judging/runs.py",
    "judging/tell.py",
    "judging/wire.py",
    "workers/tasks.py",
    "workers/hunted.py",
    "workers/learner.py",
)
PRACTICE_SEED = 20
SECONDS = 240.0

Item = Exercise | Milestone
Value = TypeVar("Value")


@dataclass(frozen=True)
class KnownMistake:
    """A mistake of the registry with the run of the probe on it."""

    name: str
    text: str
    run: Run


@dataclass(frozen=True)
class KnownCases:
    """What a mistake of the registry is called ("" where nobody said), its small cases and its chains."""

    name: str
    called: str
    cases: tuple[dict[str, Any], ...]
    chains: tuple[Chained, ...]


@dataclass(frozen=True)
class Shown:
    """What a hunt can show of an item: its mistakes, and the milestone whose training rests on it (or "")."""

    known: tuple[KnownCases, ...]
    curve: str


class Expected:
    """What trusted code gives for one item under one seed: the run of its probe, its small cases, its chains.

    The runs of the known mistakes are computed when they are first asked for: a pass needs none of
    them.
    """

    def __init__(self, pool: Pool, step: Step, item: Item, seed: int, store: Path | None) -> None:
        self._pool = pool
        self._job = {"root": str(step.root), "step": step.folder, "item": item.id, "seed": seed}
        self._store = store if seed == PRACTICE_SEED else None
        self._name = f"{step.folder}-{item.id}-{seed}-{_digest(step)}"
        self.run, self.cases, self.chains = self._value("reference", {}, _reference)

    @cached_property
    def mistakes(self) -> tuple[KnownMistake, ...]:
        """The known mistakes of the item, each with the run of the probe on it."""
        return self._value("mistakes", {"want": run_to_data(self.run)}, _known_mistakes)

    @cached_property
    def shown(self) -> Shown:
        """What a hunt can show of the known mistakes, in the order of `mistakes`."""
        return self._value("shown", {}, _shown)

    def _value(self, task: str, more: dict[str, Any], read: Callable[[Any], Value]) -> Value:
        """Return the reply to a trusted task as `read` gives it, from the store where it can be read."""
        name = f"{self._name}-{task}"
        if self._store is not None:
            with contextlib.suppress(OSError, wire.WireError, KeyError, TypeError, ValueError):
                return read(wire.load(self._store, name))
        reply = self._reply(more | {"task": task})
        if before := _unfinished(task, reply):
            reply = self._reply(more | {"task": task, "before": before})
        if self._store is not None:
            with contextlib.suppress(OSError):
                self._store.mkdir(parents=True, exist_ok=True)
                wire.save(self._store, name, reply)
        return read(reply)

    def _reply(self, job: dict[str, Any]) -> Any:
        """Return what a process of its own answers to a job."""
        outcome = self._pool.run(self._job | job, SECONDS)
        if outcome.reply is None:
            raise WorkerError(
                f"the trusted run of {self._job['item']} gave nothing ({outcome.end}): {outcome.printed}"
            )
        return outcome.reply


def _unfinished(task: str, reply: Any) -> dict[str, Any]:
    """Return the runs of a reply by the name of the mistake, "" for right code, if any of them goes on."""
    runs = {"": reply["run"]} if task == "reference" else {}
    if task == "mistakes":
        runs = {known["name"]: known["run"] for known in reply}
    return runs if any(run["files"] is not None for run in runs.values()) else {}


def _reference(data: Any) -> tuple[Run, tuple[dict[str, Any], ...], tuple[Chained, ...]]:
    return run_from_data(data["run"]), tuple(data["cases"]), tuple(chains_from_data(data["chains"]))


def _known_mistakes(data: Any) -> tuple[KnownMistake, ...]:
    return tuple(KnownMistake(m["name"], m["text"], run_from_data(m["run"])) for m in data)


def _shown(data: Any) -> Shown:
    known = (
        KnownCases(m["name"], m["called"], tuple(m["cases"]), tuple(chains_from_data(m["chains"])))
        for m in data["known"]
    )
    return Shown(tuple(known), data["curve"])


def _digest(step: Step) -> str:
    """Return a digest of all that the values depend on: the step's trusted code, the engine, the
    libraries.
    """
    # A further solution rests on the other one of its step, and mistakes on both.
    sources = sorted(step.path.glob("*_solution.py"))
    sources += [Path(coursekit.__file__).parent / name for name in ENGINE]
    for name in ("checks", "mistakes"):
        sources += [*step.path.glob(f"{name}.py"), *sorted((step.path / name).glob("*.py"))]
    digest = hashlib.sha256(sys.version.encode())
    for package in ("torch", "numpy", "transformers", "tokenizers", "tiktoken"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            digest.update(f"{package} {metadata.version(package)}".encode())
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
