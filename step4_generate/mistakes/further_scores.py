"""4.10, scoring and perplexity: known mistakes, each a pair of functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step4_generate.further_solution import perplexity, reading, score

Pair = dict[str, Callable[..., Any]]
# From a window's logits (T, V) and its ids (T,) to the scores of the tokens after the first.
Reader = Callable[[Tensor, Tensor], Tensor]


def check_stride(window: int, stride: int) -> None:
    """Raise ValueError for a stride that leaves no overlap."""
    if not 1 <= stride < window:
        raise ValueError(f"stride must be at least 1 and below window {window}, got {stride}")


def looked_up(logits: Tensor, text: Tensor) -> Tensor:
    """Return the log-probabilities of the tokens that came."""
    return logits[:-1].log_softmax(dim=-1).gather(1, text[1:, None]).squeeze(1)


def in_windows(
    model: Any, ids: Tensor, window: int, stride: int, read: Reader = looked_up, keep_all: bool = False
) -> Tensor:
    """Return the scores in windows, each read by `read`."""
    parts, start, end = [torch.zeros(0)], 0, 1
    while end < len(ids):
        text = ids[start : start + window]
        found = read(model(text[None]).logits[0], text)
        parts.append(found if keep_all else found[end - start - 1 :])
        start, end = start + stride, start + len(text)
    return torch.cat(parts)


def with_score(function: Callable[[Any, Tensor, int, int], Tensor], check: bool = True) -> Pair:
    """Return a pair whose `score` is this function, in evaluation mode."""

    def score(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        if check:
            check_stride(window, stride)
        with reading(model):
            return function(model, ids, window, stride)

    return {"score": score, "perplexity": perplexity}


def with_reader(read: Reader) -> Pair:
    """Return a pair whose scores are read off the logits in this way."""
    return with_score(lambda model, ids, window, stride: in_windows(model, ids, window, stride, read))


def with_perplexity(function: Callable[[Tensor], float]) -> Pair:
    """Return a pair with this perplexity, which refuses to average nothing."""

    def perplexity(scores: Tensor) -> float:
        if len(scores) == 0:
            raise ValueError("perplexity must have at least one score to average, got none")
        return function(scores)

    return {"score": score, "perplexity": perplexity}


@mistake("4.10", called="Each position is asked for its own token, not for the next")
def own_token() -> Pair:
    """You ask position t for token t, which it has just read. It says how probable token t + 1 is."""
    return with_reader(lambda logits, text: logits[1:].log_softmax(-1).gather(1, text[1:, None]).squeeze(1))


@mistake("4.10")
def in_bits() -> Pair:
    """Your scores are in bits: nats are asked for, the natural logarithm."""
    return with_reader(lambda logits, text: looked_up(logits, text) / math.log(2))


@mistake("4.10", called="The scores are surprises: their sign is turned")
def surprises() -> Pair:
    """Your scores are positive: surprises. A log-probability is at most 0."""
    return with_reader(lambda logits, text: -looked_up(logits, text))


@mistake("4.10")
def no_logarithm() -> Pair:
    """Your scores are probabilities: take their logarithm. A text's probability is a product, which only a
    sum of logarithms can hold.
    """
    return with_reader(lambda logits, text: looked_up(logits, text).exp())


@mistake("4.10")
def bare_logits() -> Pair:
    """Your scores are logits: without the softmax they say nothing of the other tokens."""
    return with_reader(lambda logits, text: logits[:-1].gather(1, text[1:, None]).squeeze(1))


@mistake("4.10", called="Tokens where two windows overlap are scored twice")
def scored_twice() -> Pair:
    """You keep every window's scores whole: tokens where two windows overlap are scored twice."""
    return with_score(
        lambda model, ids, window, stride: in_windows(model, ids, window, stride, keep_all=True)
    )


@mistake("4.10")
def no_overlap() -> Pair:
    """Your windows stand side by side, whatever the stride is: the first tokens of each have next to nothing
    before them, and look improbable.
    """

    def function(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        return in_windows(model, ids, window, window - 1)

    return with_score(function)


@mistake("4.10", called="Each token after the first window has a window of its own")
def stride_of_one() -> Pair:
    """You move the window by one token each time, whatever the stride is: each token sees more, at the price
    of a whole window.
    """

    def function(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        return in_windows(model, ids, window, 1)

    return with_score(function)


@mistake("4.10", called="The rest of the text, shorter than a window, is left out")
def rest_left_out() -> Pair:
    """You leave out what does not fill a whole window at the end: the last tokens have no score."""

    def function(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        count = max(0, len(ids) - window) // stride
        length = window + count * stride if len(ids) > window else len(ids)
        return in_windows(model, ids[:length], window, stride)

    return with_score(function)


@mistake("4.10", called="The model is given the whole text at once")
def whole_text() -> Pair:
    """You give the model the whole text at once: it has no positions for more than a window."""

    def function(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        return looked_up(model(ids[None]).logits[0], ids) if len(ids) > 1 else torch.zeros(0)

    return with_score(function)


@mistake("4.10", called="The last stride tokens of each window are scored, the first window's others not")
def beginning_left_out() -> Pair:
    """You score the last `stride` tokens of every window, the first one included: the beginning of the text
    has no scores. The first window scores all of its tokens but one.
    """

    def function(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        scores = in_windows(model, ids, window, stride)
        return scores[max(0, min(window, len(ids)) - 1 - stride) :]

    return with_score(function)


@mistake("4.10", called="A stride as long as the window, or longer, is accepted")
def any_stride() -> Pair:
    """You accept a stride as long as the window, or longer: tokens are scored with nothing before them, or
    not at all.
    """

    def function(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        return in_windows(model, ids, window, min(max(stride, 1), window - 1))

    return with_score(function, check=False)


@mistake("4.10", called="The model trains meanwhile: dropout is on, gradients are kept")
def in_training() -> Pair:
    """You ask the model as it is, without `reading`: one that was training scores with dropout."""

    def score(model: Any, ids: Tensor, window: int, stride: int) -> Tensor:
        check_stride(window, stride)
        return in_windows(model, ids, window, stride).detach()

    return {"score": score, "perplexity": perplexity}


@mistake("4.10")
def power_of_two() -> Pair:
    """Your perplexity is a power of 2, but the scores are in nats: exp undoes the natural logarithm."""
    return with_perplexity(lambda scores: 2 ** -scores.double().mean().item())


@mistake("4.10")
def below_one() -> Pair:
    """Your perplexity is exp of the mean score, not of the mean surprise: it is below 1, where a guess among
    several is above.
    """
    return with_perplexity(lambda scores: math.exp(scores.double().mean().item()))


@mistake("4.10")
def of_the_sum() -> Pair:
    """Your perplexity takes the sum, not the mean: the longer the text, the larger it would be."""
    return with_perplexity(lambda scores: math.exp(-scores.double().sum().item()))


@mistake("4.10", called="The mean is taken after exp, not before")
def mean_of_exp() -> Pair:
    """You average exp of the surprises. exp of their mean is asked for: a single improbable token would
    outweigh all others.
    """
    return with_perplexity(lambda scores: (-scores.double()).exp().mean().item())
