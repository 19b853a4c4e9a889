"""2.3c, the mixture: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant

Dropout = Callable[[Tensor], Tensor]


@mistake("2.3c")
def no_softmax(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture weighs the values with the scores themselves: softmax is missing. Scores may be
    negative or minus infinity; weights are positive and sum to 1 for each query.
    """
    return dropout(scores) @ v


@mistake("2.3c")
def over_queries(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your softmax runs over the queries (dim -2) instead of the keys (dim -1). Each query's own
    weights must sum to 1; as it is, queries compete for keys, and a query's result depends on the
    others.
    """
    return dropout(scores.softmax(dim=-2)) @ v


@mistake("2.3c")
def over_everything(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your softmax runs over queries and keys together, so that all weights of a head sum to 1. Each
    query's own must: softmax over the last dimension alone.
    """
    return dropout(scores.flatten(-2).softmax(dim=-1).reshape(scores.shape)) @ v


@mistake("2.3c")
def over_heads(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your softmax runs over a leading dimension: dim 1 are the heads where there are any. Count from
    the end: keys are dim -1, however many dimensions stand in front.
    """
    return dropout(scores.softmax(dim=1)) @ v


@mistake("2.3c")
def over_batch(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your softmax runs over dim 0, the texts of the batch where there are any. Count from the end:
    keys are dim -1.
    """
    return dropout(scores.softmax(dim=0)) @ v


@mistake("2.3c")
def softmax_by_default_dim(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture divides by the plain sum of the scores instead of taking softmax. Negative scores
    make negative weights, and a sum near 0 makes huge ones.
    """
    return dropout(scores / scores.sum(dim=-1, keepdim=True)) @ v


@mistake("2.3c")
def sigmoid(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your weights are sigmoids of the scores: each lies between 0 and 1, but a query's weights do not
    sum to 1, so that the result grows with the number of keys. Use softmax.
    """
    return dropout(scores.sigmoid()) @ v


@mistake("2.3c")
def logarithms(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your weights are logarithms: log_softmax where softmax belongs."""
    return dropout(scores.log_softmax(dim=-1)) @ v


@mistake("2.3c")
def unnormalized(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your weights are exponentials that nobody divided by their sum. A query's weights must sum to 1."""
    return dropout(scores.exp()) @ v


@mistake("2.3c")
def softmax_twice(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture applies softmax twice. The second one sees weights between 0 and 1 and makes them
    nearly equal; keys that were hidden come back.
    """
    return dropout(scores.softmax(dim=-1).softmax(dim=-1)) @ v


@mistake("2.3c")
def hardest(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture copies the value of the best key alone. Softmax weighs all of them, and only so the
    scores get a gradient.
    """
    weights = F.one_hot(scores.argmax(dim=-1), scores.shape[-1]).to(scores.dtype)
    return dropout(weights) @ v


@mistake("2.3c")
def not_stable(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your softmax overflows: the exponential of a score above 88 is infinite in float32, and infinity
    over infinity is NaN. Subtract each row's largest score first, as `softmax` does.
    """
    powers = scores.exp()
    return dropout(powers / powers.sum(dim=-1, keepdim=True)) @ v


@mistake("2.3c")
def one_largest_for_all(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your softmax subtracts the largest of all scores. Every query has its own largest: where it is
    far below the largest of all, every exponential rounds to 0 and 0 is divided by 0.
    """
    powers = (scores - scores.max()).exp()
    return dropout(powers / powers.sum(dim=-1, keepdim=True)) @ v


@mistake("2.3c")
def extra_scale(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture divides the scores by √D once more. attention_scores has done so already; done
    twice, the weights are too even.
    """
    return dropout((scores / v.shape[-1] ** 0.5).softmax(dim=-1)) @ v


@mistake("2.3c")
def masks_again(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture hides keys by itself. The scores arrive masked where they must be; hide nothing more
    here.
    """
    T, S = scores.shape[-2:]
    return (
        dropout(scores.masked_fill(torch.ones(T, S, dtype=torch.bool).triu(S - T + 1), -1e9).softmax(-1)) @ v
    )


@mistake("2.3c")
def no_dropout(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture never calls dropout. It goes on the weights, between softmax and the sum over the
    values.
    """
    return scores.softmax(dim=-1) @ v


@mistake("2.3c")
def dropout_on_result(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture applies dropout to the result. It belongs on the weights: a dropped weight means
    "this query does not see that key this time".
    """
    return dropout(scores.softmax(dim=-1) @ v)


@mistake("2.3c")
def dropout_on_scores(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture applies dropout to the scores, before softmax. A dropped score is a score of 0,
    which still gets weight: it belongs on the weights, after softmax.
    """
    return dropout(scores).softmax(dim=-1) @ v


@mistake("2.3c")
def dropout_on_values(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture applies dropout to the values. It belongs on the weights, between softmax and the
    sum.
    """
    return scores.softmax(dim=-1) @ dropout(v)


@mistake("2.3c")
def dropout_twice(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture applies dropout twice to the weights. Once is what its probability means."""
    return dropout(dropout(scores.softmax(dim=-1))) @ v


@mistake("2.3c")
def dropout_on_both(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture applies dropout to the weights and once more to the result. The weights alone are
    right here.
    """
    return dropout(dropout(scores.softmax(dim=-1)) @ v)


@mistake("2.3c")
def renormalized(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your mixture makes the weights sum to 1 again after dropout. Dropout has already made up for what
    it took; let its result be.
    """
    weights = dropout(scores.softmax(dim=-1))
    return weights / weights.sum(dim=-1, keepdim=True) @ v


@mistake("2.3c")
def detached_weights(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your weights carry no gradient back to the scores (detach, .data or torch.no_grad): the model
    could never learn where to look.
    """
    return dropout(scores.softmax(dim=-1).detach()) @ v


@mistake("2.3c")
def detached_values(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Your values get no gradient (detach, .data or torch.no_grad): the model could never learn what to
    say.
    """
    return dropout(scores.softmax(dim=-1)) @ v.detach()


@variant("2.3c")
def with_einsum(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """F.softmax and torch.einsum."""
    return torch.einsum("...ts,...sd->...td", dropout(F.softmax(scores, dim=-1)), v)


@variant("2.3c")
def written_out(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """A stable softmax by hand."""
    powers = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return torch.matmul(dropout(powers / powers.sum(dim=-1, keepdim=True)), v)


@variant("2.3c")
def by_log_sum_exp(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """exp(scores - logsumexp)."""
    return dropout((scores - scores.logsumexp(dim=-1, keepdim=True)).exp()) @ v


@variant("2.3c")
def query_by_query(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """A loop over queries, dropout on the whole of the weights."""
    weights = dropout(torch.stack([row.softmax(-1) for row in scores.unbind(-2)], dim=-2))
    rows: Any = [(weights[..., t, :, None] * v).sum(-2) for t in range(scores.shape[-2])]
    return torch.stack(rows, dim=-2)


@variant("2.3c")
def in_float64(scores: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """Float64 inside, cast back."""
    return (dropout(scores.double().softmax(dim=-1)) @ v.double()).to(v.dtype)
