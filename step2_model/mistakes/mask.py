"""2.3b, the causal mask: known mistakes."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.probe import mistake

HIDDEN = float("-inf")


def later(scores: Tensor, shift: int = 1) -> Tensor:
    """Return True where the key stands `shift` or more positions after its query."""
    T, S = scores.shape[-2:]
    return torch.ones(T, S, dtype=torch.bool, device=scores.device).triu(S - T + shift)


@mistake("2.3b")
def no_mask(scores: Tensor) -> Tensor:
    """Your scores come back as they were: nothing is hidden. Each position could read the very token
    that it has to predict; the training loss would fall to almost 0 and the model could not write a
    word.
    """
    return scores.clone()


@mistake("2.3b", called="The mask hides each position from itself too")
def hides_itself(scores: Tensor) -> Tensor:
    """Your mask hides each position from itself too: the diagonal belongs to what may be read. The
    first query would have nothing left to read, and softmax over nothing is NaN.
    """
    return scores.masked_fill(later(scores, 0), HIDDEN)


@mistake("2.3b")
def off_by_one(scores: Tensor) -> Tensor:
    """Your mask lets each query read one position too far: the token right after it, which is exactly
    the one that it has to predict. The first hidden key is the one at position t + 1.
    """
    return scores.masked_fill(later(scores, 2), HIDDEN)


@mistake("2.3b", called="The mask hides the keys before the query and shows those after it")
def past_hidden(scores: Tensor) -> Tensor:
    """Your mask is the wrong way round: it hides the past and shows the future. Keep keys at or before
    the query (the lower triangle), hide those after it (the upper one).
    """
    T, S = scores.shape[-2:]
    return scores.masked_fill(torch.ones(T, S, dtype=torch.bool).tril(S - T - 1), HIDDEN)


@mistake("2.3b", called="The mask hides the query's own key and those before it, and shows those after it")
def readable_hidden(scores: Tensor) -> Tensor:
    """Your mask is inverted: minus infinity stands at the keys that may be read, and those of the
    future are left. A mask that is True where reading is allowed must be negated before masked_fill.
    """
    return scores.masked_fill(~later(scores), HIDDEN)


@mistake("2.3b")
def top_left(scores: Tensor) -> Tensor:
    """Your mask takes the T queries for the first T of the S positions. They are the last T: query t
    stands at position S - T + t. Without a cache it is the same, with one a new token would see only
    the start of the text.
    """
    T, S = scores.shape[-2:]
    return scores.masked_fill(torch.ones(T, S, dtype=torch.bool).triu(1), HIDDEN)


@mistake("2.3b")
def only_if_square(scores: Tensor) -> Tensor:
    """Your function masks only where there are as many keys as queries. Several new tokens after a past
    (S > T) must not see each other's future either.
    """
    T, S = scores.shape[-2:]
    return scores.masked_fill(later(scores), HIDDEN) if T == S else scores.clone()


@mistake("2.3b")
def past_off_by_one(scores: Tensor) -> Tensor:
    """Your mask counts one position too few in the past when S > T: the new query cannot see itself.
    Query t stands at position S - T + t and reads itself too.
    """
    T, S = scores.shape[-2:]
    return scores.masked_fill(later(scores, 1 if T == S else 0), HIDDEN)


@mistake("2.3b")
def past_off_by_one_ahead(scores: Tensor) -> Tensor:
    """Your mask lets new queries read one position too far when S > T. Query t stands at position S - T
    + t; the first hidden key is the one after it.
    """
    T, S = scores.shape[-2:]
    return scores.masked_fill(later(scores, 1 if T == S else 2), HIDDEN)


@mistake("2.3b")
def zeros(scores: Tensor) -> Tensor:
    """Your mask sets the scores of the future to 0 (tril, or multiplication by a mask of 0 and 1). A
    score of 0 is no small score: softmax gives it a weight of e⁰. Only minus infinity becomes a weight
    of 0.
    """
    return scores.masked_fill(later(scores), 0.0)


@mistake("2.3b")
def weak_10(scores: Tensor) -> Tensor:
    """Your mask puts -10 where minus infinity belongs. A query whose own scores are as low would still
    read the future; use float("-inf").
    """
    return scores.masked_fill(later(scores), -10.0)


@mistake("2.3b")
def weak_1(scores: Tensor) -> Tensor:
    """Your mask puts -1 where minus infinity belongs: softmax still gives such a key a weight of e⁻¹
    against e⁰.
    """
    return scores.masked_fill(later(scores), -1.0)


@mistake("2.3b")
def subtracts_10(scores: Tensor) -> Tensor:
    """Your mask lowers the scores of the future by 10. A key that scores higher than that is read all
    the same; add minus infinity.
    """
    return scores - 10.0 * later(scores)


@mistake("2.3b")
def subtracts_1(scores: Tensor) -> Tensor:
    """Your mask lowers the scores of the future by 1, perhaps by adding the mask of 0 and -1 itself.
    Add minus infinity where the mask is True.
    """
    return scores - 1.0 * later(scores)


@mistake("2.3b")
def times_infinity(scores: Tensor) -> Tensor:
    """Your mask multiplies by minus infinity. 0 times infinity is NaN, and a negative score times minus
    infinity is plus infinity: put the number in place with masked_fill, or add it with torch.where.
    """
    return scores + later(scores) * HIDDEN


@mistake("2.3b")
def smallest_positive(scores: Tensor) -> Tensor:
    """Your mask uses torch.finfo(...).tiny or eps, the smallest positive number, which is practically
    0. The most negative one is torch.finfo(...).min; float("-inf") says it best.
    """
    return scores.masked_fill(later(scores), torch.finfo(scores.dtype).tiny + 1e-3)


@mistake("2.3b")
def softmax_too(scores: Tensor) -> Tensor:
    """Your function returns weights: softmax has been applied already. It comes in `attend`; here the
    masked scores are returned.
    """
    return scores.masked_fill(later(scores), HIDDEN).softmax(dim=-1)


@mistake("2.3b")
def softmax_then_zeros(scores: Tensor) -> Tensor:
    """Your function applies softmax first and then sets the weights of the future to 0. The rest no
    longer sums to 1, and softmax is not this function's work: mask the scores.
    """
    return scores.softmax(dim=-1).masked_fill(later(scores), 0.0)


@mistake("2.3b")
def in_place(scores: Tensor) -> Tensor:
    """Your function writes into the scores that it was given (masked_fill_, or an assignment to
    scores[...]). Return a new tensor: the caller may still need the old one, and so may autograd.
    """
    return scores.masked_fill_(later(scores), HIDDEN)


@mistake("2.3b")
def columns(scores: Tensor) -> Tensor:
    """Your mask is the same for every query: it hides whole columns. Each query has a row of its own,
    with a key more in it than the row before.
    """
    S = scores.shape[-1]
    return scores.masked_fill(torch.arange(S) >= S - scores.shape[-2] + 1, HIDDEN)


@mistake("2.3b")
def only_next_hidden(scores: Tensor) -> Tensor:
    """Your mask hides only the one key right after each query. All later keys must be hidden as well."""
    return scores.masked_fill(later(scores) & ~later(scores, 2), HIDDEN)


@mistake("2.3b")
def detached(scores: Tensor) -> Tensor:
    """Your masked scores carry no gradient (detach, .data or torch.no_grad): queries and keys would
    never learn.
    """
    return scores.detach().masked_fill(later(scores), HIDDEN)


@mistake("2.3b")
def window(scores: Tensor) -> Tensor:
    """Your mask hides old keys too: each query reads only the keys right behind it. Query t reads all
    positions from 0 to its own.
    """
    T, S = scores.shape[-2:]
    old = torch.ones(T, S, dtype=torch.bool).tril(S - T - 2)
    return scores.masked_fill(later(scores) | old, HIDDEN)
