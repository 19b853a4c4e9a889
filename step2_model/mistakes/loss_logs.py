"""2.4d, the loss: known mistakes with logarithms, overflow and gradients."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from coursekit.probe import mistake
from step2_model.mistakes.loss import mean, shifted, surprises

NONE = -100


@mistake("2.4d")
def not_stable(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss overflows: the exponential of a logit above 88 is infinite in float32. Subtract the
    largest logit of each position before the exponential, and add it again after the logarithm.
    """
    logits, labels = shifted(logits, labels)
    _, counted = surprises(logits, labels)
    chosen = logits.gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return (logits.exp().sum(dim=-1).log() - chosen)[counted].mean()


@mistake("2.4d")
def one_largest_for_all(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss subtracts the largest of all logits. Every position has its own largest: where it is
    far below the largest of all, every exponential rounds to 0 and the logarithm of 0 is minus
    infinity.
    """
    logits, labels = shifted(logits, labels)
    _, counted = surprises(logits, labels)
    chosen = logits.gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return (logits.max() + (logits - logits.max()).exp().sum(dim=-1).log() - chosen)[counted].mean()


@mistake("2.4d")
def log_of_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss takes the logarithm of softmax in two steps. Where the right token's probability rounds
    to 0 the logarithm is minus infinity; the log-sum-exp of the logits never is.
    """
    logits, labels = shifted(logits, labels)
    counted = labels != NONE
    p = logits.softmax(dim=-1).gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return -p.log()[counted].mean()


def padded_log(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return the loss with eps inside the logarithm."""
    logits, labels = shifted(logits, labels)
    counted = labels != NONE
    p = logits.softmax(dim=-1).gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return -(p + eps).log()[counted].mean()


@mistake("2.4d", called="The loss adds 1e-9 to the probability, inside the logarithm")
def eps_in_log(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss adds a small number inside the logarithm. It hides the overflow by capping the
    surprise, at 20.7 for 1e-9, and a model that is surer than that of something wrong gets no gradient.
    """
    return padded_log(logits, labels, 1e-9)


@mistake("2.4d", called="The loss adds 1e-8 to the probability, inside the logarithm")
def larger_eps_in_log(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss adds a small number inside the logarithm. It hides the overflow by capping the
    surprise, at 18.4 for 1e-8, and a model that is surer than that of something wrong gets no gradient.
    """
    return padded_log(logits, labels, 1e-8)


@mistake("2.4d")
def bits(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss is in bits: it uses the logarithm to base 2. Here it is in nats, the natural logarithm;
    divide by ln 2 only when you report bits.
    """
    return mean(*shifted(logits, labels)) / math.log(2)


@mistake("2.4d")
def wrong_sign(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss has the wrong sign: it is the mean log-probability, and training would make it smaller.
    Surprise is minus the logarithm.
    """
    return -mean(*shifted(logits, labels))


@mistake("2.4d")
def probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss is the mean of the right tokens' probabilities, negated: the logarithm is missing."""
    surprise, counted = surprises(*shifted(logits, labels))
    return -(-surprise).exp()[counted].mean()


@mistake("2.4d")
def negative_logit(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss is minus the right token's logit: the log-sum-exp is missing. It could fall forever by
    making all logits larger.
    """
    logits, labels = shifted(logits, labels)
    counted = labels != NONE
    return -logits.gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)[counted].mean()


@mistake("2.4d")
def perplexity(logits: Tensor, labels: Tensor) -> Tensor:
    """Your function returns the perplexity, the exponential of the loss. Return the mean surprise
    itself.
    """
    return mean(*shifted(logits, labels)).exp()


@mistake("2.4d")
def softmax_over_positions(logits: Tensor, labels: Tensor) -> Tensor:
    """Your softmax runs over the positions. It runs over the vocabulary, the last dimension: the
    probabilities of all tokens at one position sum to 1.
    """
    logits, labels = shifted(logits, labels)
    counted = labels != NONE
    log_p = logits.log_softmax(dim=1)
    return -log_p.gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)[counted].mean()


@mistake("2.4d")
def largest_not_added_back(logits: Tensor, labels: Tensor) -> Tensor:
    """Your log-sum-exp lacks the largest logit: what was subtracted before the exponential must be
    added after the logarithm (or be subtracted from the right token's logit too).
    """
    surprise, counted = surprises(*shifted(logits, labels))
    return (surprise - logits[:, :-1].amax(dim=-1))[counted].mean()


@mistake("2.4d")
def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss compares probabilities with the right answer by squares. The loss of a language model
    is the surprise, minus the logarithm of the right token's probability.
    """
    logits, labels = shifted(logits, labels)
    counted = labels != NONE
    wanted = F.one_hot(labels.where(counted, 0), logits.shape[-1]).to(logits.dtype)
    return (logits.softmax(-1) - wanted).pow(2).sum(-1)[counted].mean()


@mistake("2.4d")
def detached(logits: Tensor, labels: Tensor) -> Tensor:
    """Your loss carries no gradient (detach, .data, .item() or torch.no_grad): nothing would ever
    learn.
    """
    return mean(*shifted(logits, labels)).detach()


@mistake("2.4d")
def detached_normalizer(logits: Tensor, labels: Tensor) -> Tensor:
    """Your log-sum-exp sends no gradient back (detach, .data or torch.no_grad): the right token's logit
    would be pushed up forever and no other one down.
    """
    logits, labels = shifted(logits, labels)
    counted = labels != NONE
    chosen = logits.gather(-1, labels.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return (logits.logsumexp(dim=-1).detach() - chosen)[counted].mean()
