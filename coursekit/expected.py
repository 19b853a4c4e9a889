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

from coursekit import wire
from coursekit.registry import Exercise, Milestone, Step
from coursekit.runs import Run, run_from_data, run_to_data
from coursekit.workers import WorkerError
from coursekit.workers.pool import Pool

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


class Expected:
    """What trusted code gives for one item under one seed: the run of its probe, and its small cases.

    The runs of the known mistakes are computed when they are first asked for: a pass needs none of
    them.
    """

    def __init__(self, pool: Pool, step: Step, item: Item, seed: int, store: Path | None) -> None:
        self._pool = pool
        self._job = {"root": str(step.root), "step": step.folder, "item": item.id, "seed": seed}
        self._store = store if seed == PRACTICE_SEED else None
        self._name = f"{step.folder}-{item.id}-{seed}-{_digest(step, item)}"
        self.run, self.cases = self._value("reference", {}, _run_and_cases)

    @cached_property
    def mistakes(self) -> tuple[KnownMistake, ...]:
        """The known mistakes of the item, each with the run of the probe on it."""
        return self._value("mistakes", {"want": run_to_data(self.run)}, _known_mistakes)

    def _value(self, task: str, more: dict[str, Any], read: Callable[[Any], Value]) -> Value:
        """Return the reply to a trusted task as `read` gives it, from the store where it can be read."""
        name = f"{self._name}-{task}"
        if self._store is not None:
            with contextlib.suppress(OSError, wire.WireError, KeyError, TypeError, ValueError):
                return read(wire.load(self._store, name))
        outcome = self._pool.run(self._job | more | {"task": task}, SECONDS)
        if outcome.reply is None:
            raise WorkerError(
                f"the trusted run of {self._job['item']} gave nothing ({outcome.end}): {outcome.printed}"
            )
        if self._store is not None:
            with contextlib.suppress(OSError):
                self._store.mkdir(parents=True, exist_ok=True)
                wire.save(self._store, name, outcome.reply)
        return read(outcome.reply)


def _run_and_cases(data: Any) -> tuple[Run, tuple[dict[str, Any], ...]]:
    return run_from_data(data["run"]), tuple(data["cases"])


def _known_mistakes(data: Any) -> tuple[KnownMistake, ...]:
    return tuple(KnownMistake(m["name"], m["text"], run_from_data(m["run"])) for m in data)


def _digest(step: Step, item: Item) -> str:
    """Return a digest of all that the values depend on: the step's trusted code, the engine, the
    libraries.
    """
    engine = ("probe.py", "runs.py", "tell.py", "wire.py", "workers/tasks.py", "workers/learner.py")
    sources = [step.trio_files(item.trio)[1], *(Path(__file__).parent / name for name in engine)]
    for name in ("checks", "mistakes"):
        sources += [step.path / f"{name}.py", *sorted((step.path / name).glob("*.py"))]
    digest = hashlib.sha256(sys.version.encode())
    for package in ("torch", "numpy", "transformers"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            digest.update(f"{package} {metadata.version(package)}".encode())
    for path in sources:
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
