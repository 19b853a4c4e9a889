"""One exercise by itself in this process: the learner's code of it, the reference in all others, as a check
runs it, with every line where it stands in its file.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from bdb import BdbQuit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from coursekit.judging.trial import references
from coursekit.mine import Part, Parts, State
from coursekit.practice.selection import Item
from coursekit.registry import Exercise, Step
from coursekit.source import read_source, transplant
from coursekit.standin import code_of
from coursekit.workers.learner import Source, imported_from


def load_alone(step: Step, item: Item, path: Path) -> ModuleType:
    """Run the learner's file with the reference in every exercise but this one, and return it as a module.

    Where that cannot be loaded, the exercise runs in the solution's file, as in a check. A milestone's file
    runs as it is. Whatever the exercise raises when it is loaded is raised here.
    """
    text = read_source(path)[0]
    states = {e: State.YOURS if e == item else State.UNWRITTEN for e in step.of_trio(item.trio)}
    parts = Parts(step, path, tuple(Part(e, "", state) for e, state in states.items()), not item.is_milestone)
    lower = {} if item.is_milestone else references(step, item)
    with imported_from({name: Source(s["text"], s["filename"], s["lines"]) for name, s in lower.items()}):
        try:
            return _module_of(parts, item.trio, code_of(parts, item.trio, text))
        except BdbQuit:
            raise  # Left at a breakpoint.
        except Exception:
            if item.is_milestone:
                raise
        return _module_of(parts, item.trio, code_of(parts, item.trio, text, transplant))


def _module_of(parts: Parts, trio: str, code: CodeType) -> ModuleType:
    """Run code as the module of the learner's file."""
    module = ModuleType(f"{parts.step.folder}.{trio}_exercise")
    module.__file__ = str(parts.path)
    # Dataclasses look their module up by its name.
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    finally:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before
    return module


@dataclass
class Call:
    """One call of a function that an exercise asks for: the arguments as they were, and what came of it."""

    function: Callable[..., Any]
    owner: Any
    arguments: dict[str, Any]
    returned: Any = None
    error: BaseException | None = None


def record_calls(m: Any, exercise: Exercise) -> list[Call]:
    """Note every call of the exercise's functions from outside them, in the list that comes back."""
    calls: list[Call] = []
    for target in exercise.targets:
        owner_name, _, name = target.rpartition(".")
        owner = getattr(m, owner_name) if owner_name else m
        setattr(owner, name, _recorded(getattr(owner, name), bool(owner_name), calls))
    return calls


def _recorded(function: Callable[..., Any], is_method: bool, calls: list[Call]) -> Callable[..., Any]:
    depth = 0

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal depth
        if depth:
            return function(*args, **kwargs)
        kept = [as_now(value) for value in args]
        named = inspect.signature(function).bind(*kept, **{k: as_now(v) for k, v in kwargs.items()}).arguments
        owner = named.pop(next(iter(named))) if is_method else None
        note = Call(function, owner, dict(named))
        calls.append(note)
        depth += 1
        try:
            note.returned = function(*args, **kwargs)
        except BaseException as error:
            note.error = error
            raise
        finally:
            depth -= 1
        return note.returned

    return call


def as_now(value: Any) -> Any:
    """Return a copy that later changes do not reach, for tensors without their history."""
    if hasattr(value, "detach"):
        return value.detach().clone().requires_grad_(value.requires_grad)
    try:
        return copy.deepcopy(value)
    except (RuntimeError, TypeError):
        return value


def calls_behind(run: Iterator[Any], number: int, calls: Sequence[Call]) -> Sequence[Call]:
    """Let a check or its small cases run up to yield number `number`, and return the calls made for that one.

    Where it asks nothing anew it speaks of the call before. What the code raises ends the run.
    """
    before = 0
    try:
        for i, _ in enumerate(run):
            if i == number:
                break
            before = len(calls)
    except Exception:  # noqa: BLE001 - whatever the code raises is noted with its call
        return calls[before:] or calls[-1:]
    return calls[before:] or calls[-1:]
