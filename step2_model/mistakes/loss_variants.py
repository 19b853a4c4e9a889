"""2.4d, the loss: accepted variants."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import variant

NONE = -100


@variant("2.4d")
def by_log_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """log_softmax and gather, weighted by the mask."""
    log_p, labels = logits[:, :-1].log_softmax(dim=-1), labels[:, 1:]
    counted = labels.ne(NONE)
    chosen = torch.gather(log_p, 2, labels.clamp(min=0)[..., None])[..., 0]
    return -(chosen * counted).sum() / counted.sum()


@variant("2.4d")
def by_logsumexp(logits: Tensor, labels: Tensor) -> Tensor:
    """Pairs that do not count are taken out first."""
    flat, targets = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    keep = targets != NONE
    flat, targets = flat[keep], targets[keep]
    return (torch.logsumexp(flat, dim=1) - flat[torch.arange(len(targets)), targets]).mean()


@variant("2.4d")
def by_one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    """The right logit by a product with a one-hot row."""
    logits, labels = logits[:, :-1, :], labels[:, 1:]
    counted = (labels >= 0).to(logits.dtype)
    wanted = F.one_hot(labels.clamp(min=0), logits.shape[-1]).to(logits.dtype)
    logits = logits - logits.max(dim=-1, keepdim=True).values
    surprise = logits.exp().sum(-1).log() - (logits * wanted).sum(-1)
    return (surprise * counted).sum() / counted.sum()


@variant("2.4d")
def pair_by_pair(logits: Tensor, labels: Tensor) -> Tensor:
    """Loops over texts and positions."""
    found = []
    for row, ids in zip(logits, labels):
        for t in range(len(ids) - 1):
            if (token := int(ids[t + 1])) != NONE:
                largest = row[t].max().detach()
                found.append(largest + (row[t] - largest).exp().sum().log() - row[t, token])
    return sum(found[1:], start=found[0]) / len(found)


@variant("2.4d")
def in_float64(logits: Tensor, labels: Tensor) -> Tensor:
    """Float64 inside; the last position gets a label of -100 instead of being cut off."""
    wide = logits.double()
    labels = F.pad(labels[:, 1:], (0, 1), value=NONE)
    counted = labels != NONE
    surprise = wide.logsumexp(-1) - wide.take_along_dim(labels.where(counted, 0)[..., None], -1)[..., 0]
    return torch.where(counted, surprise, 0.0).sum().div(counted.sum()).to(logits.dtype)
