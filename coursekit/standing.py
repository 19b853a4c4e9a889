"""Where a learner stands: what a report adds to their progress, what has changed since, what comes next."""

from __future__ import annotations

import dataclasses
import hashlib
import textwrap
from pathlib import Path

from coursekit.progress import Note, Progress, Standing, load, progress_file, stamp, update
from coursekit.registry import Exercise, Milestone, Step
from coursekit.source import exercise_text, find_spans, is_untouched, read_source, split_lines, stub_text
from coursekit.verdict import Report, Status

Item = Exercise | Milestone


def keep(step: Step, report: Report) -> tuple[Report, str | None]:
    """Record the passes of a report; return it with the next open exercise behind each pass.

    The second value is one sentence if the progress could not be kept, else None.
    """
    problem = record(step, report)
    progress = load(step.root)
    done = progress.done | {v.id for v in report.verdicts if v.status is Status.PASSED}
    done -= {v.id for v in report.verdicts if v.status is not Status.PASSED}
    verdicts = tuple(
        dataclasses.replace(v, next=onward(step, done, progress.path, v.id))
        if v.status is Status.PASSED
        else v
        for v in report.verdicts
    )
    return dataclasses.replace(report, verdicts=verdicts), problem


def onward(step: Step, done: set[str], path: str, after: str) -> str:
    """Say what comes after a pass: the next open exercise of the path, or that the step is complete."""
    following = next_open(step, done, path, after)
    if following is None:
        return f"nothing is open in step {step.number}: course progress"
    return f"go on with {following.id}, {following.title}: course show {following.id}"


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


def is_begun(step: Step, item: Item) -> bool:
    """Tell whether a body of the exercise differs from the stub's."""
    learner_path, solution_path = step.trio_files(item.trio)
    stub = stub_text(read_source(solution_path)[0], step, item.trio)
    text = read_source(learner_path)[0]
    return not all(is_untouched(text, stub, target) for target in item.targets)


def body_hash(step: Step, item: Item) -> str:
    """Return a hash of the learner's code of an exercise, of the whole file for a milestone."""
    learner_path, solution_path = step.trio_files(item.trio)
    text = read_source(learner_path)[0]
    lines = split_lines(text)
    spans = find_spans(text, item.targets, read_source(solution_path)[0])
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


def next_open(step: Step, done: set[str], path: str = "core", after: str = "") -> Item | None:
    """Return the next item of the path that is not done: after this one, else from the start."""
    items = [item for item in step.items if in_path(item, path)]
    place = next((i for i, item in enumerate(items) if item.id == after), -1)
    ordered = items[place + 1 :] + items[: place + 1]
    ready = [item for item in ordered if item.id not in done and not set(item.needs) - done]
    return next(iter(ready + [item for item in ordered if item.id not in done]), None)


def in_path(item: Item, path: str) -> bool:
    """Tell whether an exercise belongs to a path: "quick", "core" (quick included) or "all"."""
    if path == "all":
        return True
    if path == "quick":
        return isinstance(item, Exercise) and item.quick
    return item.trio == "model"
