"""What the trusted run gave: reference values, known mistakes and small cases of an exercise, computed once
and stored.

For the practice seed the values are kept in `.course/expected/`, so that a check needs no second import of
torch. Values under any other seed (grading) are computed anew and never stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from coursekit import wire
from coursekit.registry import Exercise, Milestone, Step
from coursekit.runs import Run, run_from_data
from coursekit.workers import WorkerError
from coursekit.workers.pool import Pool

PRACTICE_SEED = 20
SECONDS = 240.0


@dataclass(frozen=True)
class KnownMistake:
    """A mistake of the registry with the run of the probe on it."""

    name: str
    text: str
    run: Run


@dataclass(frozen=True)
class Expected:
    """The trusted run of an item's probe, the runs of its known mistakes, and its small cases on the
    solution.
    """

    run: Run
    mistakes: tuple[KnownMistake, ...]
    cases: tuple[dict[str, Any], ...]


def expected(pool: Pool, step: Step, item: Exercise | Milestone, seed: int, store: Path | None) -> Expected:
    """Return what the item's probe gives on trusted code, from the store where it is kept there."""
    name = f"{step.folder}-{item.id}-{seed}-{_digest(step, item)}"
    if store is not None and seed == PRACTICE_SEED:
        with contextlib.suppress(FileNotFoundError, wire.WireError, ValueError, TypeError, KeyError):
            return _from_data(wire.load(store, name))
    job = {"task": "reference", "root": str(step.root), "step": step.folder, "item": item.id, "seed": seed}
    outcome = pool.run(job, SECONDS)
    if outcome.reply is None:
        raise WorkerError(f"the trusted run of {item.id} gave nothing ({outcome.end}): {outcome.printed}")
    if store is not None and seed == PRACTICE_SEED:
        with contextlib.suppress(OSError):
            store.mkdir(parents=True, exist_ok=True)
            wire.save(store, name, outcome.reply)
    return _from_data(outcome.reply)


def _from_data(data: dict[str, Any]) -> Expected:
    known = tuple(KnownMistake(m["name"], m["text"], run_from_data(m["run"])) for m in data["mistakes"])
    return Expected(run_from_data(data["run"]), known, tuple(data["cases"]))


def _digest(step: Step, item: Exercise | Milestone) -> str:
    """Return a digest of all that the values depend on: the step's trusted code, the engine, the
    libraries.
    """
    sources = [
        step.trio_files(item.trio)[1],
        Path(__file__).parent / "probe.py",
        Path(__file__).parent / "runs.py",
    ]
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
