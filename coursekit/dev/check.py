"""Say in sentences what is missing or stale in the course: everything that a machine can see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from coursekit import evidence
from coursekit.dev.asked import content_faults
from coursekit.dev.build import outputs, pages
from coursekit.dev.floors import floor_faults
from coursekit.dev.markdown import dead_reason, links
from coursekit.dev.notebook import BuildError
from coursekit.dev.style import notebook_faults, size_faults
from coursekit.judging.loader import load_marked
from coursekit.probe import marked
from coursekit.registry import COURSE_ROOT, Step, load_course
from coursekit.source.stub import StubError

CORE_EXERCISES, CORE_MINUTES, QUICK_EXERCISES = 45, 12 * 60, 15


def problems(root: Path = COURSE_ROOT) -> Iterator[str]:
    """Yield a sentence for each thing that is missing, stale, too long, dead or contradictory; none if all is
    well.
    """
    steps = load_course(root)
    yield from _stale(root)
    for step in steps:
        yield from content_faults(step)
        yield from evidence.stale(step)
    yield from _scoreboard(steps, root)
    yield from _sums(steps)
    yield from _needs(steps)
    yield from _dead_links(root)
    yield from size_faults(root)
    yield from floor_faults(root)


def _stale(root: Path) -> Iterator[str]:
    """Yield what `course dev build` would write, and what it cannot, and what is too long in notebooks."""
    try:
        for output in outputs(root):
            where = output.path.relative_to(root).as_posix()
            if not output.path.exists():
                yield f"{where} must be generated, got no such file: course dev build"
            elif output.is_stale:
                yield f"{where} must be what its source generates, got something else: course dev build"
            if output.path.suffix == ".ipynb":
                yield from notebook_faults(output.text, where)
    except (BuildError, StubError) as error:
        yield str(error)


def _scoreboard(steps: tuple[Step, ...], root: Path) -> Iterator[str]:
    """Yield exercises that docs/checks.md tells nothing or something old about; the margins are the
    audit's.
    """
    page = root / "docs" / "checks.md"
    if not page.exists():
        yield "docs/checks.md must be generated, got no such file: course dev build --scoreboard"
        return
    text = page.read_text(encoding="utf-8")
    for step in steps:
        wrongs = load_marked(step, "mistakes")
        for item in step.items:
            mistakes, variants = (len(marked(wrongs, kind, item.id)) for kind in ("mistake", "variant"))
            counts = f"{mistakes} of {mistakes} | {mistakes} of {mistakes} | {variants} of {variants}"
            if f"| {item.id} | {item.title} | {counts} |" not in text:
                yield (
                    f"docs/checks.md must say of {item.id}: {counts}, all rejected, named and accepted: "
                    "course dev audit, then course dev build --scoreboard"
                )


def _sums(steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield what is wrong with the course as a whole: ids used twice, paths too long."""
    names = [thing.id for step in steps for thing in (*step.items, *step.questions)]
    for name, count in Counter(names).items():
        if count > 1:
            yield f"the id {name} must be used once in the course, got it {count} times"
    commands = [(entry.kind, entry.name) for step in steps for entry in step.entries]
    for (kind, name), count in Counter(commands).items():
        if count > 1:
            yield f"the {kind} {name} must be registered once, got it {count} times"
    core = [exercise for step in steps for exercise in step.of_trio("model")]
    minutes = sum(exercise.minutes for exercise in core)
    if len(core) > CORE_EXERCISES or minutes > CORE_MINUTES:
        yield (
            f"the core must have at most {CORE_EXERCISES} exercises and {CORE_MINUTES} minutes, "
            f"got {len(core)} and {minutes}"
        )
    quick = sum(exercise.quick for step in steps for exercise in step.exercises)
    if quick > QUICK_EXERCISES:
        yield f"the quick path must have at most {QUICK_EXERCISES} exercises, got {quick}"


def _needs(steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield needs that name nothing, needs of higher steps, and circles among them."""
    items = {item.id: item for step in steps for item in step.items}
    number = {step.folder: step.number for step in steps}
    for item in items.values():
        for need in item.needs:
            if need not in items or items[need].is_milestone:
                yield f"{item.id} must need exercises that there are, got {need}"
            elif number[items[need].step] > number[item.step]:
                yield f"{item.id} must need exercises of its own step or a lower one, got {need}"
    yield from _need_circles({i: [n for n in item.needs if n in items] for i, item in items.items()})


def _need_circles(needs: dict[str, list[str]]) -> Iterator[str]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        yield f"needs must go in no circle, got {' -> '.join(reversed(error.args[1]))}"


def _dead_links(root: Path) -> Iterator[str]:
    for page in pages(root):
        for link in links(page.read_text(encoding="utf-8")):
            reason = dead_reason(link.target, page, root)
            if reason is not None:
                yield f"{page.relative_to(root).as_posix()}:{link.line} links to {link.target}, and {reason}"
