"""`course hint`, `show`, `solve`, `reset`: help with one exercise, and its code put in or taken back."""

from __future__ import annotations

from typing import Annotated

import typer

from coursekit.practice import progress
from coursekit.practice.hints import next_hint
from coursekit.practice.learner_file import Change, contract, places, rewrite
from coursekit.practice.passing import shows_reference
from coursekit.practice.progress import Progress
from coursekit.practice.selection import Item, WrongUsage, find, find_one, shown, step_of
from coursekit.registry import Exercise, Step
from coursekit.render.telling import plural
from coursekit.render.terminal import bold, indented, make_console, plain
from coursekit.source import exercise_text, read_source, stub_text
from coursekit.source import reset as take_back
from coursekit.source import solve as put_in

Id = Annotated[str, typer.Argument(metavar="ID", help="An exercise, such as 2.3a.", show_default=False)]
IdOrStep = Annotated[
    str, typer.Argument(metavar="ID|STEP", help="An exercise, a group or a whole step.", show_default=False)
]


def hint(name: Id) -> None:
    """Give the next hint, the weakest first."""
    given = next_hint(*find_one(name))
    if given.problem:
        typer.echo(given.problem, err=True)
    console = make_console()
    console.print(bold(given.head))
    console.print(indented(given.text))
    for line in given.onward():
        console.print(plain(line))


def show(name: Id) -> None:
    """Show an exercise: what it asks, the hints you have seen, what to read, where you write it."""
    step, item = find_one(name)
    note = progress.load(step.root).note(item.id)
    console = make_console()
    console.print(bold(f"{item.id} {item.title}"))
    console.print(indented(_facts(item, note.standing)))
    for target in item.targets:
        console.print()
        console.print(indented(f"{target}\n\n{contract(step, item, target)}"))
    if not isinstance(item, Exercise):
        console.print()
        console.print(indented(item.promise))
    console.print()
    for number, text in enumerate(item.hints[: note.hints], start=1):
        console.print(indented(f"Hint {number} of {len(item.hints)}: {text}"))
    console.print(indented(f"To read: {item.writeup}"))
    for place in places(step, item) if item.targets else ():
        console.print(indented(f"Your code: {place}"))
    console.print(plain(f"Next: {_next(step, item, note.standing)}"))


def _next(step: Step, item: Item, standing: progress.Standing) -> str:
    if standing is not progress.Standing.OPEN and item.targets and shows_reference(step.root):
        return f"course compare {item.id}   (the reference beside your version)"
    nudge = f"   (a nudge: course hint {item.id})" if item.hints else ""
    return f"course check {item.id}{nudge}"


def solve(name: Id) -> None:
    """Put the solution's code of one exercise into your file. It counts as solved, not as earned."""
    step, item = find_one(name)
    if not item.targets:
        raise WrongUsage(f"{item.id} has no code of its own: solve one of {', '.join(item.needs)}")
    solution = exercise_text(read_source(step.trio_files(item.trio)[1])[0], step, item.trio)
    change = rewrite(step, item.trio, lambda text: put_in(text, solution, item.targets))
    unseen = len(item.hints) - progress.load(step.root).note(item.id).hints

    def mark(state: Progress) -> None:
        note = state.note(item.id)
        note.solved = progress.stamp()
        note.seen = note.seen or note.solved

    _keep(step, mark)
    console = make_console()
    state = "is in your file" if change.changed else "was in your file already"
    console.print(bold(f"{item.id} {item.title}: the solution's code {state}"))
    _tell(step, item, change)
    console.print(plain(f"Read it line by line, then: course check {item.id}"))
    console.print(
        plain(f"It counts as solved for you. To earn it, write it yourself: course reset {item.id}")
    )
    if unseen > 0:
        have = "has" if unseen == 1 else "have"
        console.print(plain(f"{plural(unseen, 'hint')} {have} not been seen yet: course hint {item.id}"))


def reset(name: IdOrStep) -> None:
    """Put the empty exercise back into your file; what you wrote is kept as a copy."""
    items = [item for item in find(name) if item.targets]
    if not items:
        raise WrongUsage(f"{name} has no code of its own: reset one of the exercises it needs, or the step")
    for trio in dict.fromkeys(item.trio for item in items):
        _reset_file(step_of(items[0]), trio, [item for item in items if item.trio == trio])


def _reset_file(step: Step, trio: str, items: list[Item]) -> None:
    """Put the stubs of these exercises into one file: the whole fresh file where they are all it has."""
    targets = [target for item in items for target in item.targets]
    stub = stub_text(read_source(step.trio_files(trio)[1])[0], step, trio)
    is_whole = len(items) == len(step.of_trio(trio)) > 1
    change = rewrite(
        step, trio, lambda text: stub if is_whole else take_back(text, stub, targets), fresh=stub
    )

    def unmark(state: Progress) -> None:
        for item in items:
            state.note(item.id).solved = None

    _keep(step, unmark)
    console = make_console()
    if not change.changed:
        console.print(
            plain(f"{' and '.join(item.id for item in items)}: your file has the empty exercise already.")
        )
        return
    names = ", ".join(f"{item.id} {item.title}" for item in items)
    what = f"{step.folder}, the whole file" if is_whole else names
    console.print(bold(f"{what}: empty again"))
    _tell(step, items[0], change)


def _tell(step: Step, item: Item, change: Change) -> None:
    console = make_console()
    for place in places(step, item):
        console.print(indented(place))
    if change.backup is not None:
        console.print(indented(f"Your file as it was: {shown(change.backup)}"))


def _facts(item: Item, standing: progress.Standing) -> str:
    facts = [str(standing)]
    if isinstance(item, Exercise):
        facts = [
            plural(item.points, "point"),
            f"about {plural(item.minutes, 'minute')}",
            f"difficulty {item.difficulty} of 5",
            *facts,
        ]
    if item.needs:
        facts.append(f"needs {', '.join(item.needs)}")
    return " · ".join(facts)


def _keep(step: Step, change: progress.Change) -> None:
    try:
        progress.update(change, step.root)
    except OSError as error:
        typer.echo(f"Your progress could not be kept: {error.strerror or error}.", err=True)
