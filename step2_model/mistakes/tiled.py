"""2.15, attention in tiles: known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake

State = tuple[Tensor, Tensor, Tensor]
HIDDEN = float("-inf")


def pieces(q: Tensor, k: Tensor, v: Tensor, block: int, **changes: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the masked scores and the values, block by block, with faults on demand: the width of √width,
    what is added to each query's position, how many keys are read, and how a block's keys are numbered.
    """
    T, S = q.shape[-2], k.shape[-2]
    position = torch.arange(T) + changes.get("offset", S - T)
    for start in range(0, changes.get("end", S), block):
        keys = k[..., start : start + block, :]
        scores = q @ keys.mT / math.sqrt(changes.get("width", q.shape[-1]))
        number = torch.arange(keys.shape[-2]) + (start if changes.get("is_counted", True) else 0)
        yield (
            scores.masked_fill(number > position[:, None], changes.get("hidden", HIDDEN)),
            v[..., start : start + block, :],
        )


def begin(q: Tensor, v: Tensor) -> State:
    """Return largest, sum and mixture before anything was seen."""
    zeros = q.new_zeros((*q.shape[:-1], 1))
    return zeros + HIDDEN, zeros, zeros.expand(*q.shape[:-1], v.shape[-1])


def online(state: State, scores: Tensor, values: Tensor) -> State:
    """Take one block in, as it should be."""
    largest, total, mixture = state
    larger = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    shrink, weights = (largest - larger).exp(), (scores - larger).exp()
    return larger, total * shrink + weights.sum(dim=-1, keepdim=True), mixture * shrink + weights @ values


def tiled(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    block: int,
    *,
    take: Callable[[State, Tensor, Tensor], State] = online,
    begin: Callable[[Tensor, Tensor], State] = begin,
    **changes: Any,
) -> Tensor:
    """Attend in tiles with one part exchanged."""
    state = begin(q, v)
    for scores, values in pieces(q, k, v, block, **changes):
        state = take(state, scores, values)
    return state[2] / state[1]


@mistake("2.15")
def nothing_rescaled(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your sum and mixture are never rescaled. When a larger score turns up, what was added before was
    measured against a smaller one: it counts too much. Multiply both by e^(old - new largest).
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        larger = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        weights = (scores - larger).exp()
        return larger, total + weights.sum(dim=-1, keepdim=True), mixture + weights @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def sum_not_rescaled(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your sum is not rescaled when a larger score turns up, only your mixture is. The two belong together:
    both shrink by e^(old - new largest).
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        larger, _, mixture = online(state, scores, values)
        return larger, state[1] + (scores - larger).exp().sum(dim=-1, keepdim=True), mixture

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def mixture_not_rescaled(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your mixture is not rescaled when a larger score turns up, only your sum is. The two belong together:
    both shrink by e^(old - new largest).
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        larger, total, _ = online(state, scores, values)
        return larger, total, state[2] + (scores - larger).exp() @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def grows_instead(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your sum and mixture grow where they should shrink: the exponent is the wrong way round. The old
    largest is the smaller one, so that e^(old - new) is at most 1.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        larger = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        weights = (scores - larger).exp()
        grow = (larger - largest).exp().where(largest > HIDDEN, torch.ones(()))
        return larger, total * grow + weights.sum(dim=-1, keepdim=True), mixture * grow + weights @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def largest_replaced(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your largest score is that of the newest block, even where an earlier block had a larger one. Then what
    came before grows, without a bound, and a block that is hidden from a query turns its row into NaN. Take
    the larger of the two.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        newest = scores.amax(dim=-1, keepdim=True)
        shrink, weights = (largest - newest).exp(), (scores - newest).exp()
        return newest, total * shrink + weights.sum(dim=-1, keepdim=True), mixture * shrink + weights @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def largest_kept(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your largest score is that of the first block and never changes. The result is right as long as nothing
    overflows; a later score that is larger by 89 is more than float32 can raise e to.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        first = torch.where(largest == HIDDEN, scores.amax(dim=-1, keepdim=True), largest)
        weights = (scores - first).exp()
        return first, total + weights.sum(dim=-1, keepdim=True), mixture + weights @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15", called="The exponentials are taken without the largest score")
def no_largest(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your exponentials are taken of the scores as they are. From 89 on they are infinite in float32, and
    below -104 all 0: subtract the largest score seen, and rescale when it changes.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        weights = scores.exp()
        return largest, total + weights.sum(dim=-1, keepdim=True), mixture + weights @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def begins_at_0(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your largest score begins at 0. Where all of a query's scores lie far below 0, all exponentials are 0,
    and 0 / 0 is NaN: begin at minus infinity.
    """

    def zeros(q: Tensor, v: Tensor) -> State:
        largest, total, mixture = begin(q, v)
        return torch.zeros_like(largest), total, mixture

    return tiled(q, k, v, block, begin=zeros)


@mistake("2.15")
def one_largest_for_all(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your largest score is one number for all queries. A query whose own scores lie far below it gets
    exponentials of 0, and 0 / 0: every query has a largest score of its own.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        larger = torch.maximum(largest, scores.amax())
        shrink, weights = (largest - larger).exp(), (scores - larger).exp()
        return larger, total * shrink + weights.sum(dim=-1, keepdim=True), mixture * shrink + weights @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def blocks_averaged(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your function takes a softmax in each block and the mean of the blocks' answers. A block with large
    scores must have a larger say: add exponentials and mixtures, and divide once.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        is_seen = (scores.amax(dim=-1, keepdim=True) > HIDDEN).to(scores.dtype)
        return largest, total + is_seen, mixture + scores.softmax(dim=-1).nan_to_num() @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def blocks_added(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your function takes a softmax in each block and adds the blocks' answers: the weights of a query sum to
    the number of blocks it reads. Divide once, at the end, by the sum over all blocks.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        return largest, torch.ones_like(total), mixture + scores.softmax(dim=-1).nan_to_num() @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15")
def divided_in_each(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your mixture is divided by the sum after every block, and then again. What was divided once does
    not fit to what the next block adds: divide at the end, or multiply by the old sum first.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        larger, total, mixture = online(state, scores, values)
        return larger, total, mixture / total

    largest, total, mixture = begin(q, v)
    for scores, values in pieces(q, k, v, block):
        largest, total, mixture = take((largest, total, mixture), scores, values)
    return mixture
