"""The new process of a check in two parts, as an audit needs it: one for all implementations of an item.

Judging gives every learner's file a process of its own. Here a second process builds each implementation anew
for every run, so that nothing of the first process is in it but the files that were handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from coursekit.judging.loader import implementation, load_file, load_marked, reference_implementation
from coursekit.judging.runs import Run, joined, run_probe
from coursekit.probe import marked
from coursekit.registry import Exercise, Milestone, Step

Function = Callable[..., Any]


def registered(
    step: Step, item: Exercise | Milestone, further: Path | None
) -> tuple[list[Function], list[Function], list[Function]]:
    """Return the known mistakes of an item, those that a further file adds, and the variants of both."""
    modules, more = load_marked(step, "mistakes"), [load_file(further)] if further else []
    known, added = (marked(found, "mistake", item.id) for found in (modules, more))
    return known, added, marked([*modules, *more], "variant", item.id)


class Partner:
    """A second process beside the audit of one item; it starts when a run first goes on there."""

    def __init__(self, step: Step, item: Exercise | Milestone, further: Path | None) -> None:
        self._about = (step, item, further)
        self._executor: ProcessPoolExecutor | None = None

    def finish(self, first: Run, number: int | None, seed: int, threads: int) -> Run:
        """Return the whole run that began as `first`: itself where no second part follows.

        `number` says which of all that is registered ran, None is the reference.
        """
        if first.files is None:
            return first
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=_load, initargs=self._about
            )
        second = self._executor.submit(_second, number, seed, threads, dict(first.files))
        return joined(first, second.result())

    def close(self) -> None:
        """End the process."""
        if self._executor is not None:
            self._executor.shutdown()


# What the second process works on, once it has begun.
_loaded: dict[str, Any] = {}


def _load(step: Step, item: Exercise | Milestone, further: Path | None) -> None:
    functions = [function for found in registered(step, item, further) for function in found]
    _loaded.update(step=step, item=item, checks=load_marked(step, "checks"), functions=functions)


def _second(number: int | None, seed: int, threads: int, files: Mapping[str, bytes]) -> Run:
    """Run the second part of a check on an implementation that is built for it."""
    torch.set_num_threads(threads)
    step, item, checks, functions = _loaded.values()
    if number is None:
        m = reference_implementation(step, item, checks)
    else:
        m = implementation(step, item, functions[number])
    return run_probe(checks, item.id, m, seed, files)
