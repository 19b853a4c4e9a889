"""2.13a, choosing experts by softmax: known mistakes and accepted variants."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.probe import mistake, variant

Routing = tuple[Tensor, Tensor]


def rescaled(weights: Tensor) -> Tensor:
    """Return weights that sum to 1 for each token."""
    return weights / weights.sum(dim=-1, keepdim=True)


@mistake("2.13a")
def not_rescaled(logits: Tensor, k: int) -> Routing:
    """Your weights are the probabilities as they are: those of the chosen experts sum to less than 1. The
    layer's answer would be smaller wherever the router is less sure; rescale what was chosen.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return weights, experts


@mistake("2.13a")
def softmax_twice(logits: Tensor, k: int) -> Routing:
    """Your weights went through softmax twice: once over all experts, and once more over the probabilities
    that were chosen. These lie between 0 and 1, so that the second softmax makes them almost equal. Divide by
    their sum.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return weights.softmax(dim=-1), experts


@mistake("2.13a")
def over_tokens(logits: Tensor, k: int) -> Routing:
    """Your softmax runs over the tokens (dim=0): an expert's share in the batch, not a token's choice among
    experts. What one token gets would depend on which others stand beside it.
    """
    weights, experts = logits.softmax(dim=0, dtype=torch.float32).topk(k, dim=-1)
    return rescaled(weights), experts


@mistake("2.13a")
def smallest(logits: Tensor, k: int) -> Routing:
    """Your router chooses the experts with the smallest probabilities. `topk` takes the largest unless told
    otherwise; an ascending `sort` has them at its end.
    """
    probabilities = logits.softmax(dim=-1, dtype=torch.float32)
    weights, experts = probabilities.topk(k, dim=-1, largest=False)
    return rescaled(weights), experts


@mistake("2.13a", called="The router lets each expert choose its tokens")
def tokens_chosen(logits: Tensor, k: int) -> Routing:
    """Your router lets each expert choose k tokens (topk over dim=0). Here each token chooses k experts, so
    that the results are (N, K).
    """
    weights, tokens = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=0)
    return weights / weights.sum(dim=0), tokens


@mistake("2.13a")
def equal_weights(logits: Tensor, k: int) -> Routing:
    """Your weights are all 1/k. The probabilities say how much each chosen expert has to say, and they
    are the only way by which the router learns: from equal weights no gradient comes back.
    """
    experts = logits.topk(k, dim=-1).indices
    return torch.full(experts.shape, 1 / k), experts


@mistake("2.13a")
def logits_rescaled(logits: Tensor, k: int) -> Routing:
    """Your weights are the chosen logits divided by their sum. Logits may be negative, and so would weights
    be; turn them into probabilities first.
    """
    weights, experts = logits.float().topk(k, dim=-1)
    return rescaled(weights), experts


@mistake("2.13a")
def sigmoids(logits: Tensor, k: int) -> Routing:
    """Your weights come from sigmoid, which looks at each expert by itself. That is DeepSeek's router, of the
    next exercise; this one weighs by softmax.
    """
    weights, experts = logits.float().sigmoid().topk(k, dim=-1)
    return rescaled(weights), experts


@mistake("2.13a")
def half_precision(logits: Tensor, k: int) -> Routing:
    """Your probabilities keep the precision of the logits. In bfloat16 a probability has three decimal
    digits, too few to tell experts apart: take softmax in float32.
    """
    weights, experts = logits.softmax(dim=-1).topk(k, dim=-1)
    return rescaled(weights), experts


@mistake("2.13a")
def wrong_pairs(logits: Tensor, k: int) -> Routing:
    """Your weights and numbers do not belong together: one of the two was sorted without the other, so that
    experts get each other's weights. `topk` returns values and indices in the same order.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return rescaled(weights).flip(-1), experts


@mistake("2.13a")
def rescaled_over_tokens(logits: Tensor, k: int) -> Routing:
    """Your weights are rescaled over the tokens (the sum runs over dim=0): each column sums to 1. The K
    weights of one token must; sum over the last dimension.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return weights / weights.sum(dim=0, keepdim=True), experts


@mistake("2.13a", called="The weights are divided by the sum of the whole table")
def rescaled_by_all(logits: Tensor, k: int) -> Routing:
    """Your weights are divided by the sum of the whole table, so that only the weights of all tokens together
    sum to 1. Sum over the last dimension, and keep it.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return weights / weights.sum(), experts


@mistake("2.13a")
def chosen_over_tokens(logits: Tensor, k: int) -> Routing:
    """Your softmax over the chosen logits runs over the tokens (dim=0). The K weights of one token belong
    together: take it over the last dimension.
    """
    weights, experts = logits.float().topk(k, dim=-1)
    return weights.softmax(dim=0), experts


@mistake("2.13a", called="The weights are divided by the largest of them")
def rescaled_by_largest(logits: Tensor, k: int) -> Routing:
    """Your weights are divided by the largest of them, so that the first choice weighs 1 and all together
    more. Divide by their sum.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return weights / weights.amax(dim=-1, keepdim=True), experts


@mistake("2.13a")
def overflows(logits: Tensor, k: int) -> Routing:
    """Your softmax overflows where logits are large: e⁸⁹ is more than float32 can hold. `softmax` takes the
    largest logit off first.
    """
    weights, experts = logits.float().exp().topk(k, dim=-1)
    return rescaled(weights), experts


@mistake("2.13a", called="The routing's weights carry no gradient")
def detached(logits: Tensor, k: int) -> Routing:
    """Your weights carry no gradient (detach, .data or torch.no_grad). The choice has none either, so that
    the router would never learn.
    """
    weights, experts = logits.detach().softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return rescaled(weights), experts


@mistake("2.13a", called="The two results stand in the wrong order")
def swapped(logits: Tensor, k: int) -> Routing:
    """Your two results stand in the wrong order: the weights come first, the numbers of the experts
    second.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).topk(k, dim=-1)
    return experts, rescaled(weights)


@mistake("2.13a")
def all_returned(logits: Tensor, k: int) -> Routing:
    """Your results have a column for every expert, with weights of 0 for those not chosen. Only the k chosen
    ones are returned: what is not named does not have to run.
    """
    weights, experts = logits.softmax(dim=-1, dtype=torch.float32).sort(dim=-1, descending=True)
    weights = torch.cat([rescaled(weights[:, :k]), 0 * weights[:, k:]], dim=-1)
    return weights, experts


@variant("2.13a")
def topk_first(logits: Tensor, k: int) -> Routing:
    """Top-k of the logits, then softmax over the chosen ones: the same, since what is common cancels."""
    chosen, experts = logits.float().topk(k, dim=-1)
    return chosen.softmax(dim=-1), experts


@variant("2.13a")
def masked(logits: Tensor, k: int) -> Routing:
    """Minus infinity for all that is not chosen, softmax over all experts, in ascending order."""
    experts = logits.argsort(dim=-1)[:, -k:]
    hidden = torch.full_like(logits, float("-inf")).scatter(1, experts, logits.gather(1, experts))
    return hidden.softmax(dim=-1, dtype=torch.float32).gather(1, experts), experts


@variant("2.13a")
def by_logarithms(logits: Tensor, k: int) -> Routing:
    """Log-probabilities in float64, one token after another."""
    weights, experts = [], []
    for row in logits.double().log_softmax(dim=-1):
        log, index = row.topk(k, sorted=False)
        weights.append((log - log.logsumexp(dim=-1)).exp())
        experts.append(index)
    return torch.stack(weights).float(), torch.stack(experts)
