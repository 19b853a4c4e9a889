"""2.13d, the load-balance loss: known mistakes and accepted variants."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake, variant


def shares(experts: Tensor, E: int, N: int) -> Tensor:
    """Return f: how many choices of each expert there are per token."""
    return F.one_hot(experts, E).sum(dim=(0, 1)) / N


def mean_probabilities(logits: Tensor) -> Tensor:
    """Return P."""
    return logits.softmax(dim=-1).mean(dim=0)


@mistake("2.13d")
def probabilities_twice(logits: Tensor, experts: Tensor) -> Tensor:
    """Your f is made of probabilities, so that the loss never looks at who was chosen. It is smallest
    where the probabilities are even; but even probabilities with one expert always a little ahead send
    every token to it. Count the choices.
    """
    P = mean_probabilities(logits)
    return logits.shape[-1] * experts.shape[-1] * (P * P).sum()


@mistake("2.13d")
def chosen_probabilities(logits: Tensor, experts: Tensor) -> Tensor:
    """Your f sums the probabilities of the chosen experts. It is a count: each choice adds 1, however
    likely it was.
    """
    p = logits.softmax(dim=-1)
    chosen = torch.zeros_like(p).scatter(1, experts, p.gather(1, experts))
    return logits.shape[-1] * (chosen.mean(dim=0) * p.mean(dim=0)).sum()


@mistake("2.13d")
def counts(logits: Tensor, experts: Tensor) -> Tensor:
    """Your f is not divided by the number of tokens: the loss of a batch twice as large is twice as
    large, and its weight against the other loss would depend on the batch.
    """
    E = logits.shape[-1]
    return E * (shares(experts, E, 1) * mean_probabilities(logits)).sum()


@mistake("2.13d")
def divided_by_choices(logits: Tensor, experts: Tensor) -> Tensor:
    """Your f is divided by the number of choices, N · K. Here it is choices per token, so that the loss of an
    even load is K; some papers have it your way, with a loss of 1.
    """
    E = logits.shape[-1]
    return E * (shares(experts, E, experts.numel()) * mean_probabilities(logits)).sum()


@mistake("2.13d")
def no_factor(logits: Tensor, experts: Tensor) -> Tensor:
    """Your loss lacks the factor E. Each of E experts contributes about 1/E · 1/E, so that the sum shrinks as
    experts are added; E makes it comparable.
    """
    E = logits.shape[-1]
    return (shares(experts, E, len(logits)) * mean_probabilities(logits)).sum()


@mistake("2.13d", called="The loss is the mean over the experts")
def divided_by_experts(logits: Tensor, experts: Tensor) -> Tensor:
    """Your loss takes the mean over the experts where E times the sum is asked for: it is smaller by E²."""
    E = logits.shape[-1]
    return (shares(experts, E, len(logits)) * mean_probabilities(logits)).mean()


@mistake("2.13d")
def first_choice_alone(logits: Tensor, experts: Tensor) -> Tensor:
    """Your f counts only the first choice of each token. The others run as well, and an expert that is
    everybody's second choice is as busy as one that is everybody's first.
    """
    E = logits.shape[-1]
    return E * (shares(experts[:, :1], E, len(logits)) * mean_probabilities(logits)).sum()


@mistake("2.13d")
def chosen_again(logits: Tensor, experts: Tensor) -> Tensor:
    """Your f counts the largest logits instead of `experts`. With a bias or groups the router chooses others:
    count what was chosen.
    """
    E = logits.shape[-1]
    again = logits.topk(experts.shape[-1], dim=-1).indices
    return E * (shares(again, E, len(logits)) * mean_probabilities(logits)).sum()


@mistake("2.13d", called="A gradient flows through f as well")
def gradient_through_f(logits: Tensor, experts: Tensor) -> Tensor:
    """Your loss has the right value, but a gradient flows through f as well, as if counts could be changed a
    little at a time. f is a constant: detach it, or make it of whole numbers, which have no gradient.
    """
    E = logits.shape[-1]
    P = mean_probabilities(logits)
    f = shares(experts, E, len(logits)) + experts.shape[-1] * (P - P.detach())
    return E * (f * P).sum()


@mistake("2.13d", called="The loss carries no gradient")
def detached(logits: Tensor, experts: Tensor) -> Tensor:
    """Your loss carries no gradient (detach, .item() or torch.no_grad). f has none by nature; P must keep its
    own, or nothing would ever become more even.
    """
    E = logits.shape[-1]
    return E * (shares(experts, E, len(logits)) * mean_probabilities(logits.detach())).sum()


@mistake("2.13d")
def softmax_over_tokens(logits: Tensor, experts: Tensor) -> Tensor:
    """Your softmax runs over the tokens (dim=0). Its mean over the tokens is 1/N for every expert,
    whatever the logits: there would be nothing to learn from.
    """
    E = logits.shape[-1]
    P = logits.softmax(dim=0).mean(dim=0)
    return E * (shares(experts, E, len(logits)) * P).sum()


@mistake("2.13d")
def token_by_token(logits: Tensor, experts: Tensor) -> Tensor:
    """Your loss multiplies choices and probabilities token by token, and takes the mean after. That is
    largest where each token is sure of its own choice, which is no fault: take the means f and P first.
    """
    E = logits.shape[-1]
    chosen = F.one_hot(experts, E).sum(dim=1)
    return E * (chosen * logits.softmax(dim=-1)).sum(dim=-1).mean()


@mistake("2.13d")
def probabilities_of_the_chosen(logits: Tensor, experts: Tensor) -> Tensor:
    """Your P is a softmax over the chosen experts alone. The others would have a probability of 0 and no
    gradient: nothing would ever make them likelier. Take it over all experts.
    """
    E = logits.shape[-1]
    p = torch.zeros_like(logits).scatter(1, experts, logits.gather(1, experts).softmax(dim=-1))
    return E * (shares(experts, E, len(logits)) * p.mean(dim=0)).sum()


@mistake("2.13d")
def sigmoid_probabilities(logits: Tensor, experts: Tensor) -> Tensor:
    """Your P is made of sigmoids, which do not sum to 1: the loss falls when all of them do, with no token
    going anywhere else. Take softmax.
    """
    E = logits.shape[-1]
    return E * (shares(experts, E, len(logits)) * logits.sigmoid().mean(dim=0)).sum()


@mistake("2.13d", called="Experts behind the last one chosen are not counted")
def short_count(logits: Tensor, experts: Tensor) -> Tensor:
    """Your count ends at the highest expert that was chosen: bincount and one_hot take the number of experts
    from what they see, unless told. Say minlength=E, or one_hot(experts, E).
    """
    E = logits.shape[-1]
    return E * (torch.bincount(experts.flatten()) / len(logits) * mean_probabilities(logits)).sum()


@mistake("2.13d")
def squared_shares(logits: Tensor, experts: Tensor) -> Tensor:
    """Your loss multiplies f by itself. It says how uneven the load is but has no gradient, since counts have
    none: one of the two factors must be P.
    """
    E = logits.shape[-1]
    f = shares(experts, E, len(logits))
    return E * (f * f).sum() + 0 * logits.sum()


@variant("2.13d")
def by_bincount(logits: Tensor, experts: Tensor) -> Tensor:
    """Counts by bincount, the sum as a dot product."""
    N, E = logits.shape
    return (
        torch.bincount(experts.flatten(), minlength=E).to(logits)
        @ logits.softmax(dim=-1).sum(dim=0)
        * (E / N**2)
    )


@variant("2.13d")
def expert_by_expert(logits: Tensor, experts: Tensor) -> Tensor:
    """A loop over the experts, in float64."""
    p = logits.double().log_softmax(dim=-1).exp()
    total = p.new_zeros(())
    for e in range(logits.shape[-1]):
        total = total + (experts == e).sum() / len(logits) * p[:, e].mean()
    return (logits.shape[-1] * total).to(logits.dtype)


@variant("2.13d")
def choice_by_choice(logits: Tensor, experts: Tensor) -> Tensor:
    """One share for each of the K ranks, summed at the end, as in `transformers`' Mixtral."""
    E = logits.shape[-1]
    by_rank = F.one_hot(experts, E).float().mean(dim=0)
    return E * torch.einsum("ke,e->", by_rank, mean_probabilities(logits))
