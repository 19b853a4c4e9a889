"""Audit the checks, both ways: every known mistake fails and is named, right code in any style passes.

    course dev audit [STEP|ID ...] [--json] [--with FILE] [--seeds N]

`--with` judges further mistakes and variants, in the form of a step's `mistakes`, without adding them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from coursekit import surroundings
from coursekit.dev.trials import Item, Row, audit_item
from coursekit.judging.expected import PRACTICE_SEED
from coursekit.judging.judge import Judge
from coursekit.judging.loader import load_file
from coursekit.judging.verdict import Status
from coursekit.practice.selection import WrongUsage
from coursekit.probe import MARK, Mark
from coursekit.registry import COURSE_ROOT, Milestone, Step, load_course
from coursekit.source import exercise_text, read_source, stub_text
from coursekit.workers.pool import Pool

SEEDS, THREADS = 20, (1, 2)
COUNTS = ("mistakes", "rejected", "named", "variants", "accepted")


@dataclass(frozen=True)
class Audit:
    """The rows of an audit: exercises, and the milestones beside them."""

    rows: tuple[Row, ...]

    @property
    def exercises(self) -> list[Row]:
        return [row for row in self.rows if not row.is_milestone]

    @property
    def milestones(self) -> list[Row]:
        return [row for row in self.rows if row.is_milestone]

    @property
    def is_clean(self) -> bool:
        """Whether nothing slipped."""
        return not any(row.slipped for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints. `total` sums up the exercises."""
        return {
            "exercises": [row.to_json() for row in self.exercises],
            "milestones": [row.to_json() for row in self.milestones],
            "total": {name: sum(getattr(row, name) for row in self.exercises) for name in COUNTS},
        }


def audit(
    step: Step,
    items: Sequence[Item] | None = None,
    further: Path | None = None,
    seeds: int = SEEDS,
    threads: Sequence[int] = THREADS,
    processes: int | None = None,
    pool: Pool | None = None,
) -> Audit:
    """Audit items of one step, by default all, over the practice seed and `seeds` - 1 others.

    The trials run in `processes` processes (by default one for each core); the stub and the solution go once
    through the judge.
    """
    chosen = tuple(step.items if items is None else items)
    numbers = [PRACTICE_SEED, *(seed for seed in range(seeds + 1) if seed != PRACTICE_SEED)][:seeds]
    count = min(processes or os.cpu_count() or 1, len(chosen))
    jobs = [(step, item.id, further, numbers, tuple(threads)) for item in chosen]
    if processes != 1:
        with _patient_threads(), ProcessPoolExecutor(count, mp_context=get_context("spawn")) as executor:
            futures = [executor.submit(audit_item, *job) for job in jobs]
            rows = [future.result() for future in futures]
    else:
        rows = [audit_item(*job) for job in jobs]
    for row, item in zip(rows, chosen):
        _registry_slips(row, item)
    try:
        TopologicalSorter({item.id: item.needs for item in step.items}).prepare()
    except CycleError as error:
        rows[0].slip("needs", f"must go in no circle, got {' -> '.join(error.args[1])}")
    for item_id, name, why in _judged_slips(step, chosen, pool):
        next(row for row in rows if row.id == item_id).slip(name, why)
    return Audit(tuple(rows))


def audit_all(items: Sequence[Item], further: Path | None = None, seeds: int = SEEDS) -> Audit:
    """Audit exercises and milestones of any steps; `further` may hold mistakes of all of them."""
    steps = [step for step in load_course() if any(item in step.items for item in items)]
    if further is not None:
        _check_marks(further, items)
    parts = [audit(step, [item for item in step.items if item in items], further, seeds) for step in steps]
    return Audit(tuple(row for part in parts for row in part.rows))


@contextmanager
def _patient_threads() -> Iterator[None]:
    """Let the threads of processes started meanwhile sleep while they wait.

    OpenMP's threads wait busily by default, which costs ten times the time where processes share the cores.
    """
    with surroundings.kept("OMP_WAIT_POLICY"):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        yield


