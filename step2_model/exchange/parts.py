"""Whose classes a model is built from: the learner's, with the reference standing in, or the reference's."""

from __future__ import annotations

from types import ModuleType

from coursekit.loading import load
from coursekit.registry import find_step
from step2_model import further_solution, model_solution


class CannotDo(Exception):
    """What keeps a command from being done; the message is one sentence: rule, value, next step."""


def parts(solution: bool, trio: str = "model") -> ModuleType:
    """Return the learner's file of a trio as it is saved, or the reference."""
    if solution:
        return further_solution if trio == "further" else model_solution
    step = find_step("step2_model")
    path = step.trio_files(trio)[0]
    if not path.exists():
        raise CannotDo(
            f"{path.name} is missing: `course reset` puts a fresh one there; --solution does without"
        )
    return load(path, step, trio)
