"""Probe of mixed precision: the model under autocast (3.10a)."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import nn

from coursekit.chain import Chain
from coursekit.probe import cases, check, equal, steps
from step2_model.checks.observe import DEEP

HALVES = (torch.bfloat16, torch.float16)
NONE = -100


class Output(NamedTuple):
    """What a model returns."""

    logits: torch.Tensor
    loss: torch.Tensor | None
    aux_loss: torch.Tensor | None


class Watched(nn.Module):
    """A model of a table and a matrix. It notes in which dtype its product came out, whether it was asked for
    its own loss, and the dtype that its weights had at that moment.
    """

    def __init__(self, m: Any, table: torch.Tensor, matrix: torch.Tensor, has_aux: bool = False) -> None:
        super().__init__()
        self.m, self.has_aux = m, has_aux
        self.table, self.head = (
            nn.Parameter(table.clone()),
            nn.Linear(len(matrix), matrix.shape[1], bias=False),
        )
        self.head.weight = nn.Parameter(matrix.T.clone())
        self.products: list[str] = []
        self.weights: list[str] = []
        self.is_loss_asked: list[bool] = []

    def forward(self, ids: torch.Tensor, labels: torch.Tensor | None = None) -> Output:
        logits = self.head(self.table[ids])
        self.products.append(str(logits.dtype))
        self.weights.append(str(self.head.weight.dtype))
        self.is_loss_asked.append(labels is not None)
        loss = None if labels is None else self.m.next_token_loss(logits, labels)
        return Output(logits, loss, logits.square().mean() if self.has_aux else None)


def draw_model(m: Any, rng: Any, has_aux: bool = False) -> Watched:
    """Return a model of 9 tokens and 6 features whose products are exact in float32: only what is rounded to
    half precision is rounded, in whatever order it is summed.
    """
    table, matrix = (torch.round(256 * rng.uniform(-2, 2, *shape)) / 256 for shape in ((9, 6), (6, 9)))
    return Watched(m, table, matrix, has_aux)


def run_mixed(m: Any, model: nn.Module, ids: Any, labels: Any, dtype: torch.dtype) -> tuple[Any, int]:
    """Return the result, and how many warnings torch had on the way."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        output = m.forward_mixed(model, ids, labels, dtype)
    return output, len(told)


@check("3.10a")
def forward_mixed(m: Any, rng: Any) -> Any:
    ids = rng.integers(0, 9, 3, 5)
    labels = ids.clone()
    labels[0, 3] = labels[2, 1] = NONE
    model = draw_model(m, rng)
    model_in_float32 = model.products
    plain, told = run_mixed(m, model, ids, labels, torch.float32)
    yield "in float32: the model's logits", plain.logits
    yield "in float32: the loss from them", plain.loss
    for dtype in HALVES:
        model = draw_model(m, rng)
        output, _ = run_mixed(m, model, ids, labels, dtype)
        name = str(dtype).removeprefix("torch.")
        yield f"under autocast the model's product comes out in {name}", model.products
        yield f"{name}: the logits come back in float32", output.logits
        yield "the model is not asked for a loss of its own", model.is_loss_asked
        # Half precision may hit a loss by chance, but not that of every row.
        rows = [
            run_mixed(m, draw_model(m, rng), ids[b : b + 1], labels[b : b + 1], dtype)[0] for b in range(3)
        ]
        yield f"{name}: the loss is computed from them in float32", output.loss
        yield f"{name}: the loss of each row alone", [row.loss for row in rows]
        yield f"{name}: the model works with weights in float32", model.weights
        after = {name: parameter.dtype for name, parameter in model.named_parameters()}
        yield "and they are float32 afterwards", [str(kept) for kept in after.values()]
        yield "no backward yet: no weight has a gradient", [p.grad is None for p in model.parameters()]
    yield from backward_of(m, rng, ids, labels)
    yield "in float32 nothing is cast, and torch has nothing to warn of", (model_in_float32, told)
    yield "ids and labels are left as they were", (ids, labels)


def backward_of(m: Any, rng: Any, ids: Any, labels: Any) -> Any:
    """Yield what the caller does with the result: the gradients, and the auxiliary loss."""
    model = draw_model(m, rng, has_aux=True)
    output, _ = run_mixed(m, model, ids, labels, torch.bfloat16)
    yield "aux_loss is what the model returned", output.aux_loss
    if isinstance(output.loss, torch.Tensor) and output.loss.requires_grad:
        output.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    yield equal("a gradient reaches every weight, in float32", gradients, DEEP)


class Thirds(nn.Module):
    """Answers to token i its row of a table, each number times a third: so that rounding shows."""

    def __init__(self, m: Any, table: torch.Tensor) -> None:
        super().__init__()
        self.m, self.third = m, nn.Linear(1, 1, bias=False)
        self.table = nn.Parameter(table)
        nn.init.constant_(self.third.weight, 1 / 3)

    def forward(self, ids: torch.Tensor, labels: torch.Tensor | None = None) -> Output:
        logits = self.third(self.table[ids].unsqueeze(-1)).squeeze(-1)
        loss = None if labels is None else self.m.next_token_loss(logits, labels)
        return Output(logits, loss, logits.sum())


@cases("3.10a")
def small_forwards(m: Any) -> Any:
    """Outputs are logits, loss, aux_loss, and what the weights are afterwards."""
    table = [[6.0, 1.0, 4.0], [1.0, 3.0, 8.0], [5.0, 7.0, 2.0]]
    for dtype in (torch.float32, *HALVES):
        for ids, labels in (([[0, 1]], [[0, 1]]), ([[0, 1, 2]], [[0, NONE, 2]])):
            model = Thirds(m, torch.tensor(table))
            shown = {"model": "token i gives row i of a table, times 1/3; aux_loss: their sum"}
            inputs = {"ids": torch.tensor(ids), "labels": torch.tensor(labels), "dtype": str(dtype)}
            output, told = run_mixed(m, model, inputs["ids"], inputs["labels"], dtype)
            grads = {str(p.dtype) for p in model.parameters() if p.grad is not None}
            after = [str(model.table.dtype), f"{told} warnings", *sorted(grads)]
            yield {**inputs, **shown, "table": torch.tensor(table)}, (*to_tuple(output), after)


def to_tuple(output: Any) -> tuple[Any, Any, Any]:
    """Return the parts of a result."""
    return output.logits, output.loss, output.aux_loss


@steps("3.10a")
def chain_of_mixed(m: Any, rng: Any) -> Any:
    """in bfloat16"""
    model = draw_model(m, rng, has_aux=True)
    ids = rng.integers(0, 9, 2, 4)
    chain = Chain(1e-6)
    chain.reads("the model reads", model)
    chain.returns("its matrix returns, in bfloat16", model.head)
    chain.calls(m, "next_token_loss", "next_token_loss reads")
    yield from chain.of(lambda: m.forward_mixed(model, ids, ids, torch.bfloat16).loss, "the loss")
