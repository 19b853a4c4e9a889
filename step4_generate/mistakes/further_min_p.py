"""4.7, min-p: known mistakes and accepted variants."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coursekit.probe import mistake, variant

CUT = float("-inf")


def checked(min_p: float) -> float:
    """Return a share as it is, and refuse what is none."""
    if not 0 <= min_p <= 1:
        raise ValueError(f"min_p must be from 0 to 1, got {min_p!r}")
    return min_p


@mistake("4.7")
def against_one(logits: Tensor, min_p: float) -> Tensor:
    """Your limit is `min_p` itself, not `min_p` times the row's largest probability. Where the model is
    unsure every token may lie below it, and nothing is left to draw.
    """
    return logits.masked_fill(logits.softmax(dim=-1) < checked(min_p), CUT)


@mistake("4.7", called="Logits are compared, not probabilities")
def of_logits(logits: Tensor, min_p: float) -> Tensor:
    """Your limit is a share of the largest logit. A share of a logit means nothing, for all of them may be
    moved by any number, below 0 too: compare probabilities.
    """
    return logits.masked_fill(logits < checked(min_p) * logits.amax(dim=-1, keepdim=True), CUT)


@mistake("4.7")
def one_limit(logits: Tensor, min_p: float) -> Tensor:
    """Your limit is the same for all rows: it comes from the largest probability of the whole batch. Each row
    has a largest of its own.
    """
    probabilities = logits.softmax(dim=-1)
    return logits.masked_fill(probabilities < checked(min_p) * probabilities.amax(), CUT)


@mistake("4.7", called="A token exactly at the limit is cut off")
def not_at_the_limit(logits: Tensor, min_p: float) -> Tensor:
    """You cut off tokens that lie exactly at the limit. At `min_p` = 1 these are the most probable ones, and
    nothing is left.
    """
    probabilities = logits.softmax(dim=-1)
    return logits.masked_fill(probabilities <= checked(min_p) * probabilities.amax(dim=-1, keepdim=True), CUT)


@mistake("4.7", called="What is cut off gets a logit of 0")
def zeros(logits: Tensor, min_p: float) -> Tensor:
    """You set logits to 0 where a token is cut off. A logit of 0 is a probability like any other, and may be
    the largest: minus infinity is none.
    """
    probabilities = logits.softmax(dim=-1)
    is_low = probabilities < checked(min_p) * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(is_low, 0.0)


@mistake("4.7", called="Probabilities are returned, not logits")
def probabilities_returned(logits: Tensor, min_p: float) -> Tensor:
    """You return probabilities. The next cut and the draw expect logits, and would take the softmax of them
    once more.
    """
    probabilities = logits.softmax(dim=-1)
    return probabilities.masked_fill(probabilities < checked(min_p) * probabilities.amax(-1, True), 0.0)


@mistake("4.7", called="Only the most probable token of several tied ones stays for certain")
def one_of_the_tied(logits: Tensor, min_p: float) -> Tensor:
    """You let only one of several tokens stay that are tied for the largest. All of them are at least `min_p`
    times as probable as the largest.
    """
    probabilities = logits.softmax(dim=-1)
    is_low = probabilities <= checked(min_p) * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill(is_low.scatter(-1, logits.argmax(dim=-1, keepdim=True), False), CUT)


@mistake("4.7", called="The logits that were handed in are changed")
def in_place(logits: Tensor, min_p: float) -> Tensor:
    """You write into the logits that were handed in: whoever shows them afterwards shows what was cut."""
    probabilities = logits.softmax(dim=-1)
    is_low = probabilities < checked(min_p) * probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill_(is_low, CUT)


@mistake("4.7", called="exp without softmax: large logits overflow")
def overflows(logits: Tensor, min_p: float) -> Tensor:
    """You take exp of the logits as they are. Above 88 that is infinite in float32, and infinite is not below
    a share of infinite: softmax subtracts the largest first.
    """
    weights = logits.exp()
    return logits.masked_fill(weights < checked(min_p) * weights.amax(dim=-1, keepdim=True), CUT)


@variant("4.7")
def in_log_space(logits: Tensor, min_p: float) -> Tensor:
    """A difference of logits in place of a ratio of probabilities."""
    limit = math.log(min_p) if checked(min_p) > 0 else CUT
    return torch.where(logits - logits.amax(dim=-1, keepdim=True) >= limit, logits, CUT)


@variant("4.7")
def row_by_row(logits: Tensor, min_p: float) -> Tensor:
    """One row after another, in float64."""
    checked(min_p)
    kept = torch.full_like(logits, CUT)
    for row, out in zip(logits, kept, strict=True):
        law = row.double().softmax(dim=0)
        stays = law >= min_p * law.max()
        out[stays] = row[stays]
    return kept
