"""One text on trial for one exercise: run it in a worker, compare what came back, say what follows."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.judging import endings, messages
from coursekit.judging.chains import first_parting
from coursekit.judging.compare import compare, same_behavior, same_start
from coursekit.judging.expected import PRACTICE_SEED, Expected
from coursekit.judging.runs import Raised, Run, chains_from_data, joined, run_from_data, run_to_data
from coursekit.judging.smallest import print_case, smallest_failing
from coursekit.judging.submission import Submission
from coursekit.judging.tell import describe
from coursekit.judging.verdict import Mistake, Status, Verdict
from coursekit.registry import Exercise, Milestone, Step, load_course
from coursekit.source import exercise_text, read_source
from coursekit.workers import WorkerError
from coursekit.workers.pool import Outcome, Pool

Item = Exercise | Milestone
DECIDE_SECONDS = 60.0


@dataclass(frozen=True)
class Setting:
    """What all trials of one judge share: the workers, the seed, and where trusted values are kept."""

    pool: Pool
    seed: int | None
    store: Path | None

    @property
    def is_practice(self) -> bool:
        return self.seed is None

    def job(self, task: str, step: Step, item: Item) -> dict[str, Any]:
        """Return what every job of an item says."""
        seed = PRACTICE_SEED if self.seed is None else self.seed
        return {"task": task, "root": str(step.root), "step": step.folder, "item": item.id, "seed": seed}

    def expected(self, step: Step, item: Item) -> Expected:
        """Return what trusted code gives for the item."""
        return Expected(self.pool, step, item, PRACTICE_SEED if self.seed is None else self.seed, self.store)


class Trial:
    """A text that holds the learner's code of one item. `lines` maps its lines to the learner's (None:
    all are).
    """

    def __init__(
        self,
        setting: Setting,
        sub: Submission,
        item: Item,
        text: str,
        lines: Sequence[int | None] | None = None,
    ) -> None:
        self.setting = setting
        self.sub = sub
        self.item = item
        self.text = text
        self.lines = lines
        self.outcome = self._run("probe")
        self.run = _run_of(self.outcome)
        if self.run is not None and self.run.files is not None:
            self.run = self._in_new_process(self.run)

    @property
    def cannot_load(self) -> bool:
        """Whether the run ended while the text was loaded, before anything was asked of it."""
        return self.load_fault is not None

    @property
    def load_fault(self) -> Raised | None:
        """What ended the run while the text was loaded: an exception, or the end of its process."""
        if self.run is None:
            is_theirs = self.outcome.end.how != "lost" and not self.outcome.is_loaded
            return endings.unloaded(self.sub, self.item, self.outcome, self.lines) if is_theirs else None
        return self.run.raised if self.run.raised and self.run.raised.stage == "module" else None

    def verdict(self) -> Verdict:
        """Compare the run with the trusted one, and put the outcome into words."""
        if self.run is None:
            early = endings.ended_early(self.sub, self.item, self.outcome, self.lines)
            return messages.with_a_look_inside(early) if self.setting.is_practice else early
        want = self.setting.expected(self.sub.step, self.item)
        run = self._with_predicates(want, self.run)
        verdict = self._first_difference(want, run)
        if verdict.status is not Status.PASSED:
            verdict = self._explained(want, run, verdict)
            if self.setting.is_practice:
                verdict = messages.with_a_look_inside(verdict)
        return dataclasses.replace(verdict, printed=self.outcome.printed or None)

    def _first_difference(self, want: Expected, run: Run) -> Verdict:
        for number, (wanted, got) in enumerate(zip(want.run.claims, run.claims)):
            difference = compare(wanted, got)
            if difference is not None:
                if wanted.kind == "holds" and self.run is not None:
                    # The claim compared holds only yes or no: say what the question was asked of.
                    difference = dataclasses.replace(difference, got=describe(self.run.claims[number].value))
                credit = _credit(self.item, want.run, number)
                found = messages.failed(self.sub, self.item, wanted, difference, credit)
                return dataclasses.replace(found, claim_number=number)
        if run.raised is not None:
            credit = _credit(self.item, want.run, len(run.claims))
            found = messages.raised(self.sub, self.item, want, run, credit)
            is_asked = run.raised.stage == "probe"
            return dataclasses.replace(found, claim_number=len(run.claims) if is_asked else None)
        if len(run.claims) != len(want.run.claims):
            return messages.cut_short(self.sub, self.item, len(run.claims), len(want.run.claims))
        return messages.passed(self.sub, self.item)

    def _explained(self, want: Expected, run: Run, verdict: Verdict) -> Verdict:
        """Name the mistake if the values prove one; in practice, show the smallest input that fails."""
        mistake = _named(want, run, verdict.claim_number)
        verdict = dataclasses.replace(verdict, known_mistakes=len(want.mistakes), mistake=mistake)
        is_over = self.cannot_load or (run.raised is not None and run.raised.type == messages.WANTS_KEYBOARD)
        if self.setting.is_practice and not is_over:
            verdict = self._looked_into(want, verdict)
        if mistake is not None and mistake.is_all:
            return verdict
        note = self.sub.note_on_given_code(self.item)
        return dataclasses.replace(verdict, detail="\n\n".join(filter(None, [verdict.detail, note])) or None)

    def _looked_into(self, want: Expected, verdict: Verdict) -> Verdict:
        """Show the smallest input that fails and, where no mistake is named, the first value on the way that
        differs.
        """
        if not want.cases and not want.chains:
            return verdict
        smallest = trail = number = None
        look = self._run("look").reply
        with contextlib.suppress(KeyError, TypeError, ValueError):
            number = smallest_failing(want.cases, look["cases"])
            is_told = verdict.status is Status.ERROR
            # What stops on the very first input needs none to show it.
            if number is not None and not (is_told and number == 0 and "raised" in look["cases"][0]):
                smallest = print_case(want.cases[number], look["cases"][number], is_told)
            if verdict.mistake is None or not verdict.mistake.is_all:
                trail = first_parting(want.chains, chains_from_data(look["chains"]))
        return dataclasses.replace(verdict, smallest=smallest, case_number=number, trail=trail)

    def _with_predicates(self, want: Expected, run: Run) -> Run:
        """Return the run with the predicates of its "holds" claims evaluated, in a process without
        learner code.
        """
        if not any(claim.kind == "holds" for claim in want.run.claims):
            return run
        both = {"want": run_to_data(want.run), "got": run_to_data(run)}
        job = self.setting.job("decide", self.sub.step, self.item) | both
        outcome = self.setting.pool.run(job, DECIDE_SECONDS)
        if outcome.reply is None:
            raise WorkerError(f"the predicates of {self.item.id} gave nothing ({outcome.end})")
        return run_from_data(outcome.reply)

    def _in_new_process(self, first: Run) -> Run | None:
        """Run the second part of the check on the files of the first, and return both as one run; None where
        the new process ended without a reply.
        """
        assert first.files is not None
        printed = self.outcome.printed
        self.outcome = self._run("probe", dict(first.files))
        self.outcome = dataclasses.replace(self.outcome, printed=printed + self.outcome.printed)
        second = _run_of(self.outcome)
        return None if second is None else joined(first, second)

    def _run(self, task: str, files: dict[str, bytes] | None = None) -> Outcome:
        """Run the text in a worker; what it imports of the course is the reference, but in milestones: these
        run the learner's files of the steps below, if the text is that of their own file.

        Beside a further file the reference stands for the core.
        """
        step, item = self.sub.step, self.item
        main = f"{step.folder}.{item.trio}_exercise"
        modules: dict[str, Any] = references(step, item)
        if isinstance(item, Milestone) and self.sub.is_own:
            modules = {name: own_file(name, m, step) for name, m in modules.items()}
        lines = None if self.lines is None else list(self.lines)
        modules[main] = {"text": self.text, "filename": str(self.sub.path), "lines": lines}
        more = {"main": main, "modules": modules, "seconds": item.timeout, "files": files}
        return self.setting.pool.run(self.setting.job(task, step, item) | more, item.timeout)


def _named(want: Expected, run: Run, failing: int | None) -> Mistake | None:
    """Return the known mistake that gives all of a run's values; else the one that gives those up to the
    failing claim, if it is the only one.
    """
    for known in want.mistakes:
        if same_behavior(known.run, run, want.run):
            return Mistake(known.name, known.text)
    if failing is None or failing >= len(run.claims):
        return None
    alike = [known for known in want.mistakes if same_start(known.run, run, want.run, failing)]
    return Mistake(alike[0].name, alike[0].text, is_all=False) if len(alike) == 1 else None


def references(step: Step, item: Item) -> dict[str, Any]:
    """Return the solutions of the steps below, and of the core beside a further trio, under the
    exercises' names.
    """
    found = {}
    for lower in load_course(step.root):
        for trio in ("model", "further"):
            path = lower.trio_files(trio)[1]
            is_below = lower.number < step.number or (lower.number == step.number and trio != item.trio)
            if is_below and path.exists():
                text = exercise_text(path.read_text(encoding="utf-8"), lower, trio)
                found[f"{lower.folder}.{trio}_exercise"] = {
                    "text": text,
                    "filename": str(path),
                    "lines": None,
                }
    return found


def own_file(name: str, reference: dict[str, Any], step: Step) -> dict[str, Any]:
    """Return the learner's file of a step below in place of its reference; that of the same step stays."""
    folder, _, module = name.partition(".")
    path = step.root / folder / f"{module}.py"
    if folder == step.folder or not path.is_file():
        return reference
    return {"text": read_source(path)[0], "filename": str(path), "lines": None}


def _run_of(outcome: Outcome) -> Run | None:
    """Return the run that a worker sent, or None where its process ended without a reply that can be
    read.
    """
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
