"""3.4, bits per byte: known mistakes and accepted variants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.probe import mistake, variant

NONE = -100
Batches = Iterable[tuple[Tensor, Tensor]]


def predicted(labels: Tensor) -> int:
    """Return how many labels of a batch are predicted."""
    return int((labels[:, 1:] != NONE).sum())


def losses(
    model: nn.Module, batches: Batches, count: Callable[[Tensor], int] = predicted
) -> list[tuple[float, int]]:
    """Return the loss of every batch and how many labels it stands for, with evaluation mode and without
    gradients.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = [(model(ids, labels=labels).loss.item(), count(labels)) for ids, labels in batches]
    model.train(was_training)
    return found


def total(found: Sequence[tuple[float, int]]) -> float:
    """Return the sum of surprise in nats."""
    return math.fsum(loss * count for loss, count in found)


@mistake("3.4")
def mean_of_means(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your measure is made from the mean of the batches' means. A last batch with few tokens has as much say
    as a full one: weigh each mean with the number of tokens behind it.
    """
    found = losses(model, batches)
    mean = sum(loss for loss, _ in found) / len(found)
    return mean * sum(count for _, count in found) / math.log(2) / num_bytes


@mistake("3.4")
def sum_of_means(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your measure adds up the batches' means. A mean says nothing of how many tokens it stands for: times
    their number it is the sum of surprise that you need.
    """
    return sum(loss for loss, _ in losses(model, batches)) / math.log(2) / num_bytes


@mistake("3.4")
def still_nats(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your measure is in nats: it is not divided by ln 2. Beside a compressor, which counts in bits, the
    model would look better by a factor of 1.44 than it is.
    """
    return total(losses(model, batches)) / num_bytes


@mistake("3.4")
def multiplied_by_ln_2(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your measure is multiplied by ln 2 where it should be divided. A bit is smaller than a nat, so that
    there are more of them.
    """
    return total(losses(model, batches)) * math.log(2) / num_bytes


@mistake("3.4")
def per_token(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your measure is in bits per token: the number of bytes plays no part in it. A tokenizer with longer
    tokens would look worse for no other reason.
    """
    found = losses(model, batches)
    return total(found) / math.log(2) / sum(count for _, count in found)


@mistake("3.4")
def counts_first_labels(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your count has the first label of each row in it. Nothing comes before it, so that it is never
    predicted: count the labels from the second on.
    """
    return total(losses(model, batches, lambda labels: int((labels != NONE).sum()))) / math.log(2) / num_bytes


@mistake("3.4")
def last_labels_left_out(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your count leaves out the last label of each row instead of the first. The position that predicts
    nothing is the last one; the label that nobody predicts is the first.
    """
    count = lambda labels: int((labels[:, :-1] != NONE).sum())  # noqa: E731
    return total(losses(model, batches, count)) / math.log(2) / num_bytes


@mistake("3.4")
def counts_padding(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your count has labels of -100 in it. They fill up short rows and are no part of the text: the loss is a
    mean without them, and its factor is their number without them, too.
    """
    return total(losses(model, batches, lambda labels: labels[:, 1:].numel())) / math.log(2) / num_bytes


@mistake("3.4")
def only_the_last(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your measure forgets all batches but the last: the sum begins anew with each of them."""
    return total(losses(model, batches)[-1:]) / math.log(2) / num_bytes


@mistake("3.4")
def in_training_mode(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your evaluation runs in training mode, if the model is in it. Dropout makes the model worse than it is,
    differently at every call, and draws from the generator on which the training goes on.
    """
    with torch.no_grad():
        found = [(model(ids, labels=labels).loss.item(), predicted(labels)) for ids, labels in batches]
    return total(found) / math.log(2) / num_bytes


@mistake("3.4")
def left_evaluating(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your evaluation leaves the model in evaluation mode. Training would go on without dropout, and nothing
    would say so.
    """
    found = losses(model, batches)
    model.eval()
    return total(found) / math.log(2) / num_bytes


@mistake("3.4")
def left_training(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your evaluation puts every model into training mode at its end. One that was in evaluation mode,
    because it is trained no more, would write with dropout from then on.
    """
    found = losses(model, batches)
    model.train()
    return total(found) / math.log(2) / num_bytes


@mistake("3.4")
def with_gradients(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your evaluation tracks gradients. Nobody asks for them, and what is kept for them takes several times
    the memory of the model's answers.
    """
    was_training = model.training
    model.eval()
    found = [(model(ids, labels=labels).loss.item(), predicted(labels)) for ids, labels in batches]
    model.train(was_training)
    return total(found) / math.log(2) / num_bytes


@mistake("3.4")
def reseeds(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your evaluation seeds the global generator. The training that goes on afterwards draws the same dropout
    after every evaluation, and how often you look decides what is learned.
    """
    torch.manual_seed(0)
    return total(losses(model, batches)) / math.log(2) / num_bytes


@mistake("3.4")
def clears_gradients(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your evaluation sets the model's gradients to zero. They belong to the training: between two halves
    of a batch that is accumulated, they are half the step.
    """
    model.zero_grad()
    return total(losses(model, batches)) / math.log(2) / num_bytes


@mistake("3.4")
def reads_twice(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """Your evaluation reads the batches twice, first to count and then to compute. An iterator is empty the
    second time: the model would be perfect, at 0 bits.
    """
    count = sum(predicted(labels) for _, labels in batches)
    found = losses(model, batches)
    share = [(loss, own / count) for loss, own in found]
    return math.fsum(loss * part for loss, part in share) * count / math.log(2) / num_bytes


@variant("3.4")
def by_inference_mode(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """inference_mode, the mode put back whatever happens, bits by log2(e)."""
    was_training, bits = model.training, []
    try:
        model.eval()
        with torch.inference_mode():
            for ids, labels in batches:
                count = labels[:, 1:].ne(NONE).sum()
                bits.append(float(model(ids, labels=labels).loss * count) * math.log2(math.e))
    finally:
        model.train(was_training)
    return math.fsum(bits) / num_bytes


@variant("3.4")
@torch.no_grad()
def weighted_mean(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """The mean over all tokens first, then tokens per byte."""
    was_training = model.training
    model.train(False)
    mean, count = 0.0, 0
    for ids, labels in batches:
        own = int(torch.count_nonzero(labels[:, 1:] + 100))
        count += own
        mean += (float(model(ids, labels=labels).loss) - mean) * own / count
    if was_training:
        model.train()
    return mean * (count / num_bytes) / math.log(2)


@variant("3.4")
def from_logits(model: nn.Module, batches: Batches, num_bytes: int) -> float:
    """The surprise of each token, from the logits, added up in float64."""
    was_training = model.training
    model.eval()
    nats = torch.zeros((), dtype=torch.float64)
    with torch.no_grad():
        for ids, labels in batches:
            logits: Any = model(ids, labels=labels).logits[:, :-1]
            each = F.cross_entropy(logits.double().flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")
            nats += each
    model.train(was_training)
    return nats.div(math.log(2) * num_bytes).item()
