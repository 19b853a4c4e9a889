"""A model that one can see through, for the probes of the further chapter: every token leaves an echo.

It answers as the models of step 2 do, with positions, padding and caches, and counts what it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Output(NamedTuple):
    """What the models of step 2 return."""

    logits: Tensor
    loss: Tensor | None = None
    aux_loss: Tensor | None = None


class Heard:
    """The ids that a model has read, (B, S, 1), kept under the names of step 2's caches.

    It can be cut in either way: by `length`, or by replacing `k` and `v` with a part of them.
    """

    def __init__(self) -> None:
        self.k: Tensor | None = None
        self.v: Tensor | None = None
        self.length = 0

    def __len__(self) -> int:
        return 0 if self.k is None else min(self.length, self.k.shape[-2])

    def append(self, k: Tensor, v: Tensor) -> None:
        past = len(self)
        self.k = k if self.k is None else torch.cat([self.k[..., :past, :], k], dim=-2)
        self.v = self.k
        self.length = past + v.shape[-2]

    def read(self) -> Tensor:
        assert self.k is not None
        return self.k[..., : len(self), :]


class Echo(nn.Module):
    """Adds up what each token wants to come next, `table[token]`, the nearer the louder, and what each
    position wants, `places[position]`.

    An echo fades by `decay` with each position. The first `padding[b]` tokens of row b are not heard, and
    positions begin behind them. In training every second logit is dropped. `calls` holds the shape of the ids
    of each call, `modes` whether it trained and whether gradients were tracked.
    """

    def __init__(self, table: Tensor, places: Tensor, decay: float = 0.6) -> None:
        super().__init__()
        self.table, self.places = nn.Parameter(table.clone()), nn.Parameter(places.clone())
        self.decay = decay
        self.args = SimpleNamespace(max_seq_len=len(places))
        self.calls: list[tuple[int, ...]] = []
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, ids: Tensor, cache: Any = None, padding: Tensor | None = None) -> Output:
        self.calls.append(tuple(ids.shape))
        self.modes.append((self.training, torch.is_grad_enabled()))
        past, T = (0 if cache is None else len(cache[0])), ids.shape[1]
        if past + T > len(self.places):
            raise ValueError(f"past and new tokens must fit into {len(self.places)}, got {past} and {T}")
        if cache is not None:
            cache[0].append(ids.unsqueeze(-1), ids.unsqueeze(-1))
            ids = cache[0].read().squeeze(-1)
        hidden = torch.zeros(len(ids), 1, dtype=torch.int64) if padding is None else padding[:, None]
        positions = torch.arange(ids.shape[1]) - hidden
        weights = self.weights(ids.shape[1])[past:] * (positions >= 0)[:, None]
        logits = weights @ self.table[ids] + self.places[positions[:, past:].clamp(min=0)]
        return Output(logits * (torch.arange(logits.shape[-1]) % 2) if self.training else logits)

    def weights(self, S: int) -> Tensor:
        """Return how loud each of S tokens is at each of S positions, (S, S)."""
        distance = torch.arange(S)[:, None] - torch.arange(S)
        return (self.decay ** distance.clamp(min=0).float()).tril()

    def new_cache(self) -> list[Heard]:
        return [Heard()]

    def positions_read(self) -> int:
        """Return how many tokens the model was asked to read in all, over all rows."""
        return sum(rows * columns for rows, columns in self.calls)


def draw_echo(rng: Any, V: int = 11, length: int = 24, decay: float = 0.6, scale: float = 2.0) -> Echo:
    """Return a model with drawn tables, whose most probable token depends on all that it reads, and where."""
    return Echo(rng.normal(V, V, std=scale), rng.normal(length, V, std=scale), decay).eval()


def table_model(table: Tensor, length: int = 12) -> Echo:
    """Return a model that looks at the last token alone: the logits of the next are its row of the table."""
    return Echo(table, torch.zeros(length, table.shape[-1]), decay=0.0)


def ending(call: Callable[[], Any]) -> str:
    """Say how a call ends: with a ValueError or without."""
    try:
        call()
    except ValueError:
        return "ValueError"
    return "no exception"
