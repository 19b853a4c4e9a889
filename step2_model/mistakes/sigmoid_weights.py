"""2.13b, DeepSeek's router: known mistakes in the weights, and accepted variants."""

from __future__ import annotations

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.further_solution import sigmoid_router
from step2_model.mistakes.sigmoid_router import CLOSED, Routing, biased, choose, weigh


@mistake("2.13b")
def rescaled_over_all(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your weights are rescaled by the sum over all experts. Sigmoids of many experts sum to much more
    than 1, and the chosen ones would be left with little: divide by the sum of the chosen.
    """
    scores = logits.float().sigmoid()
    experts = sigmoid_router(logits, bias, k, n_groups, topk_groups)[1]
    return scores.gather(1, experts) / scores.sum(dim=-1, keepdim=True) * scale, experts


@mistake("2.13b", called="The sigmoids of the chosen experts are not rescaled")
def not_rescaled(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your weights are not rescaled: sigmoids do not sum to 1, whatever their number. Divide those of the
    chosen experts by their sum.
    """
    experts = sigmoid_router(logits, bias, k, n_groups, topk_groups)[1]
    return logits.float().sigmoid().gather(1, experts) * scale, experts


@mistake("2.13b")
def softmax_scores(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your scores are a softmax, in which experts compete: when one score rises, all others fall. DeepSeek-V3
    asks each expert by itself, by sigmoid.
    """
    scores = logits.softmax(dim=-1, dtype=torch.float32)
    experts = choose(biased(scores, bias), n_groups, topk_groups).topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def softmax_weights(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your weights are a softmax of the chosen scores. These lie between 0 and 1, so that it makes them
    nearly equal. Divide the sigmoids by their sum.
    """
    experts = sigmoid_router(logits, bias, k, n_groups, topk_groups)[1]
    return logits.float().sigmoid().gather(1, experts).softmax(dim=-1) * scale, experts


@mistake("2.13b")
def logits_chosen(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your choice adds the bias to the logits instead of the sigmoids. The bias is made for scores between 0
    and 1: beside logits it would hardly count.
    """
    choice = choose(biased(logits.float(), bias), n_groups, topk_groups)
    experts = choice.topk(k, dim=-1).indices
    return weigh(logits.float().sigmoid(), experts, scale), experts


@mistake("2.13b", called="The scores keep the precision of the logits")
def half_precision(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your scores keep the precision of the logits. In bfloat16 two sigmoids near 1 are often the same
    number, so that chance decides between their experts: take logits.float() first.
    """
    scores = logits.sigmoid()
    experts = choose(biased(scores, bias), n_groups, topk_groups).topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b", called="The router's weights carry no gradient")
def detached(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your weights carry no gradient (detach, .data or torch.no_grad around all of it). The choice needs
    none, but by the weights the router learns.
    """
    return sigmoid_router(logits.detach(), bias, k, n_groups, topk_groups, scale)


@variant("2.13b")
def one_by_one(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """One token after another, with Python's own sorting."""
    scores = logits.float().sigmoid()
    size, rows = logits.shape[1] // n_groups, []
    for row in (scores.detach() + bias).tolist():
        worth = [sum(sorted(row[g * size : (g + 1) * size])[-2:]) for g in range(n_groups)]
        best = sorted(range(n_groups), key=worth.__getitem__)[-topk_groups:]
        members = [g * size + i for g in best for i in range(size)]
        rows.append(sorted(members, key=row.__getitem__)[-k:])
    experts = torch.tensor(rows)
    return weigh(scores, experts, scale), experts


@variant("2.13b")
def mean_of_two(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Groups compared by the mean of their two best; the mask is added; weights through a dense matrix."""
    scores = logits.sigmoid() if logits.dtype == torch.float32 else logits.to(torch.float32).sigmoid()
    groups = (scores + bias).unflatten(1, (n_groups, -1))
    best = groups.sort(dim=-1, descending=True).values[..., :2].mean(dim=-1).argsort(dim=-1)[:, -topk_groups:]
    mask = torch.full_like(groups, CLOSED).scatter(
        1, best.unsqueeze(-1).expand(-1, -1, groups.shape[-1]), 0.0
    )
    experts = (groups + mask).flatten(1).topk(k, dim=-1, sorted=False).indices
    chosen = torch.zeros_like(scores).scatter(1, experts, 1.0) * scores
    return scale * (chosen / chosen.sum(dim=-1, keepdim=True)).gather(1, experts), experts


@variant("2.13b")
def in_float64(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Everything in float64, the largest finite number below 0 for what is closed."""
    scores = logits.double().sigmoid()
    choice = choose(scores + bias, n_groups, topk_groups, closed=torch.finfo(torch.float64).min)
    experts = choice.topk(k, dim=-1).indices
    return weigh(scores, experts, scale).float(), experts
