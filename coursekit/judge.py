"""Judge a learner's file: one verdict for each exercise, each exercise in isolation, none decided where its
code runs.

    with Judge() as judge:
        report = judge.report(step, step.items, path)

The learner's text goes to a worker process, values come back, and here they are compared with those of the
trusted run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursekit import messages
from coursekit.compare import compare, same_behavior
from coursekit.expected import PRACTICE_SEED, Expected, expected
from coursekit.registry import COURSE_ROOT, Exercise, Milestone, Step, load_course
from coursekit.runs import Run, run_from_data, run_to_data
from coursekit.source import exercise_text
from coursekit.submission import Submission
from coursekit.verdict import FileFault, Mistake, Report, Status, Verdict
from coursekit.workers.pool import Outcome, Pool, preload_of, shared_pool

Item = Exercise | Milestone


class Judge:
    """Judges files with warm workers. `seed` None is the practice seed; graders pass a secret one.

    `store` keeps the trusted values of the practice seed; None computes them every time.
    """

    def __init__(self, seed: int | None = None, root: Path = COURSE_ROOT, pool: Pool | None = None) -> None:
        self.seed = PRACTICE_SEED if seed is None else seed
        self.is_practice = seed is None
        self.store = root / ".course" / "expected" if seed is None else None
        self._pool = pool

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the workers warm: they belong to this process, which ends them when it ends."""

    def pool(self, step: Step) -> Pool:
        """Return the warm workers for a step; the first call starts them."""
        if self._pool is None:
            self._pool = shared_pool(preload_of([*sorted(step.path.glob("*_solution.py"))], step.root))
        return self._pool

    def report(self, step: Step, items: Sequence[Item], path: Path | None = None) -> Report:
        """Judge these exercises and milestones of one step on the learner's file (by default the step's
        own).
        """
        pool = self.pool(step)
        submissions: dict[str, Submission] = {}
        verdicts: dict[str, Verdict] = {}
        for item in items:
            if item.trio not in submissions:
                submissions[item.trio] = Submission(step, item.trio, path or step.trio_files(item.trio)[0])
            self._judge(pool, submissions[item.trio], item, verdicts)
        shown = tuple(verdicts[item.id] for item in items)
        first = next(iter(submissions.values()), None)
        faults = [
            fault for submission in submissions.values() for fault in self._faults(submission, verdicts)
        ]
        return Report(
            str(first.path) if first else str(path),
            first.sha256 if first else "",
            shown,
            tuple(faults),
        )

    def _judge(self, pool: Pool, sub: Submission, item: Item, verdicts: dict[str, Verdict]) -> Verdict:
        """Judge one item, once, and the exercises that a milestone needs before it."""
        if item.id not in verdicts:
            if isinstance(item, Milestone):
                by_id = {exercise.id: exercise for exercise in sub.step.exercises}
                needed = [self._judge(pool, sub, by_id[i], verdicts) for i in item.needs if i in by_id]
                open_ids = [v.id for v in needed if v.status is not Status.PASSED]
                verdict = (
                    messages.blocked(sub, item, open_ids) if open_ids else self._milestone(pool, sub, item)
                )
            else:
                verdict = self._exercise(pool, sub, item)
            verdicts[item.id] = verdict
        return verdicts[item.id]

    def _exercise(self, pool: Pool, sub: Submission, item: Exercise) -> Verdict:
        early = sub.without_running(item)
        if early is not None:
            return early
        text, lines = sub.isolated(item)
        outcome = self._run("probe", pool, sub, item, text, lines)
        run = _run_of(outcome)
        if run is not None and run.raised is not None and run.raised.stage == "module":
            text, lines = sub.transplanted(item)
            outcome = self._run("probe", pool, sub, item, text, lines)
            second = _run_of(outcome)
            if second is None or second.raised is None or second.raised.stage != "module":
                sub.note_fault(run.raised, item)
            run = second
        return self._decide(pool, sub, item, outcome, run, (text, lines))

    def _milestone(self, pool: Pool, sub: Submission, item: Milestone) -> Verdict:
        outcome = self._run("probe", pool, sub, item, sub.text, None)
        return self._decide(pool, sub, item, outcome, _run_of(outcome), (sub.text, None))

    def _decide(
        self,
        pool: Pool,
        sub: Submission,
        item: Item,
        outcome: Outcome,
        run: Run | None,
        source: tuple[str, Sequence[int | None] | None],
    ) -> Verdict:
        """Compare the learner's run with the trusted one and put the verdict into words."""
        if run is None:
            return messages.ended_early(sub, item, outcome, source[1])
        want = expected(pool, sub.step, item, self.seed, self.store)
        run = self._with_predicates(pool, sub, item, want, run)
        verdict = self._compared(pool, sub, item, want, run, source)
        return dataclasses.replace(
            verdict, printed=outcome.printed or None, known_mistakes=len(want.mistakes)
        )

    def _compared(
        self,
        pool: Pool,
        sub: Submission,
        item: Item,
        want: Expected,
        run: Run,
        source: tuple[str, Sequence[int | None] | None],
    ) -> Verdict:
        for number, (wanted, got) in enumerate(zip(want.run.claims, run.claims)):
            difference = compare(wanted, got)
            if difference is not None:
                verdict = messages.failed(sub, item, wanted, difference, _credit(item, want.run, number))
                return self._explained(pool, sub, item, want, run, source, verdict)
        if run.raised is not None:
            credit = _credit(item, want.run, len(run.claims))
            return self._explained(
                pool, sub, item, want, run, source, messages.raised(sub, item, want, run, credit)
            )
        if len(run.claims) != len(want.run.claims):
            raise AssertionError(f"the probe of {item.id} must yield as many claims on every implementation")
        return messages.passed(sub, item)

    def _explained(
        self,
        pool: Pool,
        sub: Submission,
        item: Item,
        want: Expected,
        run: Run,
        source: tuple[str, Sequence[int | None] | None],
        verdict: Verdict,
    ) -> Verdict:
        """Name the mistake if the values prove one; else, in practice, show the smallest input that fails."""
        for known in want.mistakes:
            if same_behavior(known.run, run, want.run):
                return dataclasses.replace(verdict, mistake=Mistake(known.name, known.text))
        if verdict.status is Status.FAILED and self.is_practice and want.cases:
            outcome = self._run("cases", pool, sub, item, *source)
            smallest = messages.smallest_case(want.cases, outcome.reply or [])
            verdict = dataclasses.replace(verdict, detail=smallest or verdict.detail)
        note = sub.note_on_given_code(item)
        return dataclasses.replace(verdict, detail="\n\n".join(filter(None, [verdict.detail, note])) or None)

    def _with_predicates(self, pool: Pool, sub: Submission, item: Item, want: Expected, run: Run) -> Run:
        if not any(claim.kind == "holds" for claim in want.run.claims):
            return run
        job = _job("decide", sub.step, item, self.seed) | {
            "want": run_to_data(want.run),
            "got": run_to_data(run),
        }
        reply = pool.run(job, 60.0).reply
        return run_from_data(reply) if reply is not None else run

    def _run(
        self,
        task: str,
        pool: Pool,
        sub: Submission,
        item: Item,
        text: str,
        lines: Sequence[int | None] | None,
    ) -> Outcome:
        """Run the learner's text in a worker; what it imports of the course is the reference, but in
        milestones.
        """
        main = f"{sub.step.folder}.{item.trio}_exercise"
        modules: dict[str, Any] = {} if isinstance(item, Milestone) else _references(sub.step, item)
        modules[main] = {
            "text": text,
            "filename": str(sub.path),
            "lines": None if lines is None else list(lines),
        }
        job = _job(task, sub.step, item, self.seed) | {
            "main": main,
            "modules": modules,
            "seconds": item.timeout,
        }
        return pool.run(job, item.timeout)

    def _faults(self, sub: Submission, verdicts: dict[str, Verdict]) -> list[FileFault]:
        lost = tuple(v.id for v in verdicts.values() if v.status not in (Status.PASSED, Status.NOT_STARTED))
        return sub.faults(lost)