def _check_marks(further: Path, chosen: Sequence[Item]) -> None:
    """Raise WrongUsage where the file cannot be imported, marks nothing or marks what is not audited."""
    if not further.is_file():
        raise WrongUsage(f"--with needs a Python file with mistakes and variants, got {further}")
    try:
        module = load_file(further)
    except Exception as error:  # noqa: BLE001 - whatever the author's file raises, in one sentence
        raise WrongUsage(f"{further} cannot be imported: {type(error).__name__}: {error}") from None
    found = [getattr(value, MARK, None) for value in vars(module).values()]
    marks = [mark for mark in found if isinstance(mark, Mark)]
    ids = {mark.id for mark in marks if mark.kind in ("mistake", "variant")}
    if not ids:
        raise WrongUsage(f"{further} must mark a function with @mistake(ID) or @variant(ID), got none")
    if unknown := ids - {item.id for item in chosen}:
        raise WrongUsage(f"{further} marks {min(unknown)}, which is not among what is audited: name its step")


def _registry_slips(row: Row, item: Item) -> None:
    """Note what the registry lacks: hints, points, and a part of them for what holds until a claim."""
    if isinstance(item, Milestone):
        return
    if not item.hints:
        row.slip(item.id, "must have hints, got none")
    if item.points < 1 or (item.partial and not 0 < item.partial.points < item.points):
        row.slip(item.id, f"must give points, and in part fewer, got {item.points} and {item.partial}")


def _judged_slips(step: Step, chosen: Sequence[Item], pool: Pool | None) -> Iterator[tuple[str, str, str]]:
    """Yield id, name and fault where the judge does not find the stub unwritten and the solution right."""
    judge = Judge(root=step.root, pool=pool)
    for trio in dict.fromkeys(item.trio for item in chosen):
        items = [item for item in chosen if item.trio == trio]
        source = read_source(step.trio_files(trio)[1])[0]
        texts = {
            "the stub": (stub_text(source, step, trio), Status.NOT_STARTED, Status.BLOCKED),
            "the solution": (exercise_text(source, step, trio), Status.PASSED, Status.PASSED),
        }
        for name, (text, exercise_status, milestone_status) in texts.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"{trio}_exercise.py"
                path.write_text(text, encoding="utf-8")
                report = judge.report(step, items, path)
            for item, verdict in zip(items, report.verdicts):
                wanted = milestone_status if item.is_milestone else exercise_status
                score = item.points if wanted is Status.PASSED else 0
                if verdict.status is not wanted or verdict.score != score:
                    found = f'"{verdict.status}" with {verdict.score:g} points'
                    yield item.id, name, f'must be "{wanted}" with {score} points, got {found}'


def write_scoreboard(root: Path = COURSE_ROOT, only: Sequence[str] = ()) -> Audit:
    """Audit every step whose checks can be audited and write docs/checks.md; return the audit.

    With `only` these ids alone are audited, and the page keeps its other rows. Raises WrongUsage for an id
    that is none, and where the page lacks a row that should be kept.
    """
    from coursekit.dev.scoreboard import markdown, rows_of

    page, steps = root / "docs" / "checks.md", load_course(root)
    if unknown := set(only) - {item.id for step in steps for item in step.items}:
        raise WrongUsage(f"--only needs ids of exercises or milestones, got {min(unknown)!r}")
    chosen = [(step, [item for item in step.items if not only or item.id in only]) for step in steps]
    found = [(step, audit(step, items) if items else Audit(())) for step, items in chosen]
    try:
        text = markdown(found, rows_of(page.read_text(encoding="utf-8")) if only else None)
    except (KeyError, OSError) as error:
        raise WrongUsage(f"--only needs a page that has all other rows, got none of {error}") from None
    page.write_text(text, encoding="utf-8", newline="\n")
    return Audit(tuple(row for _, one in found for row in one.rows))
