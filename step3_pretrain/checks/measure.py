"""Probe of the measure that does not depend on the tokenizer (3.4)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.probe import cases, check, steps
from step3_pretrain.checks.observe import Bigrams, Generators, Output, fix_chance, is_stopped

NONE, V = -100, 7


def rows(rng: Any, *counted: int) -> tuple[Tensor, Tensor]:
    """Return ids and labels of rows of which so many labels count, the first of each row among them."""
    T = max(counted)
    ids = rng.integers(0, V, len(counted), T)
    labels = torch.where(torch.arange(T) < torch.tensor(counted).unsqueeze(1), ids, NONE)
    return ids, labels


@check("3.4")
def evaluate(m: Any, rng: Any) -> Any:
    model = Bigrams(rng.normal(V, V)).eval()
    even, short, long = rows(rng, 6, 6, 6), rows(rng, 2, 3), rows(rng, 9, 4, 5, 9)
    yield "one batch: nats to bits, over the number of bytes", m.evaluate(model, [even], 40)
    yield "the text of half as many bytes: twice as many bits on each", m.evaluate(model, [even], 20)
    yield (
        "labels of -100 do not count, and neither does the first of a row, which nobody predicts",
        m.evaluate(model, [long], 40),
    )
    first = long[0], torch.cat([torch.full((4, 1), NONE), long[1][:, 1:]], dim=1)
    yield "a first label of -100 changes nothing", m.evaluate(model, [first], 40)
    yield "unequal batches: every token has the same say", m.evaluate(model, [even, short, long], 90)
    yield "batches that can be read only once", m.evaluate(model, iter([even, short, long]), 90)

    training = Bigrams(rng.normal(V, V)).train()
    yield "a model that is in training: dropout is off all the same", m.evaluate(training, [even, long], 60)
    yield "and it is in training again afterwards", training.training
    m.evaluate(model, [even], 40)
    yield "a model that was in evaluation mode stays in it", model.training

    training.table.grad = rng.normal(V, V)
    training.modes.clear()
    table, gradient = training.table.detach().clone(), training.table.grad.clone()
    fix_chance(rng.integer(0, 2**31))
    generators = Generators()
    m.evaluate(training, [even, short], 30)
    yield "no gradient is tracked while the model computes", [tracked for _, tracked in training.modes]
    same = torch.equal(training.table, table), torch.equal(training.table.grad, gradient)
    yield "weights and gradients are left as they were", same
    yield "global generators that are seeded or moved", generators.moved()


class Bits(nn.Module):
    """A model that gives token 0 half of the probability, token 1 a quarter, tokens 2 and 3 an eighth each,
    whatever came before; in training it gives all the same.
    """

    def forward(self, ids: Tensor, labels: Tensor) -> Output:
        bits = torch.tensor([2.0, 2.0, 2.0, 2.0] if self.training else [1.0, 2.0, 3.0, 3.0])
        logits = (-math.log(2) * bits).expand(*ids.shape, 4)
        return Output(logits, F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()))


@cases("3.4")
def small_measures(m: Any) -> Any:
    """The output is the measure and the mode of the model afterwards."""
    said = "tokens 0, 1, 2, 3 cost 1, 2, 3, 3 bits, in training 2 each"
    for batches, num_bytes, is_training in (
        ([[[0, 1]]], 1, False),
        ([[[3, 0, 0]]], 2, False),
        ([[[3, 0, 0, NONE]]], 2, False),
        ([[[3, 0, 0, NONE], [1, 2, 2, 2]]], 10, False),
        ([[[3, 0, 0]], [[0, 2]]], 2, False),
        ([[[3, 0, 0]], [[0, 2]]], 2, True),
    ):
        labels = [torch.tensor(batch) for batch in batches]
        inputs: dict[str, Any] = {f"labels of batch {i}": batch for i, batch in enumerate(labels, start=1)}
        inputs |= {"num_bytes": num_bytes, "model": said, "model.training": is_training}
        model = Bits().train(is_training)
        found = m.evaluate(model, iter([(batch.clamp(min=0), batch) for batch in labels]), num_bytes)
        yield inputs, found if is_stopped(found) else (found, model.training)


@steps("3.4")
def on_the_way(m: Any, rng: Any) -> Any:
    """with a model that is in training"""
    model = Bigrams(rng.normal(V, V)).train()
    batches = [rows(rng, 4, 6), rows(rng, 3)]
    found = m.evaluate(model, batches, 50)
    yield "training mode when the model is called", [training for training, _ in model.modes]
    yield "whether gradients are tracked then", [tracked for _, tracked in model.modes]
    yield "the labels that it reads", [labels for _, labels in model.calls]
    yield "bits per byte", found
    yield "training mode afterwards", model.training
