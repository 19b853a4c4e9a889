"""Probe of one step of training (3.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coursekit.probe import at_most, cases, check, steps
from step3_pretrain.checks.observe import Bigrams, Descent, Output, is_stopped

V, RATE = 7, 0.5


def prepare(rng: Any) -> tuple[Bigrams, Descent]:
    """Return a model in evaluation mode and an optimizer of its weights."""
    model = Bigrams(rng.normal(V, V)).eval()
    return model, Descent(model.parameters(), RATE)


@check("3.3")
def training_step(m: Any, rng: Any) -> Any:
    model, optimizer = prepare(rng)
    ids = rng.integers(0, V, 3, 6)
    loss = m.training_step(model.train(), optimizer, ids.clone())
    yield "the loss of the batch before the step", loss
    yield "the weights after the step", model.table
    yield "the model is asked for the loss of ids with labels = ids: it shifts them itself", model.calls[:1]
    yield at_most("the model is asked once", len(model.calls), 1)
    yield "the optimizer steps once", optimizer.steps

    model, optimizer = prepare(rng)
    batches = rng.integers(0, V, 5, 2, 4)
    losses = [m.training_step(model.train(), optimizer, batch) for batch in batches]
    yield "five steps: the loss before each; a gradient counts once", torch.stack(losses)
    yield "the weights after five steps", model.table

    model, optimizer = prepare(rng)
    model.table.grad = rng.normal(V, V)
    m.training_step(model.train(), optimizer, ids)
    yield "gradients left over from before the first step play no part", model.table

    model, optimizer = prepare(rng)
    loss = m.training_step(model, optimizer, ids)
    yield "a model in evaluation mode trains all the same: dropout acts", [loss, model.training]
    yield (
        "the loss holds no graph",
        [getattr(loss, "requires_grad", None), getattr(loss, "grad_fn", None) is None],
    )

    for max_norm, claim in ((0.05, "a max_norm of 0.05"), (50.0, "a max_norm that no gradient reaches")):
        model, optimizer = prepare(rng)
        loss = m.training_step(model.train(), optimizer, ids, max_norm)
        yield f"{claim}: the loss, and the weights after the step", [loss, model.table]


class Line(nn.Module):
    """A model of one weight whose loss is w times the mean of the labels behind the first, and ten times that
    in training.
    """

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, ids: Tensor, labels: Tensor) -> Output:
        factor = 10 if self.training else 1
        return Output(ids, factor * self.w * labels[:, 1:].double().mean().float())


@cases("3.3")
def small_steps(m: Any) -> Any:
    """The output is the loss, whether it holds a graph, and the weight afterwards."""
    said = {"model": "loss = w * labels[:, 1:].mean(), times 10 in training", "optimizer": "w -= w.grad / 10"}
    for w, ids, before, is_training, max_norm in (
        (8.0, [[1, 1, 1]], None, True, None),
        (8.0, [[5, 1, 3]], None, True, None),
        (8.0, [[5, 1, 3]], None, False, None),
        (8.0, [[1, 1, 1]], 30.0, True, None),
        (8.0, [[1, 1, 1]], None, True, 5.0),
    ):
        model = Line(w).train(is_training)
        model.w.grad = None if before is None else torch.tensor(before)
        inputs: dict[str, Any] = said | {"ids": torch.tensor(ids), "max_norm": max_norm}
        inputs |= {"w": w, "w.grad": before, "model.training": is_training}
        loss = m.training_step(model, Descent(model.parameters(), 0.1), torch.tensor(ids), max_norm)
        yield inputs, loss if is_stopped(loss) else (loss, getattr(loss, "requires_grad", None), model.w)
    model, batch = Line(8.0), torch.tensor([[1, 1, 1]])
    optimizer = Descent(model.parameters(), 0.1)
    losses = [m.training_step(model, optimizer, batch) for _ in range(2)]
    yield said | {"ids": batch, "w": 8.0, "calls": 2}, (*losses, model.w)


@steps("3.3")
def on_the_way(m: Any, rng: Any) -> Any:
    """with a gradient left over from before"""
    model, optimizer = prepare(rng)
    model.table.grad = rng.normal(V, V)
    seen: dict[str, Tensor] = {}
    step = optimizer.step

    def noting() -> None:
        step()
        if model.table.grad is not None:
            seen.setdefault("gradient", model.table.grad.clone())

    optimizer.step = noting  # type: ignore[method-assign]
    loss = m.training_step(model, optimizer, rng.integers(0, V, 2, 4))
    (ids, labels), (is_training, _) = model.calls[0], model.modes[0]
    yield "training mode when the model is called", is_training
    yield "the ids that the model reads", ids
    yield "its labels", labels
    yield "the gradient when the optimizer steps", seen.get("gradient")
    yield "the weights afterwards", model.table
    yield "the loss that is returned", loss
