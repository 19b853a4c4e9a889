"""Judge a learner's file: one verdict for each exercise, each exercise in isolation, none decided where
its code runs.

report = Judge().report(step, step.items, path)

The learner's text goes to a worker process, values come back, and here they are compared with those of
the trusted run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from coursekit.judging import messages
from coursekit.judging.submission import Submission
from coursekit.judging.trial import Item, Setting, Trial
from coursekit.judging.verdict import FileFault, Report, Status, Verdict
from coursekit.registry import COURSE_ROOT, Exercise, Milestone, Step, load_course
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
        round_ = _Round(Setting(self.pool(step), self.seed, self.store), step, path)
        verdicts = tuple(round_.judge(step, item) for item in items)
        first = next(iter(round_.submissions.values()), None)
        return Report(
            str(first.path if first else path),
            first.sha256 if first else "",
            verdicts,
            tuple(round_.faults()),
        )


class _Round:
    """One report in the making: each file is read once and each item judged once."""

    def __init__(self, setting: Setting, step: Step, path: Path | None) -> None:
        self.setting, self.step, self.path = setting, step, path
        self.submissions: dict[tuple[str, str], Submission] = {}
        self.verdicts: dict[str, Verdict] = {}

    def judge(self, step: Step, item: Item) -> Verdict:
        """Judge one item, and before a milestone the exercises that it needs."""
        if item.id not in self.verdicts:
            sub = self._submission(step, item.trio)
            if isinstance(item, Milestone):
                self.verdicts[item.id] = self._milestone(sub, item)
            else:
                self.verdicts[item.id] = _exercise(self.setting, sub, item)
        return self.verdicts[item.id]

    def faults(self) -> Iterator[FileFault]:
        """Yield what is wrong outside the bodies of every file that was read."""
        fine = (Status.PASSED, Status.NOT_STARTED)
        for sub in self.submissions.values():
            ids = {item.id for item in sub.step.items}
            yield from sub.faults([i for i, v in self.verdicts.items() if i in ids and v.status not in fine])

    def _submission(self, step: Step, trio: str) -> Submission:
        key = step.folder, trio
        if key not in self.submissions:
            given = self.path if step.folder == self.step.folder else None
            self.submissions[key] = Submission(step, trio, given or step.trio_files(trio)[0])
        return self.submissions[key]

    def _milestone(self, sub: Submission, item: Milestone) -> Verdict:
        """Judge the learner's file as it is, if the exercises behind the milestone pass.

        In the learner's own folder these may be exercises of the steps below, whose files run as they are,
        too. A file from elsewhere stands on the reference for the steps below.
        """
        below = [step for step in load_course(sub.step.root) if step.number < sub.step.number]
        steps = [*(below if sub.is_own else []), sub.step]
        needed = [(step, each) for step in steps for each in step.exercises if each.id in item.needs]
        judged = [self.judge(step, exercise) for step, exercise in needed]
        missing = [verdict.id for verdict in judged if verdict.status is not Status.PASSED]
        if missing:
            return messages.blocked(sub, item, missing)
        return Trial(self.setting, sub, item, sub.text).verdict()


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
