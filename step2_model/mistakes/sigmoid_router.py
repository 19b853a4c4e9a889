"""2.13b, DeepSeek's router: known mistakes in the choice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from coursekit.probe import mistake
from step2_model.further_solution import sigmoid_router

Routing = tuple[Tensor, Tensor]
CLOSED = float("-inf")


def two_best(groups: Tensor) -> Tensor:
    """Return what each group is worth."""
    return groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(dim=-1)


def biased(scores: Tensor, bias: Tensor) -> Tensor:
    """Return what decides the choice."""
    return scores + bias


def choose(
    choice: Tensor,
    n_groups: int,
    topk_groups: int,
    closed: float = CLOSED,
    worth: Callable[[Tensor], Tensor] = two_best,
) -> Tensor:
    """Return `choice` with the experts of all but the best groups closed."""
    groups = rearrange(choice, "N (G E) -> N G E", G=n_groups)
    best = worth(groups).topk(topk_groups, dim=-1).indices
    is_open = torch.zeros(groups.shape[:2], dtype=torch.bool).scatter(1, best, True)
    return groups.masked_fill(~is_open.unsqueeze(-1), closed).flatten(1)


def weigh(scores: Tensor, experts: Tensor, scale: float) -> Tensor:
    """Return the scores of the chosen experts, rescaled to sum to `scale`."""
    weights = scores.gather(1, experts)
    return weights / weights.sum(dim=-1, keepdim=True) * scale


@mistake("2.13b")
def bias_in_weights(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your weights are biased scores. The bias is moved to keep experts equally busy; in the weights it would
    change what the layer answers, and nothing would teach it to answer well. Weigh by the sigmoids alone.
    """
    choice = biased(logits.float().sigmoid(), bias)
    experts = choose(choice, n_groups, topk_groups).topk(k, dim=-1).indices
    return weigh(choice, experts, scale), experts


@mistake("2.13b")
def bias_ignored(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your router never uses the bias. It is what steers tokens from busy experts to idle ones: add it to the
    scores before anything is chosen.
    """
    return sigmoid_router(logits, torch.zeros_like(bias), k, n_groups, topk_groups, scale)


@mistake("2.13b")
def bias_subtracted(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your router subtracts the bias. A positive bias makes its expert more likely to be chosen: add it."""
    return sigmoid_router(logits, -bias, k, n_groups, topk_groups, scale)


@mistake("2.13b")
def bias_inside_sigmoid(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your bias is added to the logits, inside the sigmoid. Where sigmoid is flat, it would hardly move an
    expert; add it to the score, outside.
    """
    scores = logits.float().sigmoid()
    choice = (logits.float() + bias).sigmoid()
    experts = choose(choice, n_groups, topk_groups).topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def bias_in_groups_alone(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your bias takes part in the choice of groups, but not in that of the experts inside them. Both compare
    biased scores.
    """
    scores = logits.float().sigmoid()
    is_closed = choose(biased(scores, bias), n_groups, topk_groups).isinf()
    experts = scores.masked_fill(is_closed, CLOSED).topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def groups_without_bias(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your groups are compared without the bias, which acts only on the experts inside them. Both compare
    biased scores.
    """
    scores = logits.float().sigmoid()
    is_closed = choose(scores, n_groups, topk_groups).isinf()
    experts = biased(scores, bias).masked_fill(is_closed, CLOSED).topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def groups_ignored(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your router ignores the groups: it chooses the k best of all experts. Groups bound on how many machines
    the experts of one token lie; a choice over all of them may need every machine.
    """
    return sigmoid_router(logits, bias, k, scale=scale)


@mistake("2.13b")
def worth_of_best(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your groups are worth their single best score. A token takes several experts, so that one good expert
    among poor ones is not enough: sum the two best.
    """
    scores = logits.float().sigmoid()
    choice = choose(biased(scores, bias), n_groups, topk_groups, worth=lambda groups: groups.amax(dim=-1))
    experts = choice.topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def worth_of_all(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your groups are worth the sum (or the mean) of all their scores. Experts that will not be chosen say
    nothing about how good the chosen ones are: sum the two best.
    """
    scores = logits.float().sigmoid()
    choice = choose(biased(scores, bias), n_groups, topk_groups, worth=lambda groups: groups.sum(dim=-1))
    experts = choice.topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def closed_with_0(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your router closes groups by setting their scores to 0 (or multiplying by a mask). Biased scores may be
    negative, and then 0 beats them: what is closed gets chosen. Only minus infinity keeps it closed.
    """
    scores = logits.float().sigmoid()
    experts = choose(biased(scores, bias), n_groups, topk_groups, closed=0.0).topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def best_closed(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your router closes the best groups and leaves the others open: the mask is the wrong way round. Negate
    it before masked_fill.
    """
    scores = logits.float().sigmoid()
    groups = rearrange(biased(scores, bias), "N (G E) -> N G E", G=n_groups)
    best = two_best(groups).topk(topk_groups, dim=-1).indices
    is_open = torch.zeros(groups.shape[:2], dtype=torch.bool).scatter(1, best, True)
    choice = groups.masked_fill(is_open.unsqueeze(-1), CLOSED).flatten(1)
    experts = choice.topk(k, dim=-1).indices
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def groups_strided(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your groups take every n_groups-th expert. A group is a run of neighbors: with 12 experts in 4 groups,
    the first holds the experts 0, 1 and 2.
    """
    scores = logits.float().sigmoid()
    strided = rearrange(biased(scores, bias), "N (E G) -> N (G E)", G=n_groups)
    number = rearrange(torch.arange(logits.shape[1]), "(E G) -> (G E)", G=n_groups)
    experts = number[choose(strided, n_groups, topk_groups).topk(k, dim=-1).indices]
    return weigh(scores, experts, scale), experts


@mistake("2.13b")
def scale_forgotten(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your weights sum to 1: `scale` is never used. DeepSeek-V3 has 2.5 there, so that the chosen experts
    hold their own beside the shared one.
    """
    return sigmoid_router(logits, bias, k, n_groups, topk_groups)


@mistake("2.13b", called="The scores are scaled before the choice, and rescaled all the same")
def scaled_before(
    logits: Tensor, bias: Tensor, k: int, n_groups: int = 1, topk_groups: int = 1, scale: float = 1.0
) -> Routing:
    """Your scores are multiplied by `scale` before the choice, where they meet a bias that is not, and then
    rescaled all the same. Rescale to 1 first, multiply by `scale` last.
    """
    scores = logits.float().sigmoid() * scale
    experts = choose(biased(scores, bias), n_groups, topk_groups).topk(k, dim=-1).indices
    return weigh(scores, experts, 1.0), experts
