"""Whose code a run is computed by: the learner's files as they are saved, or the reference under those names.

Nothing stands in for what is not written: a run that meets an unfinished exercise ends in that exercise's own
sentence, which says how to go on.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from coursekit.loading import load
from coursekit.mine import Part, Parts
from coursekit.registry import find_step
from step3_pretrain.trainer.errors import CannotTrain

TEXT, MODEL, TRAINING = "step1_tokenizer", "step2_model", "step3_pretrain"


class Chain:
    """Tokenizer, model and training by one author; every file is loaded when its first part is needed."""

    def __init__(self, is_reference: bool) -> None:
        self.is_reference = is_reference
        self._loaded: dict[tuple[str, str], ModuleType] = {}

    def file(self, step: str, trio: str = "model") -> Any:
        """Return one file of a step as a module. Raises CannotTrain where it is missing, CannotLoad where
        it cannot run.
        """
        if (step, trio) not in self._loaded:
            if self.is_reference:
                self._loaded[step, trio] = importlib.import_module(f"{step}.{trio}_solution")
            else:
                self._loaded[step, trio] = _learners(step, trio)
        return self._loaded[step, trio]

    @property
    def text(self) -> Any:
        """The tokenizer of step 1."""
        return self.file(TEXT)

    @property
    def model(self) -> Any:
        """The decoder of step 2."""
        return self.file(MODEL)

    @property
    def full_model(self) -> Any:
        """What lies beyond the core of step 2: experts, query compression, YaRN."""
        return self.file(MODEL, "further")

    @property
    def core(self) -> Any:
        """The core of step 3."""
        return self.file(TRAINING)

    @property
    def further(self) -> Any:
        """What lies beyond the core of step 3: accumulation, mixed precision, Muon."""
        return self.file(TRAINING, "further")

    def parts(self) -> Iterator[Part]:
        """Yield the exercises of all files loaded so far, with whose code each of them is."""
        for module in self._loaded.values():
            parts: Parts | None = getattr(module, "__dict__", {}).get("__parts__")
            if parts is not None:
                yield from parts.all


def _learners(step_name: str, trio: str) -> ModuleType:
    step = find_step(step_name)
    path = step.trio_files(trio)[0]
    if not path.exists():
        raise CannotTrain(
            f"{path.parent.name}/{path.name} is missing: `course reset {step.folder}` puts a fresh one "
            "there; --solution does without"
        )
    return load(path, step, trio, stand_in=False)
