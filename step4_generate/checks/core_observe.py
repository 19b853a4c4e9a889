"""What the probes of step 4 hand in: a model that one can see through, and global generators that are
watched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Output(NamedTuple):
    """What the models of step 2 return."""

    logits: Tensor
    loss: Tensor | None = None
    aux_loss: Tensor | None = None


class Past:
    """What the stand-in model keeps of a text: how long it is, and the sum that stands for it."""

    def __init__(self) -> None:
        self.length = 0
        self.sum: Tensor | None = None

    def __len__(self) -> int:
        return self.length


class Summing(nn.Module):
    """A model without arithmetic to get wrong: row s mod M of a table answers for a text whose sum is s.

    The sum is that of (position + 1) · (id + 1), so that every token counts, and where it stands: a token
    that is missing, doubled or moved leads to another row. In training each answer is that of the next
    token over. It reads at most `limit` positions. `lengths` holds how many each call brought, `modes`
    whether it trained and whether gradients were tracked.
    """

    def __init__(self, table: Tensor, limit: int) -> None:
        super().__init__()
        self.table = nn.Parameter(table.clone())
        self.limit = limit
        self.lengths: list[int] = []
        self.modes: list[tuple[bool, bool]] = []

    def new_cache(self) -> list[Past]:
        return [Past()]

    def forward(self, ids: Tensor, labels: Any = None, cache: list[Past] | None = None) -> Output:
        self.lengths.append(ids.shape[1])
        self.modes.append((self.training, torch.is_grad_enabled()))
        past = Past() if cache is None else cache[0]
        start, end = len(past), len(past) + ids.shape[1]
        if end > self.limit:
            rule = f"past and new tokens must fit into {self.limit} positions"
            raise ValueError(f"{rule}, got {start} and {ids.shape[1]}")
        sums = self.weigh(ids, torch.arange(start, end)).cumsum(dim=1)
        if past.sum is not None:
            sums = sums + past.sum
        past.length, past.sum = end, sums[:, -1:]
        logits = self.table[sums % len(self.table)]
        return Output(logits.roll(1, dims=-1) if self.training else logits)

    def weigh(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Return what each token adds to the sum."""
        return (positions + 1) * (ids + 1)


class Adding(Summing):
    """A model whose text can be computed in the head: each next digit is the last one of the sum of all."""

    def __init__(self, limit: int = 20) -> None:
        super().__init__(5 * torch.eye(10), limit)

    def weigh(self, ids: Tensor, positions: Tensor) -> Tensor:
        return ids


def fix_chance(seed: int) -> None:
    """Seed torch's own generator, so that what is drawn from it can be drawn again."""
    torch.manual_seed(seed)


def generator_of(seed: int) -> torch.Generator:
    """Return a generator in the state that follows from a seed."""
    return torch.Generator().manual_seed(seed)


class Global:
    """torch's own generator as it is now; `is_moved` tells whether something has drawn from it since."""

    def __init__(self) -> None:
        self.state = self._digest()

    def is_moved(self) -> bool:
        return self._digest() != self.state

    @staticmethod
    def _digest() -> str:
        return hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()


def refusal(call: Callable[[], Any]) -> str:
    """Return the type of what a call raises, or "no error"."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whichever it is, is what is asked
        return type(error).__name__
    return "no error"


@contextmanager
def unchanged(*tensors: Tensor) -> Iterator[list[bool]]:
    """Fill the list, at the end, with whether each tensor is what it was."""
    before, told = [tensor.clone() for tensor in tensors], list[bool]()
    yield told
    told += [torch.equal(old, new) for old, new in zip(before, tensors)]


def is_stopped(value: Any) -> bool:
    """Tell whether a value stands for a call that raised, as it does in the small cases of a hunt."""
    return type(value).__name__ == "Stopped"
