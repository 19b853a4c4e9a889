"""Probes of gradient accumulation (3.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import torch
from torch.autograd.graph import saved_tensors_hooks

from coursekit.probe import cases, check

NONE = -100
Batch = tuple[torch.Tensor, torch.Tensor]


class Kept:
    """A tensor that a graph keeps for its way back. It goes when the graph is used up or forgotten."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


class TableLoss:
    """The loss of a model that is one table: row i holds the logits of what follows token i.

    `earlier` says of each call how many graphs of calls before it were still alive.
    """

    def __init__(self, m: Any, table: torch.Tensor) -> None:
        self.m, self.table = m, table.clone().requires_grad_()
        self.alive: WeakSet[Kept] = WeakSet()
        self.earlier: list[int] = []

    def __call__(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.earlier.append(len(self.alive))
        loss = self.m.next_token_loss(self.table[ids], labels)
        # A product with a constant keeps that constant, and nothing else: one for each graph.
        with saved_tensors_hooks(self._keep, lambda kept: kept.tensor):
            result: torch.Tensor = loss * torch.ones(())
        return result

    def _keep(self, tensor: torch.Tensor) -> Kept:
        kept = Kept(tensor)
        self.alive.add(kept)
        return kept


def draw(rng: Any, B: int, T: int, *gaps: tuple[int, int]) -> Batch:
    """Return a part of B rows of T tokens out of 7; at the gaps nothing is to be predicted."""
    ids = rng.integers(0, 7, B, T)
    labels = ids.clone()
    for row, position in gaps:
        labels[row, position] = NONE
    return ids, labels


def gradient(m: Any, table: torch.Tensor, batches: Sequence[Batch], before: float | None = None) -> Any:
    """Return the gradient that is there afterwards."""
    loss_of = TableLoss(m, table)
    if before is not None:
        loss_of.table.grad = torch.full_like(table, before)
    m.accumulate_gradients(loss_of, batches)
    return loss_of.table.grad


@check("3.9")
def accumulate_gradients(m: Any, rng: Any) -> Any:
    table = rng.normal(7, 7)
    even = [draw(rng, 2, 5) for _ in range(4)]
    wide, narrow = draw(rng, 5, 6), draw(rng, 1, 3)
    ragged = [draw(rng, 3, 5, (0, 3), (0, 4), (2, 1)), draw(rng, 2, 5, (1, 2)), narrow]
    first = [draw(rng, 4, 4, (0, 0), (1, 0), (2, 0)), draw(rng, 2, 5), draw(rng, 2, 4, (0, 3), (1, 3))]
    yield "one part: the gradient of its mean loss", gradient(m, table, even[:1])
    yield "two parts with equally many tokens: half of each", gradient(m, table, even[:2])
    yield (
        "30 tokens and 3 make 25 pairs and 2: each part counts by its share of them",
        gradient(m, table, [wide, narrow]),
    )
    yield "labels of -100 are no predicted tokens", gradient(m, table, ragged)
    yield (
        "the first label of a row is not asked for: -100 there changes nothing",
        gradient(m, table, first),
    )
    yield "gradients that are there already stay: the new ones are added", gradient(m, table, ragged, 0.5)
    loss_of = TableLoss(m, table)
    loss = m.accumulate_gradients(loss_of, [wide, *ragged])
    yield "the loss that comes back is the mean over all predicted tokens", loss
    yield "and has no graph", bool(getattr(loss, "requires_grad", None))
    yield "ids and labels are left as they were", (wide, ragged)

    loss_of = TableLoss(m, table)
    m.accumulate_gradients(loss_of, [*even, narrow])
    yield "graphs of earlier parts that are still alive when the next is asked for", loss_of.earlier
    silent = draw(rng, 2, 2, (0, 1), (1, 1))
    loss = m.accumulate_gradients(TableLoss(m, table), [wide, silent, narrow])
    yield "a part that predicts nothing adds nothing, not even NaN", loss


class WeightTimesMean:
    """A loss that can be computed in the head: w times the mean of the predicted labels, with w = 1."""

    def __init__(self) -> None:
        self.weight = torch.ones((), requires_grad=True)

    def __call__(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        predicted = labels[:, 1:]
        return self.weight * predicted[predicted != NONE].float().mean()


@cases("3.9")
def small_parts(m: Any) -> Any:
    """Outputs are the loss and the gradient of w."""
    for labels in (
        [[[0, 6]]],
        [[[0, 6]], [[0, 2]]],
        [[[0, 6]], [[0, 2, 2, 2]]],
        [[[0, 6]], [[0, 3], [0, 12]]],
        [[[0, 6, NONE, NONE]], [[0, 2, 4]]],
        [[[NONE, 6]], [[0, 2]]],
        [[[0, 6]], [[0, NONE]]],
        [[[0, 6]], [[0, 2, 2]], [[0, 1]]],
    ):
        parts = [torch.tensor(part) for part in labels]
        inputs = {"loss_of(ids, labels)": "w · mean of the predicted labels, w = 1"}
        shown = {f"labels of part {number}": part for number, part in enumerate(parts, start=1)}
        loss_of = WeightTimesMean()
        loss = m.accumulate_gradients(loss_of, [(part.clamp(min=0), part.clone()) for part in parts])
        yield {**inputs, **shown}, (loss, loss_of.weight.grad)
