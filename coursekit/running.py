"""The learner's running model in a notebook: `learner` loads it, `needs` says whose code a cell runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from coursekit import registry
from coursekit.cells import NoSuchName, display_sentence, file_of, is_grading, step_here
from coursekit.loading import load
from coursekit.mine import Mine
from coursekit.practice.selection import Item, WrongUsage, find
from coursekit.registry import Step
from coursekit.stale import watch_cells
from coursekit.whose import whose

_STUB = re.compile(r"exercise (\S+) is not written yet: (.+?) in (\S+?)\.? ")


class NotInGrading(NotImplementedError):
    """Learner code is wanted in the process that grades; only workers run it there."""


def learner(what: str | int | Path | None = None, *, stand_in: bool = True) -> Any:
    """Return the learner's file as a module, fresh from what is saved: `mine = learner()`.

    Where an exercise is not written, has not passed or has changed since, the reference stands in, unless
    `stand_in` is False; shown, the module says which parts are whose. `what` is a step ("step3", 3) or a
    file; without it, the core file of the step in whose folder the notebook stands. Raises CannotLoad, shown
    as one sentence, where the file cannot be run; never returns an older version.
    """
    if os.environ.get("NBGRADER_EXECUTION") == "autograde":
        return _Withheld("learner")
    step, trio, path = _meant(what)
    module = load(path.resolve(), step, trio, stand_in=stand_in and not is_grading())
    _latest[step.folder, trio] = module
    watch_cells(display_sentence)
    if told := module.__parts__.changed:
        display_sentence(told)
    return module


_latest: dict[tuple[str, str], Mine] = {}


def _meant(what: str | int | Path | None) -> tuple[Step, str, Path]:
    """Return the step, the trio and the file that `learner` is asked for."""
    if what is None:
        step = step_here()
        return step, "model", file_of(step, "model")
    try:
        step = registry.find_step(str(what))
        return step, "model", file_of(step, "model")
    except registry.UnknownName as error:
        path = Path(what) if not isinstance(what, int) else None
        if path is None or (not path.suffix and not path.exists()):
            raise NoSuchName(f"{error}; or name a file") from None
    step = next((s for s in registry.load_course() if s.folder == path.resolve().parent.name), step_here())
    return step, "further" if path.stem.startswith("further_") else "model", path


class _Withheld(ModuleType):
    """Stands for the learner's module where learner code must not run."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotInGrading(f"{name} is the learner's own code: in grading only the checks run it")


class needs:
    """Say whose code a cell runs: `with needs("2.3a", shows="the scores of one query"):`.

    Beneath what the cell shows stands one line for these exercises: computed by the learner's code, or by the
    reference and why. A file that was loaded without a stand-in ends at an unfinished exercise with one
    sentence. Any other exception of the learner's code is shown as it is.
    """

    def __init__(self, *ids: str, shows: str = "its result") -> None:
        try:
            self.items = [item for name in ids for item in find(name)]
        except WrongUsage as error:
            raise NoSuchName(str(error)) from None
        self.shows = shows

    def __enter__(self) -> needs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._tell_whose()
            return False
        if isinstance(error, NotInGrading):
            display_sentence(f"In grading this cell shows nothing: {error}.")
            return True
        stub = _STUB.match(str(error)) if kind is NotImplementedError else None
        if stub is None or not _is_known(stub[1]):
            return False
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        line = f", line {trace.tb_lineno}" if trace is not None else ""
        display_sentence(
            f"{stub[1]} {stub[2]} is not written yet: this cell shows {self.shows} once it is. "
            f"({Path(stub[3]).name}{line})"
        )
        return True

    def _tell_whose(self) -> None:
        """Say whose code the modules run that `learner()` returned last, for the exercises named."""
        for step, trio in dict.fromkeys((item.step, item.trio) for item in self.items):
            if is_grading() or (step, trio) not in _latest:
                continue
            mine = _latest[step, trio]
            ids = [item.id for item in self.items if (item.step, item.trio) == (step, trio)]
            told = whose(mine, *ids)
            if any(part.id in ids for part in mine.__parts__.stood_in):
                told += f" Once all is yours, this cell shows {self.shows}."
            display_sentence(told)


def _is_known(item_id: str) -> bool:
    items: list[Item] = [item for step in registry.load_course() for item in step.items]
    return any(item.id == item_id for item in items)