def _job(task: str, step: Step, item: Item, seed: int) -> dict[str, Any]:
    return {"task": task, "root": str(step.root), "step": step.folder, "item": item.id, "seed": seed}


def _references(step: Step, item: Item) -> dict[str, Any]:
    """Return the solutions of the steps below, and of the core beside a further trio, under the exercises'
    names.
    """
    found = {}
    for lower in load_course(step.root):
        for trio in ("model", "further"):
            path = lower.trio_files(trio)[1]
            if path.exists() and (
                lower.number < step.number or (lower.number == step.number and trio != item.trio)
            ):
                text = exercise_text(path.read_text(encoding="utf-8"), lower, trio)
                found[f"{lower.folder}.{trio}_exercise"] = {
                    "text": text,
                    "filename": str(path),
                    "lines": None,
                }
    return found


def _run_of(outcome: Outcome) -> Run | None:
    """Return the run that a worker sent, or None where its process ended without a reply that can be read."""
    try:
        return None if outcome.reply is None else run_from_data(outcome.reply)
    except (KeyError, TypeError, ValueError):
        return None


def _credit(item: Item, want: Run, holding: int) -> float:
    """Return the points for a run whose first `holding` claims hold."""
    partial = getattr(item, "partial", None)
    if partial is None:
        return 0.0
    until = next(i for i, claim in enumerate(want.claims) if claim.label.startswith(partial.until))
    return float(partial.points) if holding >= until else 0.0


_shared: Judge | None = None


def shared() -> Judge:
    """Return the judge of this process, with warm workers: what notebooks and watch use."""
    global _shared
    if _shared is None:
        _shared = Judge()
    return _shared


def judge(step: Step, items: Sequence[Item], path: Path | None = None, *, seed: int | None = None) -> Report:
    """Judge a file with the workers of this process; with a seed the trusted values are computed anew for
    it.
    """
    return (shared() if seed is None else Judge(seed)).report(step, items, path)
