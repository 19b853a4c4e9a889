"""3.9, gradient accumulation: known mistakes with the shares, the graphs and the loss, and variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from coursekit.probe import mistake, variant

NONE = -100
Loss = Callable[[Tensor, Tensor], Tensor]
Batches = Sequence[tuple[Tensor, Tensor]]


def predicted(labels: Tensor) -> int:
    """Return how many tokens of a part are predicted."""
    return int((labels[:, 1:] != NONE).sum())


def add(loss_of: Loss, batches: Batches, weights: Sequence[float]) -> Tensor:
    """Add the gradients of the weighted losses one after another; return their sum."""
    total = torch.zeros(())
    for (ids, labels), weight in zip(batches, weights):
        loss = loss_of(ids, labels) * weight
        loss.backward()
        total = total + loss.detach()
    return total


def shares(counts: Sequence[int]) -> list[float]:
    """Return the share of each count in the sum of all."""
    return [count / sum(counts) for count in counts]


def right_shares(batches: Batches) -> list[float]:
    """Return the share of each part in all predicted tokens."""
    return shares([predicted(labels) for _, labels in batches])


@mistake("3.9")
def mean_of_means(loss_of: Loss, batches: Batches) -> Tensor:
    """Your gradients are the mean of the parts' means: each part counts alike. A token in a part with few
    tokens then has more say than one in a full part, and the step is not that of one large batch.
    """
    return add(loss_of, batches, [1 / len(batches)] * len(batches))


@mistake("3.9")
def summed(loss_of: Loss, batches: Batches) -> Tensor:
    """Your gradients are the sum of those of the parts, undivided. With k parts the step is about k times as
    long as that of one large batch, and the learning rate would have to change with k.
    """
    return add(loss_of, batches, [1.0] * len(batches))


@mistake("3.9")
def summed_over_tokens(loss_of: Loss, batches: Batches) -> Tensor:
    """Your losses are multiplied by their tokens and never divided by all of them. That is the gradient of a
    sum over the batch: it grows with the batch.
    """
    return add(loss_of, batches, [float(predicted(labels)) for _, labels in batches])


@mistake("3.9")
def by_ids(loss_of: Loss, batches: Batches) -> Tensor:
    """Your shares count ids, B · T of them. Predicted are fewer: no row's first token, and none whose label
    is -100. A part full of padding would weigh as much as a full one.
    """
    return add(loss_of, batches, shares([ids.numel() for ids, _ in batches]))


@mistake("3.9")
def by_labels_unshifted(loss_of: Loss, batches: Batches) -> Tensor:
    """Your shares count all labels that are not -100, the first of each row among them. It is never
    predicted: nothing stands before it. Count labels[:, 1:].
    """
    return add(loss_of, batches, shares([int((labels != NONE).sum()) for _, labels in batches]))


@mistake("3.9")
def by_pairs_with_padding(loss_of: Loss, batches: Batches) -> Tensor:
    """Your shares count all pairs, B · (T - 1), those whose label is -100 among them. The loss of a part is a
    mean over the others alone.
    """
    return add(loss_of, batches, shares([labels[:, 1:].numel() for _, labels in batches]))


@mistake("3.9")
def cut_at_the_end(loss_of: Loss, batches: Batches) -> Tensor:
    """Your shares leave out the last label of each row instead of the first. The last token is predicted; the
    first is not. Count labels[:, 1:].
    """
    counts = [int((labels[:, :-1] != NONE).sum()) for _, labels in batches]
    return add(loss_of, batches, shares(counts))


@mistake("3.9")
def by_rows(loss_of: Loss, batches: Batches) -> Tensor:
    """Your shares count rows. Rows of different lengths hold unequally many tokens, and each token is to have
    the same say.
    """
    return add(loss_of, batches, shares([len(ids) for ids, _ in batches]))


@mistake("3.9")
def share_so_far(loss_of: Loss, batches: Batches) -> Tensor:
    """Your shares divide by the tokens seen so far, not by those of all parts: the first part counts in full.
    Count all parts before the first backward.
    """
    counts = [predicted(labels) for _, labels in batches]
    return add(loss_of, batches, [count / sum(counts[: i + 1]) for i, count in enumerate(counts)])


@mistake("3.9")
def nan_of_nothing(loss_of: Loss, batches: Batches) -> Tensor:
    """Your loop asks for the loss of a part that predicts nothing. Its mean is NaN, and 0 times NaN is NaN:
    the loss that comes back is no number, and with some losses no gradient is. Leave such a part out.
    """
    return add(loss_of, batches, right_shares(batches))


@mistake("3.9")
def one_backward(loss_of: Loss, batches: Batches) -> Tensor:
    """Your losses are added up before one backward at the end: the graphs of all parts are alive at once. The
    numbers are right, but the memory is that of the large batch, which accumulation was to save.
    """
    weighted = [loss_of(*part) * share for part, share in zip(batches, right_shares(batches))]
    total = torch.stack(weighted).sum()
    total.backward()
    return total.detach()


@mistake("3.9")
def retained(loss_of: Loss, batches: Batches) -> Tensor:
    """Your backward keeps its graph (retain_graph=True). It is still there while the next part is computed,
    so that two are alive at a time. Nobody goes back a second time.
    """
    total = torch.zeros(())
    for (ids, labels), share in zip(batches, right_shares(batches)):
        loss = loss_of(ids, labels) * share
        loss.backward(retain_graph=True)
        total = total + loss.detach()
    return total


@mistake("3.9")
def loss_with_graph(loss_of: Loss, batches: Batches) -> Tensor:
    """Your loss comes back with a graph: it was added up without detach. Whoever keeps it for a curve keeps
    the nodes of every step.
    """
    total = torch.zeros(())
    for (ids, labels), share in zip(batches, right_shares(batches)):
        loss = loss_of(ids, labels) * share
        loss.backward()
        total = total + loss
    return total


@mistake("3.9")
def last_loss(loss_of: Loss, batches: Batches) -> Tensor:
    """Your gradients are right, but the loss that comes back is the last part's own. A curve of it would be
    as noisy as small batches are.
    """
    loss = torch.zeros(())
    for (ids, labels), share in zip(batches, right_shares(batches)):
        loss = loss_of(ids, labels)
        (loss * share).backward()
    return loss.detach()


@mistake("3.9")
def mean_of_means_told(loss_of: Loss, batches: Batches) -> Tensor:
    """Your gradients are right, but the loss that comes back is the mean of the parts' means. It is not the
    loss whose gradient they are: weigh each by its share of the tokens.
    """
    losses = []
    for (ids, labels), share in zip(batches, right_shares(batches)):
        loss = loss_of(ids, labels)
        (loss * share).backward()
        losses.append(loss.detach())
    return torch.stack(losses).mean()


@variant("3.9")
def gradient_handed_in(loss_of: Loss, batches: Batches) -> Tensor:
    """The share as the gradient that backward begins with; the loss as a sum over tokens, divided last."""
    counts = [predicted(labels) for _, labels in batches]
    total = 0.0
    for (ids, labels), count in zip(batches, counts):
        if count:
            loss = loss_of(ids, labels)
            loss.backward(torch.tensor(count / sum(counts)))
            total += loss.item() * count
    return torch.tensor(total / sum(counts))


@variant("3.9")
def counted_with_loops(loss_of: Loss, batches: Batches) -> Tensor:
    """Tokens counted one by one, losses kept in a list."""
    counts = [sum(label != NONE for row in labels.tolist() for label in row[1:]) for _, labels in batches]
    losses = [torch.zeros(())]
    for (ids, labels), count in zip(batches, counts):
        if count > 0:
            loss = count * loss_of(ids, labels) / sum(counts)
            loss.backward()
            losses.append(loss.detach())
    return torch.stack(losses).sum()


@variant("3.9")
def in_a_mean_that_grows(loss_of: Loss, batches: Batches) -> Tensor:
    """Sums over tokens divided by all tokens; the loss as a running mean."""
    counts = torch.tensor([(labels[:, 1:] >= 0).sum() for _, labels in batches])
    mean, seen = torch.zeros(()), 0
    for (ids, labels), count in zip(batches, counts.tolist()):
        if not count:
            continue
        loss = loss_of(ids, labels)
        (loss * count).div(counts.sum()).backward()
        seen += count
        mean = mean + (loss.detach() - mean) * (count / seen)
    return mean
