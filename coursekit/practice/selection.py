"""Which exercises of which file a command means: ids, groups ("2.3" is 2.3a to 2.3d), steps, a path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from coursekit import registry
from coursekit.registry import Exercise, Milestone, Step, UnknownName

Item = Exercise | Milestone


class WrongUsage(Exception):
    """A command that cannot be carried out as given; the message is one sentence that says what there is."""


@dataclass(frozen=True)
class Job:
    """Exercises and milestones of one learner's file."""

    step: Step
    items: tuple[Item, ...]
    path: Path


def select(names: Sequence[str], file: Path | None = None) -> list[Job]:
    """Return what to judge, a job for each file: everything there is without names. Raises WrongUsage."""
    steps = registry.load_course()
    chosen = [item for name in names for item in find(name)] if names else None
    if file is not None:
        folders = {item.step for item in chosen or ()}
        if len(folders) != 1:
            named = ", ".join(sorted(folders)) or "none"
            raise WrongUsage(
                f"--file needs exercises of exactly one step among the arguments, got {named}: {_steps()}"
            )
    jobs = []
    for step in steps:
        items = [item for item in step.items if chosen is None or item in chosen]
        for trio in dict.fromkeys(item.trio for item in items):
            own = step.trio_files(trio)[0]
            if file is not None and _trio_of(file, trio) != trio:
                continue
            path = file or own
            jobs.append(Job(step, tuple(i for i in items if i.trio == trio), _readable(path, step)))
    if file is not None and len(jobs) != 1:
        raise WrongUsage(
            f"--file names one file, but the exercises stand in {len(jobs)}: name those of one file"
        )
    return jobs


def _trio_of(file: Path, default: str) -> str:
    """Return which trio a file belongs to by its name; any other name may hold either."""
    match = re.fullmatch(r"(model|further)_(exercise|solution)", file.stem)
    return match[1] if match else default


def find(name: str) -> list[Item]:
    """Return the exercises of an id, a group or a step. Raises WrongUsage, with the names that come close."""
    if not isinstance(name, str):
        raise WrongUsage(f'an exercise is named in quotes, such as "2.3a", got {name!r}')
    steps = registry.load_course()
    items = [item for step in steps for item in step.items]
    if exact := [item for item in items if item.id == name]:
        return exact
    try:
        return list(registry.find_step(name).items)
    except UnknownName:
        pass
    if group := [item for item in items if re.fullmatch(re.escape(name) + "[a-z]", item.id)]:
        return group
    raise WrongUsage(f"there is no exercise, group or step {name!r}: {_suggestion(name, items)}")


def find_one(name: str) -> tuple[Step, Item]:
    """Return the one exercise or milestone that a name means, with its step. Raises WrongUsage."""
    items = find(name)
    if len(items) != 1:
        ids = ", ".join(item.id for item in items)
        raise WrongUsage(f"name one exercise, got {name!r}, which means {ids}")
    return step_of(items[0]), items[0]


def step_of(item: Item) -> Step:
    """Return the step that an exercise or milestone belongs to."""
    return registry.find_step(item.step)


def _suggestion(name: str, items: Sequence[Item]) -> str:
    """Return names that come close: of the same group for short ids, of like spelling for long names."""
    ids = [item.id for item in items]
    close = [i for i in ids if i.startswith(name[:3]) and len(name) == 4]
    if len(name) > 4:
        close = get_close_matches(name, [*ids, *(s.folder for s in registry.load_course())], n=3)
    if close:
        return f"did you mean {' or '.join(close)}? (course list shows all)"
    return f"{_steps()} with {ids[0]} to {ids[-1]} (course list shows all)" if ids else _steps()


def _steps() -> str:
    return f"there is {', '.join(step.folder for step in registry.load_course())}"


def _readable(path: Path, step: Step) -> Path:
    """Return the path if a file can be read there. Raises WrongUsage with the way out."""
    try:
        with path.open("rb"):
            return path
    except FileNotFoundError:
        own = path.parent.resolve() == step.path.resolve()
        way = f": course reset {step.folder} puts a fresh one there" if own else ""
        raise WrongUsage(f"{path} cannot be read: there is no such file{way}") from None
    except IsADirectoryError:
        raise WrongUsage(f"{path} cannot be read: it is a folder, and --file takes a Python file") from None
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror or error}") from None


def shown(path: Path) -> str:
    """Return a path as one types it: relative to the current folder where it lies in it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
