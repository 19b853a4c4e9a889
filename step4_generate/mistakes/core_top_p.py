"""4.4a, top-p: known mistakes with what is kept, and accepted variants."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from coursekit.probe import mistake

INF = float("inf")
Needless = Callable[[Tensor, Tensor, float], Tensor]


def refuse(p: float) -> None:
    """Raise ValueError for a p that is no share."""
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got {p!r}")


def cut(logits: Tensor, p: float, is_needless: Needless, filler: float = -INF) -> Tensor:
    """Cut off what is needless, judged by sorted probabilities and their running sum."""
    refuse(p)
    if p == 1:
        return logits
    shares, tokens = logits.float().softmax(dim=-1).sort(dim=-1, descending=True)
    needless = is_needless(shares, shares.cumsum(dim=-1), p)
    return logits.masked_fill(needless.scatter(-1, tokens, needless), filler)


def right(shares: Tensor, sums: Tensor, p: float) -> Tensor:
    """Tell which tokens are needless: those before them reach p."""
    return sums - shares >= p


@mistake("4.4a")
def crossing_dropped(logits: Tensor, p: float) -> Tensor:
    """Your cut drops the token with which p is reached: what stays falls short of p. Where the most probable
    token alone is above p, nothing stays at all.
    """
    return cut(logits, p, lambda shares, sums, p: sums >= p)


@mistake("4.4a")
def crossing_dropped_but_the_first(logits: Tensor, p: float) -> Tensor:
    """Your cut drops the token with which p is reached, unless it is the very first. What stays falls short
    of p: shift the comparison by one token instead of saving the first alone.
    """

    def needless(shares: Tensor, sums: Tensor, p: float) -> Tensor:
        return (sums >= p) & (torch.arange(shares.shape[-1]) > 0)

    return cut(logits, p, needless)


@mistake("4.4a")
def one_too_many(logits: Tensor, p: float) -> Tensor:
    """Your cut keeps one token too many, the one behind that with which p is reached. The set is to be the
    smallest that reaches p.
    """

    def needless(shares: Tensor, sums: Tensor, p: float) -> Tensor:
        return right(shares, sums, p).roll(1, dims=-1) & (torch.arange(shares.shape[-1]) > 0)

    return cut(logits, p, needless)


@mistake("4.4a")
def in_sorted_order(logits: Tensor, p: float) -> Tensor:
    """Your cut is not brought back into the order of the vocabulary: it takes off places of the sorted row,
    at which other tokens stand in the logits.
    """
    refuse(p)
    if p == 1:
        return logits
    shares = logits.float().softmax(dim=-1).sort(dim=-1, descending=True).values
    return logits.masked_fill(right(shares, shares.cumsum(dim=-1), p), -INF)


@mistake("4.4a")
def brought_back_wrongly(logits: Tensor, p: float) -> Tensor:
    """Your cut is brought back by `gather` with the places of the sorted tokens. That goes the same way once
    more instead of back: `scatter` puts each entry where it came from.
    """
    refuse(p)
    if p == 1:
        return logits
    shares, tokens = logits.float().softmax(dim=-1).sort(dim=-1, descending=True)
    return logits.masked_fill(right(shares, shares.cumsum(dim=-1), p).gather(-1, tokens), -INF)


@mistake("4.4a")
def sorted_upward(logits: Tensor, p: float) -> Tensor:
    """Your cut keeps the least probable tokens: the sum runs from the smallest probability up."""
    refuse(p)
    if p == 1:
        return logits
    shares, tokens = logits.float().softmax(dim=-1).sort(dim=-1)
    needless = right(shares, shares.cumsum(dim=-1), p)
    return logits.masked_fill(needless.scatter(-1, tokens, needless), -INF)


@mistake("4.4a")
def each_above_p(logits: Tensor, p: float) -> Tensor:
    """Your cut compares each probability with p. What has to reach p is the sum of those that stay: with p =
    0.9 nearly no token is that probable by itself.
    """
    return cut(logits, p, lambda shares, sums, p: shares < p)


@mistake("4.4a")
def each_above_the_rest(logits: Tensor, p: float) -> Tensor:
    """Your cut keeps tokens whose own probability is at least 1 - p. What has to reach p is the sum of those
    that stay; thousands of improbable tokens can be a large part of it.
    """
    return cut(logits, p, lambda shares, sums, p: shares < 1 - p)


@mistake("4.4a")
def tail_of_p(logits: Tensor, p: float) -> Tensor:
    """Your cut takes off a tail whose probability is p, and keeps the rest. It is those that stay who have to
    reach p.
    """
    return cut(logits, p, lambda shares, sums, p: right(shares, sums, 1 - p))


@mistake("4.4a")
def sums_of_logits(logits: Tensor, p: float) -> Tensor:
    """Your sum runs over logits. They may be negative and have no total; p is a share of probability, which
    the softmax gives.
    """
    refuse(p)
    if p == 1:
        return logits
    ranked, tokens = logits.sort(dim=-1, descending=True)
    needless = ranked.cumsum(dim=-1) - ranked >= p
    return logits.masked_fill(needless.scatter(-1, tokens, needless), -INF)


@mistake("4.4a")
def limit_of_the_first_row(logits: Tensor, p: float) -> Tensor:
    """Your cut keeps as many tokens in every row as in the first. How many reach p is what differs from text
    to text.
    """

    def needless(shares: Tensor, sums: Tensor, p: float) -> Tensor:
        rows = right(shares, sums, p).reshape(-1, shares.shape[-1])
        return rows[:1].expand_as(rows).reshape(shares.shape)

    return cut(logits, p, needless)
