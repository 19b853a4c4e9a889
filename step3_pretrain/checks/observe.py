"""What the probes of step 3 hand in: a model that one can see through, an optimizer, and global generators
that are watched.
"""

from __future__ import annotations

import builtins
import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Output(NamedTuple):
    """What the models of step 2 return."""

    logits: Tensor
    loss: Tensor
    aux_loss: Tensor | None = None


class Bigrams(nn.Module):
    """Predicts each token from the one before, with a table of logits; in training it drops every second
    logit and doubles the others, always the same ones, so that the mode shows.

    `calls` holds the ids and labels of every call, `modes` whether it trained and whether gradients were
    tracked.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table.clone())
        self.calls: list[tuple[Any, Any]] = []
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, ids: Tensor, labels: Tensor | None = None) -> Output:
        self.calls.append((ids.clone(), None if labels is None else labels.clone()))
        self.modes.append((self.training, torch.is_grad_enabled()))
        logits = self.table[ids]
        if self.training:
            logits = 2 * logits * (torch.arange(len(self.table)) % 2)
        if labels is None:
            return Output(logits, logits.sum())
        return Output(logits, F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()))


class Descent:
    """Plain gradient descent with the calls of torch's optimizers, which import for seconds at first use.

    `steps` counts its steps.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.state: dict[Any, Any] = {}
        self.steps = 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.param_groups[0]["params"]:
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def step(self) -> None:
        self.steps += 1
        with torch.no_grad():
            for parameter in self.param_groups[0]["params"]:
                if parameter.grad is not None:
                    parameter -= self.param_groups[0]["lr"] * parameter.grad


class ByHand(Descent):
    """An optimizer that takes the implementation's own steps of AdamW."""

    def __init__(self, m: Any, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr)
        self.m = m

    def step(self) -> None:
        with torch.no_grad():
            for number, parameter in enumerate(self.param_groups[0]["params"]):
                if parameter.grad is not None:
                    state = self.state.setdefault(number, {})
                    self.m.adamw_step(parameter, parameter.grad, state, self.param_groups[0]["lr"])


def fix_chance(seed: int) -> None:
    """Seed the global generators, so that code which draws from them, as right code does not, can be known
    again.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class Generators:
    """The global generators as they are now; `moved` names those that have been used or seeded since."""

    def __init__(self) -> None:
        self.states = _states()

    def moved(self) -> str:
        moved = [name for name, state in _states().items() if state != self.states[name]]
        return ", ".join(moved) or "none"


def _states() -> dict[str, str]:
    numpy_state: Any = np.random.get_state()
    return {
        "random": repr(random.getstate()),
        "numpy.random": str(numpy_state[2]) + _digest(numpy_state[1]),
        "torch": _digest(torch.get_rng_state().numpy()),
    }


def _digest(numbers: Any) -> str:
    return np.asarray(numbers).tobytes().hex()


@contextlib.contextmanager
def another_process() -> Iterator[None]:
    """Let `hash` of a text give another number, as it does in every new process of Python."""
    hash_here = builtins.hash
    builtins.hash = lambda value: hash_here((value, "salt") if _has_text(value) else value)
    try:
        yield
    finally:
        builtins.hash = hash_here


def _has_text(value: Any) -> bool:
    inside = isinstance(value, tuple | frozenset) and any(_has_text(item) for item in value)
    return inside or isinstance(value, str | bytes)


def is_stopped(value: Any) -> bool:
    """Tell whether a value stands for a call that raised, as it does in the small cases of a hunt."""
    return type(value).__name__ == "Stopped"
