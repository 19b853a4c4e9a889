"""Decoders that read whole blocks or one document at a time, trained on the same stream."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from step2_model.model_solution import Transformer
from step3_pretrain.experiments import further_runs as runs
from step3_pretrain.model_solution import AdamW, document_batches

OfIds = Callable[[Tensor, int], Tensor]


def model(kind: type[Transformer] = Transformer, seed: int = 0) -> Transformer:
    """Return the chapter's small model; a `DocumentTransformer` is told where documents end."""
    made: Any = runs.small_model(seed, kind)
    if hasattr(made, "end_of_text"):
        made.end_of_text = runs.text().end_of_text
    return cast("Transformer", made)


def loss_with(labels_of: OfIds, model: Any, ids: Tensor) -> Tensor:
    """Return the loss over the labels that `labels_of(ids, end_of_text)` gives."""
    loss: Tensor = model(ids, labels=labels_of(ids, runs.text().end_of_text)).loss
    return loss


def trained(
    kind: type[Transformer] = Transformer, labels_of: OfIds | None = None, seed: int = 0, steps: int = 80
) -> Transformer:
    """Return the small model after so many steps on blocks of 128 tokens; COURSE_BUDGET cuts them down."""
    made = model(kind, seed)
    optimizer, steps = AdamW(made.parameters(), 1e-2), runs.budgeted(steps)
    loss_of = runs.loss_of if labels_of is None else partial(loss_with, labels_of)
    runs.learn(made, optimizer, range(steps), runs.falling(steps), seed=seed, size=128, loss_of=loss_of)
    return made


@torch.no_grad()
def first_and_rest(model: Transformer) -> tuple[float, float]:
    """Return the mean surprise in nats at the first token of a held-out document, and at all others."""
    model.eval()
    first, rest, count = 0.0, 0.0, 0
    end = runs.text().end_of_text
    for ids, labels in document_batches(runs.text().held_out, end, 512):
        surprise = -model(ids).logits[:, :-1].log_softmax(dim=-1)
        surprise = surprise.gather(-1, ids[:, 1:, None]).squeeze(-1)
        counts = labels[:, 1:] != -100
        first += surprise[:, 0].sum().item()
        rest += (surprise * counts)[:, 1:].sum().item()
        count += int(counts.sum())
    documents = len(runs.text().held_out)
    return first / documents, rest / (count - documents)


def share_across(mask_of: OfIds, size: int = 128, batches: int = 20) -> float:
    """Return which share of the pairs that a causal mask allows stand in two documents."""
    ids = torch.cat([runs.text().blocks(step, size=size) for step in range(batches)])
    inside = mask_of(ids, runs.text().end_of_text).sum()
    return 1 - float(inside) / (len(ids) * size * (size + 1) / 2)
