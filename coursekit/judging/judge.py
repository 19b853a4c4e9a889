"""Judge a learner's file: one verdict for each exercise, each exercise in isolation, none decided where
its code runs.

report = Judge().report(step, step.items, path)

The learner's text goes to a worker process, values come back, and here they are compared with those of
the trusted run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from coursekit.judging import messages
from coursekit.judging.submission import Submission
from coursekit.judging.trial import Item, Setting, Trial
from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.registry import COURSE_ROOT, Exercise, Milestone, Step
from coursekit.workers.pool import Pool, pool_of


class Judge:
    """Judges files with warm workers. `seed` None is the practice seed; graders pass a secret one.

    Under the practice seed the trusted values are kept in the course's folder; under any other they are
    computed anew.
    """

    def __init__(self, seed: int | None = None, root: Path = COURSE_ROOT, pool: Pool | None = None) -> None:
        self.seed = seed
        self.store = root / ".course" / "expected" if seed is None else None
        self._pool = pool

    def pool(self, step: Step) -> Pool:
        """Return the warm workers for a step; the first call starts them and returns at once."""
        return self._pool or pool_of(step)

    def report(self, step: Step, items: Sequence[Item], path: Path | None = None) -> Report:
        """Judge these exercises and milestones of one step on the learner's file (by default the step's
        own).
        """
        setting = Setting(self.pool(step), self.seed, self.store)
        submissions: dict[str, Submission] = {}
        verdicts: dict[str, Verdict] = {}
        for item in items:
            if item.trio not in submissions:
                file = path or step.trio_files(item.trio)[0]
                submissions[item.trio] = Submission(step, item.trio, file)
            _judge(setting, submissions[item.trio], item, verdicts)
        lost = [v.id for v in verdicts.values() if v.status not in (Status.PASSED, Status.NOT_STARTED)]
        first = next(iter(submissions.values()), None)
        return Report(
            str(first.path if first else path),
            first.sha256 if first else "",
            tuple(verdicts[item.id] for item in items),
            tuple(fault for submission in submissions.values() for fault in submission.faults(lost)),
        )


def _judge(setting: Setting, sub: Submission, item: Item, verdicts: dict[str, Verdict]) -> Verdict:
    """Judge one item, once, and before a milestone the exercises that it needs."""
    if item.id not in verdicts:
        if isinstance(item, Milestone):
            verdicts[item.id] = _milestone(setting, sub, item, verdicts)
        else:
            verdicts[item.id] = _exercise(setting, sub, item)
    return verdicts[item.id]


def _milestone(setting: Setting, sub: Submission, item: Milestone, verdicts: dict[str, Verdict]) -> Verdict:
    """Judge the learner's file as it is, if the exercises behind the milestone pass."""
    needed = [exercise for exercise in sub.step.exercises if exercise.id in item.needs]
    judged = [_judge(setting, sub, exercise, verdicts) for exercise in needed]
    missing = [verdict.id for verdict in judged if verdict.status is not Status.PASSED]
    return messages.blocked(sub, item, missing) if missing else Trial(setting, sub, item, sub.text).verdict()


def _exercise(setting: Setting, sub: Submission, item: Exercise) -> Verdict:
    """Judge one exercise: the learner's body of it in their own file, with the solution's bodies in the
    others.

    Where that file cannot be loaded, the body is judged in the solution's file. If it can be loaded
    there, the fault lies outside all bodies and is noted as such; what the body itself does decides. Once
    noted, the file is not loaded again: a loop outside all exercises costs its time once.
    """
    early = sub.without_running(item)
    if early is not None:
        return early
    fault = sub.module_fault
    if fault is None:
        trial = Trial(setting, sub, item, *sub.isolated(item))
        fault = trial.load_fault
    if fault is not None:
        trial = Trial(setting, sub, item, *sub.transplanted(item))
        if not trial.cannot_load:
            verdict = trial.verdict()
            # Wrong values are the body's own; an exception may come of what the fault keeps from it.
            sub.note_fault(fault, [item.id] if verdict.status is Status.ERROR else [])
            return verdict
    return trial.verdict()


_shared: Judge | None = None


def shared() -> Judge:
    """Return the judge of this process, with warm workers: what notebooks and watch use."""
    global _shared
    if _shared is None:
        _shared = Judge()
    return _shared


def judge(step: Step, items: Sequence[Item], path: Path | None = None, *, seed: int | None = None) -> Report:
    """Judge a file with the workers of this process; with a seed the trusted values are computed anew
    for it.
    """
    return (shared() if seed is None else Judge(seed)).report(step, items, path)
