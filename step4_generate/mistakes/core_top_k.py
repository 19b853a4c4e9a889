"""4.3, top-k: known mistakes and accepted variants."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.probe import mistake, variant

INF = float("inf")


def at_most(k: int, logits: Tensor) -> int:
    """Return k, or the size of the vocabulary if that is less."""
    return min(k, logits.shape[-1])


def only(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the logits of these tokens of each row, -inf for the others."""
    return torch.full_like(logits, -INF).scatter(-1, tokens, logits.gather(-1, tokens))


@mistake("4.3")
def ties_lost(logits: Tensor, k: int) -> Tensor:
    """Your cut leaves exactly k tokens, whatever is tied with the k-th. Which of equal tokens goes is then
    decided by their place in the vocabulary, about which the model has said nothing.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    return only(logits, logits.topk(at_most(k, logits), dim=-1).indices)


@mistake("4.3")
def kth_cut_off(logits: Tensor, k: int) -> Tensor:
    """Your cut takes the k-th token away, too: only logits above it stay. With k = 1 nothing is left, and a
    softmax of nothing is NaN.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.topk(at_most(k, logits), dim=-1).values[..., -1:]
    return logits.masked_fill(logits <= least, -INF)


@mistake("4.3")
def one_more(logits: Tensor, k: int) -> Tensor:
    """Your cut leaves k + 1 tokens. Places are counted from 0: the k-th largest stands at place k - 1."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.topk(at_most(k + 1, logits), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -INF)


@mistake("4.3")
def zeros(logits: Tensor, k: int) -> Tensor:
    """Your cut sets logits to 0. A logit of 0 is a probability like any other, and often a high one: only
    -inf becomes exactly 0 in the softmax.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.topk(at_most(k, logits), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, 0.0)


@mistake("4.3")
def large_instead_of_infinite(logits: Tensor, k: int) -> Tensor:
    """Your cut sets logits to a large negative number instead of -inf. It is not below all others: next to
    logits that are lower still, such a token comes back.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.topk(at_most(k, logits), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -1e9)


@mistake("4.3")
def least_probable(logits: Tensor, k: int) -> Tensor:
    """Your cut keeps the k smallest logits: it is sorted the other way round."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    greatest = logits.topk(at_most(k, logits), dim=-1, largest=False).values[..., -1:]
    return logits.masked_fill(logits > greatest, -INF)


@mistake("4.3")
def whole_batch(logits: Tensor, k: int) -> Tensor:
    """Your cut looks for the k largest logits of the whole batch. Each row is a text of its own: one whose
    logits are all lower would lose every token.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.flatten().topk(min(k, logits.numel())).values[-1]
    return logits.masked_fill(logits < least, -INF)


@mistake("4.3")
def limit_of_the_first_row(logits: Tensor, k: int) -> Tensor:
    """Your cut compares all rows with the k-th logit of the first one. Each row has its own: take the last
    along the vocabulary, for every row.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    rows = logits.reshape(-1, logits.shape[-1])
    return logits.masked_fill(logits < rows[0].topk(at_most(k, logits)).values[-1], -INF)


@mistake("4.3")
def too_many(logits: Tensor, k: int) -> Tensor:
    """Your cut asks for more tokens than there are, when k is larger than the vocabulary: topk stops with an
    error. Nothing is to be cut off then.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    return logits.masked_fill(logits < logits.topk(k, dim=-1).values[..., -1:], -INF)


@mistake("4.3")
def in_place(logits: Tensor, k: int) -> Tensor:
    """Your cut writes into the logits that were passed. Whoever wants to cut the same logits otherwise, or
    only to look at them, finds them cut already.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.topk(at_most(k, logits), dim=-1).values[..., -1:]
    return logits.masked_fill_(logits < least, -INF)


@mistake("4.3")
def probabilities(logits: Tensor, k: int) -> Tensor:
    """Your function returns probabilities. What comes after it, another cut or the draw, takes their softmax
    once more, and all of them become nearly equal.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.topk(at_most(k, logits), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -INF).softmax(dim=-1)


@mistake("4.3")
def only_k_logits(logits: Tensor, k: int) -> Tensor:
    """Your function returns k logits instead of V. The place of a logit says which token it belongs to: the
    draw would give places among the k.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    return logits.topk(at_most(k, logits), dim=-1).values


@mistake("4.3")
def cut_at_a_share(logits: Tensor, k: int) -> Tensor:
    """Your cut takes off the k least probable tokens, where it should leave the k most probable. The more
    tokens a vocabulary has, the more would stay.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    least = logits.sort(dim=-1).values[..., [at_most(k, logits) - 1]]
    return logits.masked_fill(logits <= least, -INF)


@variant("4.3")
def by_sorting(logits: Tensor, k: int) -> Tensor:
    """Sort, read off the k-th, compare."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    ranked = torch.sort(logits, dim=-1, descending=True).values
    return torch.where(logits >= ranked[..., at_most(k, logits) - 1, None], logits, -INF)


@variant("4.3")
def by_kthvalue(logits: Tensor, k: int) -> Tensor:
    """kthvalue counts from below."""
    if not k >= 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    V = logits.shape[-1]
    if k >= V:
        return logits
    least = logits.kthvalue(V - k + 1, dim=-1, keepdim=True).values
    return logits.where(logits.ge(least), torch.tensor(-INF, dtype=logits.dtype))


@variant("4.3")
def by_counting(logits: Tensor, k: int) -> Tensor:
    """A token stays if fewer than k are more probable."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}")
    above = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(dim=-1)
    return logits + torch.where(above < k, 0.0, -INF).to(logits.dtype)
