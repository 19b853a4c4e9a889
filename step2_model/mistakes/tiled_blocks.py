"""2.15, attention in tiles: known mistakes with blocks, mask and memory, and accepted variants."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step2_model.further_solution import attend_tiled
from step2_model.mistakes.tiled import HIDDEN, State, begin, online, pieces, tiled
from step2_model.model_solution import apply_causal_mask, attend, attention_scores


@mistake("2.15", called="The keys after the query are not hidden")
def no_mask(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your function hides nothing: each query reads the keys after it too, among them the token that it
    has to predict.
    """
    return tiled(q, k, v, block, offset=k.shape[-2])


@mistake("2.15", called="The mask takes the queries for the first positions")
def no_offset(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your mask takes the T queries for the first T of the S positions. They are the last T: query t
    stands at position S - T + t.
    """
    return tiled(q, k, v, block, offset=0)


@mistake("2.15")
def off_by_one(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your mask lets each query read one position too far: the token that it has to predict."""
    return tiled(q, k, v, block, offset=k.shape[-2] - q.shape[-2] + 1)


@mistake("2.15")
def numbers_in_block(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your mask counts the keys of every block from 0, so that in later blocks the future is not hidden. The
    key at place i of a block stands at position start + i.
    """
    return tiled(q, k, v, block, is_counted=False)


@mistake("2.15", called="Hidden scores are set to 0")
def hidden_with_0(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your mask sets the scores of the future to 0, which softmax takes for a score like any other. Only
    minus infinity becomes a weight of 0.
    """
    return tiled(q, k, v, block, hidden=0.0)


@mistake("2.15")
def rest_lost(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your loop leaves out the last keys where `block` does not divide S. Let the last block be shorter:
    slices end at the end of the tensor by themselves.
    """
    S = k.shape[-2]
    return tiled(q, k, v, block, end=max(S - S % block, 1))


@mistake("2.15", called="The scores are not divided by √D")
def no_scale(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your scores are not divided by √D, which keeps them at a variance of 1 whatever the width of a head."""
    return tiled(q, k, v, block, width=1)


@mistake("2.15")
def scaled_by_values(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your scores are divided by the square root of the width of the values. What is multiplied are
    queries and keys: their width counts.
    """
    return tiled(q, k, v, block, width=v.shape[-1])


@mistake("2.15")
def minus_infinities(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your blocks are read from the last to the first, or each subtracts its own largest score. Where a block
    is hidden from a query altogether, that is minus infinity less minus infinity, NaN, and NaN stays. Begin
    with block 0, in which every query sees a key, and subtract the largest score so far.
    """

    def take(state: State, scores: Tensor, values: Tensor) -> State:
        largest, total, mixture = state
        own = scores.amax(dim=-1, keepdim=True)
        larger = torch.maximum(largest, own)
        weights, shrink = (scores - own).exp() * (own - larger).exp(), (largest - larger).exp()
        return larger, total * shrink + weights.sum(dim=-1, keepdim=True), mixture * shrink + weights @ values

    return tiled(q, k, v, block, take=take)


@mistake("2.15", called="The whole matrix of scores is held")
def whole_matrix(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your function computes all T × S scores at once, at the beginning or a copy of them later. The
    result is right, but it is this matrix that tiles are to avoid: score one block of keys at a time.
    """
    return attend(apply_causal_mask(attention_scores(q, k)), v, lambda weights: weights)


@mistake("2.15")
def whole_mask(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your function builds the whole mask, T × S, and cuts it into blocks. It is smaller than the scores
    of all heads, but grows with the square of the text all the same: compare positions inside each block.
    """
    T, S = q.shape[-2], k.shape[-2]
    is_late = torch.ones(T, S, dtype=torch.bool).triu(S - T + 1)
    state = begin(q, v)
    for start in range(0, S, block):
        part = slice(start, start + block)
        scores = q @ k[..., part, :].mT / math.sqrt(q.shape[-1])
        state = online(state, scores.masked_fill(is_late[:, part], HIDDEN), v[..., part, :])
    return state[2] / state[1]


@mistake("2.15", called="The keys are cut into `block` pieces, not into pieces of `block` keys")
def count_of_blocks(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your function cuts the keys into `block` pieces (chunk), where `block` is how many keys a piece has
    (split). The result is the same, but pieces grow with the text.
    """
    return attend_tiled(q, k, v, math.ceil(k.shape[-2] / block))


@mistake("2.15", called="The mixture is never divided by the sum")
def never_divided(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your mixture is never divided by the sum of the exponentials: the weights of a query do not sum to
    1.
    """
    state = begin(q, v)
    for scores, values in pieces(q, k, v, block):
        state = online(state, scores, values)
    return state[2]


@mistake("2.15", called="The mixture carries no gradient")
def detached(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Your result carries no gradient (detach, .data or torch.no_grad): queries, keys and values would never
    learn.
    """
    return attend_tiled(q.detach(), k.detach(), v.detach(), block)


@variant("2.15")
def by_logsumexp(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Blocks' answers, each divided, weighed by the logarithms of their sums."""
    shape = (*q.shape[:-1], v.shape[-1])
    log_total, answer = q.new_full((*q.shape[:-1], 1), HIDDEN), q.new_zeros(shape)
    for scores, values in pieces(q, k, v, block):
        log_sum = torch.logsumexp(scores, dim=-1, keepdim=True)
        both = torch.logaddexp(log_total, log_sum)
        answer = answer * (log_total - both).exp() + (scores - both).exp() @ values
        log_total = both
    return answer


@variant("2.15")
def queries_in_tiles(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Tiles of queries too; blocks that lie behind a tile's last query are skipped, as in FlashAttention."""
    S, T = k.shape[-2], q.shape[-2]
    parts = []
    for start in range(0, T, block):
        tile = q[..., start : start + block, :]
        end = S - T + min(start + block, T)
        parts.append(attend_tiled(tile, k[..., :end, :], v[..., :end, :], block))
    return torch.cat(parts, dim=-2)


@variant("2.15")
def in_float64(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Everything in float64, scores by einsum, the largest finite number below 0 as a start."""
    state = q.new_full((*q.shape[:-1], 1), -1e300, dtype=torch.float64), torch.zeros(()), torch.zeros(())
    T, S = q.shape[-2], k.shape[-2]
    for start in range(0, S, block):
        part = slice(start, min(start + block, S))
        scores = torch.einsum("...td,...sd->...ts", q.double(), k[..., part, :].double()) / q.shape[-1] ** 0.5
        is_late = torch.arange(part.start, part.stop) > torch.arange(S - T, S)[:, None]
        scores = scores + torch.zeros(is_late.shape).masked_fill(is_late, HIDDEN)
        state = online(state, scores, v[..., part, :].double())
    return (state[2] / state[1]).to(q.dtype)


@variant("2.15")
def twice_over(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """The largest scores first, then all blocks a second time."""
    largest = q.new_full((*q.shape[:-1], 1), HIDDEN)
    for scores, _ in pieces(q, k, v, block):
        largest = torch.maximum(largest, scores.detach().amax(dim=-1, keepdim=True))
    total, mixture = torch.zeros_like(largest), q.new_zeros(())
    for scores, values in pieces(q, k, v, block):
        weights = (scores - largest).exp()
        total, mixture = total + weights.sum(dim=-1, keepdim=True), mixture + weights @ values
    return mixture / total


@variant("2.15")
def from_the_back(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """Blocks from the last to the first, with rows that have seen nothing yet left alone."""
    largest, total, mixture = begin(q, v)
    for scores, values in reversed(list(pieces(q, k, v, block))):
        larger = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        anchor = larger.masked_fill(larger == HIDDEN, 0.0)
        shrink, weights = (largest - anchor).exp(), (scores - anchor).exp()
        total = total * shrink + weights.sum(dim=-1, keepdim=True)
        mixture, largest = mixture * shrink + weights @ values, larger
    return mixture / total
