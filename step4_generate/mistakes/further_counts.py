"""4.8b, frequency and presence: known mistakes and accepted variants."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.further_solution import count_tokens, penalize_counts


def counts_of(logits: Tensor, ids: Tensor, padding: Tensor | None) -> Tensor:
    """Return the counts in the dtype of the logits."""
    return count_tokens(ids, logits.shape[-1], padding).to(logits.dtype)


@mistake("4.8b")
def frequency_once(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Your frequency penalty is subtracted once: it counts every time that a token has occurred."""
    occurred = (counts_of(logits, ids, padding) > 0).to(logits.dtype)
    return logits - frequency * occurred - presence * occurred


@mistake("4.8b")
def presence_every_time(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Your presence penalty is subtracted for every time: it counts once, as soon as a token has occurred."""
    counts = counts_of(logits, ids, padding)
    return logits - frequency * counts - presence * counts


@mistake("4.8b", called="The two penalties are exchanged")
def exchanged(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """You have exchanged the two: `frequency` goes with the count, `presence` with whether there is one."""
    return penalize_counts(logits, ids, presence, frequency, padding)


@mistake("4.8b", called="The penalties are added, not subtracted")
def added(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """You add the penalties: what has occurred becomes more probable each time."""
    return penalize_counts(logits, ids, -frequency, -presence, padding)


@mistake("4.8b")
def padding_counts(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Your counts contain the padding: `padding` is not handed on to `count_tokens`."""
    return penalize_counts(logits, ids, frequency, presence)


@mistake("4.8b")
def whole_batch(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Your counts are those of all rows together: each row is penalized for what itself has said."""
    counts = counts_of(logits, ids, padding).sum(dim=0, keepdim=True)
    return logits - frequency * counts - presence * (counts > 0).to(logits.dtype)


@mistake("4.8b", called="The counts are divided by the length of the text")
def share_of_text(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """You divide the counts by the length of the text. `frequency` is subtracted for every single time,
    however long the text is.
    """
    counts = counts_of(logits, ids, padding)
    share = counts / counts.sum(dim=-1, keepdim=True).clamp(min=1)
    return logits - frequency * share - presence * (counts > 0).to(logits.dtype)


@mistake("4.8b")
def presence_for_all(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Your presence penalty is subtracted from every token, whether it has occurred or not: the softmax does
    not notice a number that all have in common.
    """
    return logits - frequency * counts_of(logits, ids, padding) - presence


@mistake("4.8b", called="The logits are divided where a penalty should be subtracted")
def as_factors(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """You divide logits where a penalty is to be subtracted: a logit of 0 would not be penalized at all, a
    negative one the wrong way.
    """
    counts = counts_of(logits, ids, padding)
    return logits / (1 + frequency * counts + presence * (counts > 0).to(logits.dtype))


@mistake("4.8b")
def another_dtype(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Your result is float32 whatever the logits are: counts are whole numbers, and a whole number times a
    fraction is float32. Bring the counts to the dtype of the logits first.
    """
    counts = count_tokens(ids, logits.shape[-1], padding)
    return logits - frequency * counts - presence * (counts > 0)


@mistake("4.8b", called="The logits that were handed in are changed")
def in_place(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """You write into the logits that were handed in: at the next look they are penalized already."""
    return logits.copy_(penalize_counts(logits, ids, frequency, presence, padding))


@variant("4.8b")
def one_hot(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Counts of its own, from one-hot rows of the places that count."""
    rows = F.one_hot(ids, logits.shape[-1])
    if padding is not None:
        rows = rows * (torch.arange(ids.shape[1])[:, None] >= padding[:, None, None])
    counts = rows.sum(dim=1)
    return (logits - (frequency * counts + presence * counts.clamp(max=1))).to(logits.dtype)


@variant("4.8b")
def in_loops(
    logits: Tensor, ids: Tensor, frequency: float = 0.0, presence: float = 0.0, padding: Tensor | None = None
) -> Tensor:
    """Place by place, with a set of what has occurred."""
    logits = logits.clone()
    for row in range(len(ids)):
        seen = set()
        for token in ids[row, 0 if padding is None else int(padding[row]) :].tolist():
            logits[row, token] -= frequency + (0.0 if token in seen else presence)
            seen.add(token)
    return logits
