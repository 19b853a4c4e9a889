"""Where a learner stands: what a report adds to their progress, what has changed since, what comes next."""

from __future__ import annotations

import dataclasses
import hashlib
import textwrap
from pathlib import Path

from coursekit import registry
from coursekit.judging.passing import Following, Passing
from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.practice.passing import passing_of
from coursekit.practice.path import PATHS, Item, in_path
from coursekit.practice.progress import Note, Progress, Standing, load, progress_file, stamp, update
from coursekit.registry import Step
from coursekit.source import exercise_text, find_spans, is_untouched, read_source, split_lines


def keep(step: Step, report: Report) -> tuple[Report, str | None]:
    """Record the passes of a report; return it with what a pass is answered with, the next exercise too.

    The second value is one sentence if the progress could not be kept, else None. Only one verdict by itself
    is compared with the reference.
    """
    text, again = _learners_text(report), _passed_before(step, report)
    problem = record(step, report)
    known = load(step.root)
    for verdict in report.verdicts:
        # Where nothing could be kept, this report still counts; what failed just now is open again.
        note = known.note(verdict.id)
        if verdict.status is not Status.PASSED:
            note.earned = note.solved = None
        elif note.standing is Standing.OPEN:
            note.earned = stamp()
    items = {item.id: item for item in step.items}
    is_alone = len(report.verdicts) == 1
    verdicts = tuple(
        _answered(
            v, passing_of(step, items[v.id], known, text if is_alone else None, v.id in again), known, step
        )
        if v.status is Status.PASSED
        else v
        for v in report.verdicts
    )
    return dataclasses.replace(report, verdicts=verdicts), problem


def _answered(verdict: Verdict, passing: Passing, known: Progress, step: Step) -> Verdict:
    return dataclasses.replace(verdict, passing=passing, next=onward(step, known.path, passing.following))


def onward(step: Step, path: str, following: Following | None) -> str:
    """Say what comes after a pass: the next open exercise of the path, or that the path is done."""
    if following is not None:
        way = "show" if following.line is not None else "check"
        return f"go on with {following.id}, {following.title}: course {way} {following.id}"
    wider = PATHS[PATHS.index(path) + 1 :]
    items = [item for other in registry.load_course(step.root) for item in other.items]
    for name in wider:
        more = [item for item in items if in_path(item, name) and not in_path(item, path)]
        if more:
            return f"the path '{path}' is done; {len(more)} more with: course path {name}"
    return f"the path '{path}' is done: course progress"


def _learners_text(report: Report) -> str | None:
    """Return the text that was judged, or None where the file has changed since."""
    path = Path(report.file)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != report.sha256:
        return None
    return read_source(path)[0]


def _passed_before(step: Step, report: Report) -> set[str]:
    """Return the exercises of a report on the learner's own file whose very code has passed before."""
    known, path = load(step.root), Path(report.file).resolve()
    passed = {v.id for v in report.verdicts if v.status is Status.PASSED}
    return {
        item.id
        for item in step.items
        if item.id in passed
        and step.trio_files(item.trio)[0].resolve() == path
        and path.is_file()
        and _is_known(known, item.id, body_hash(step, item))
    }


def record(step: Step, report: Report) -> str | None:
    """Remember the passes of a report on the learner's own file; return one sentence if that failed.

    A pass is earned unless the code is what `course solve` put in. Reports on other files, and on a file
    that has changed since it was judged, are not recorded.
    """
    passed = [v.id for v in report.verdicts if v.status is Status.PASSED]
    path = Path(report.file).resolve()
    items = [i for i in step.items if i.id in passed and step.trio_files(i.trio)[0].resolve() == path]
    if not items or hashlib.sha256(path.read_bytes()).hexdigest() != report.sha256:
        return None
    bodies = {item.id: body_hash(step, item) for item in items}
    known = load(step.root)
    if all(_is_known(known, item_id, body) for item_id, body in bodies.items()):
        return None
    copied = {i.id for i in items if known.note(i.id).seen and is_solution(step, i)}

    def note_passes(progress: Progress) -> None:
        for item in items:
            note = progress.note(item.id)
            note.body = bodies[item.id]
            # A milestone is earned where all that it rests on is.
            rests_on = {progress.standing(needed) for needed in item.needs} if item.is_milestone else set()
            if item.id in copied or Standing.SOLVED in rests_on:
                note.solved = note.solved or stamp()
            else:
                note.earned = note.earned or stamp()

    try:
        update(note_passes, step.root)
    except OSError as error:
        return f"Your progress could not be kept in {progress_file(step.root)}: {error.strerror or error}."
    return None


def _is_known(progress: Progress, item_id: str, body: str) -> bool:
    note = progress.exercises.get(item_id, Note())
    return note.body == body and note.standing is not Standing.OPEN


def is_solution(step: Step, item: Item) -> bool:
    """Tell whether the learner's bodies are the solution's, but for comments and white space."""
    learner_path, solution_path = step.trio_files(item.trio)
    solved = exercise_text(read_source(solution_path)[0], step, item.trio)
    text = read_source(learner_path)[0]
    return bool(item.targets) and all(is_untouched(text, solved, target) for target in item.targets)


def body_hash(step: Step, item: Item) -> str:
    """Return a hash of the learner's code of an exercise, of the whole file for a milestone."""
    learner_path, solution_path = step.trio_files(item.trio)
    return body_digest(read_source(learner_path)[0], read_source(solution_path)[0], item)


def body_digest(text: str, template: str, item: Item) -> str:
    """Return a hash of the code of an exercise in a learner's text, of the whole text for a milestone.

    Blank lines, indentation and white space at line ends do not count. `template` is the stub or the
    solution.
    """
    lines = split_lines(text)
    spans = find_spans(text, item.targets, template)
    if not item.targets:
        code = text
    else:
        found = (spans[target] for target in item.targets if target in spans)
        code = "".join(textwrap.dedent("".join(lines[s.header - 1 : s.last])) for s in found)
    kept = "\n".join(line.rstrip() for line in code.splitlines() if line.strip())
    return hashlib.sha256(kept.encode("utf-8", errors="surrogateescape")).hexdigest()


def is_changed(step: Step, item: Item, progress: Progress) -> bool:
    """Tell whether the code of an exercise is another than the one that passed last."""
    body = progress.exercises.get(item.id, Note()).body
    return body is not None and body != body_hash(step, item)
