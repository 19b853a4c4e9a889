"""3.15, what a token costs: known mistakes with what is counted how often, and accepted variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coursekit.probe import mistake, variant
from step3_pretrain.further_solution import flops_per_token, utilization

Pair = dict[str, Callable[..., Any]]


def pair(flops: Callable[..., Any] = flops_per_token, share: Callable[..., Any] = utilization) -> Pair:
    """Return an implementation of the pair; what is not given is right."""
    return {"flops_per_token": flops, "utilization": share}


@mistake("3.15", called="Each weight costs 2 operations: the forward pass alone")
def forward_alone() -> Pair:
    """Your count has 2 operations for each weight: those of the forward pass. Backward takes twice as many,
    one product for the gradient of the input and one for that of the weight.
    """
    return pair(lambda N, L, W, T: 2 * N + 12 * L * W * T)


@mistake("3.15", called="Each weight costs 4 operations: backward is counted like forward")
def backward_like_forward() -> Pair:
    """Your count has 4 operations for each weight: backward as much as forward. It takes two products for
    each one of the forward pass.
    """
    return pair(lambda N, L, W, T: 4 * N + 12 * L * W * T)


@mistake("3.15", called="Each weight costs 8 operations: the forward pass is counted twice")
def recomputed() -> Pair:
    """Your count has 8 operations for each weight, as if the forward pass were done twice. Where that is done
    to save memory it does not count as work done.
    """
    return pair(lambda N, L, W, T: 8 * N + 12 * L * W * T)


@mistake("3.15")
def no_attention() -> Pair:
    """Your count leaves out attention: scores and mixtures. They have no weights, but with long blocks they
    cost as much as all matrices.
    """
    return pair(lambda N, L, W, T: 6 * N)


@mistake("3.15", called="Attention costs 4 · L · W · T: its backward pass is missing")
def attention_forward_alone() -> Pair:
    """Your count has attention forward alone, 4 · L · W · T. Backward takes twice as much again."""
    return pair(lambda N, L, W, T: 6 * N + 4 * L * W * T)


@mistake("3.15", called="Attention costs 6 · L · W · T")
def half_of_attention() -> Pair:
    """Your count has 6 · L · W · T for attention: scores without mixtures, or only the half that the causal
    mask leaves. As is the custom, all of both is counted.
    """
    return pair(lambda N, L, W, T: 6 * N + 6 * L * W * T)


@mistake("3.15", called="Attention is counted for one layer")
def one_layer() -> Pair:
    """Your count has the attention of one layer. There are L of them."""
    return pair(lambda N, L, W, T: 6 * N + 12 * W * T)


@mistake("3.15", called="Attention grows with the square of the block")
def squared_block() -> Pair:
    """Your count has T² in attention: that is what a whole block costs. One token's query meets T keys."""
    return pair(lambda N, L, W, T: 6 * N + 12 * L * W * T**2)


@mistake("3.15", called="The weights count once for each position of the block")
def whole_block() -> Pair:
    """Your count multiplies the weights by T: that is what a block costs, not a token."""
    return pair(lambda N, L, W, T: 6 * N * T + 12 * L * W * T)


@mistake("3.15", called="Utilization is the peak over what is spent")
def upside_down() -> Pair:
    """Your utilization is upside down: the peak over what is spent. A share is at most 1."""
    return pair(share=lambda speed, flops, peak: peak / (speed * flops) if speed else float("inf"))


@mistake("3.15", called="Utilization divides by twice the peak")
def peak_twice() -> Pair:
    """Your utilization divides by twice the peak. Makers count a multiply-add as two operations, and so does
    `flops`: nothing more is to be doubled.
    """
    return pair(share=lambda speed, flops, peak: speed * flops / (2 * peak))


@mistake("3.15", called="Utilization is in per cent")
def per_cent() -> Pair:
    """Your utilization is in per cent: 100 times the share that is asked for."""
    return pair(share=lambda speed, flops, peak: 100 * speed * flops / peak)


@mistake("3.15", called="Utilization divides by the cost of a token")
def divides_by_cost() -> Pair:
    """Your utilization divides by what a token costs. The dearer a token, the more is done in a second:
    multiply.
    """
    return pair(share=lambda speed, flops, peak: speed / flops / peak)


@variant("3.15")
def pass_by_pass() -> Pair:
    """Forward first, then three times that; the time of a token over the time that it needs at least."""

    def flops(num_weights: int, n_layers: int, width: int, block_size: int) -> int:
        scores = mixtures = 2 * width * block_size
        return 3 * (2 * num_weights + n_layers * (scores + mixtures))

    return pair(flops, lambda tokens_per_second, flops, peak: tokens_per_second / (peak / flops))


@variant("3.15")
def added_layer_by_layer() -> Pair:
    """Attention added layer by layer; the share in another order."""

    def flops(num_weights: int, n_layers: int, width: int, block_size: int) -> int:
        return 6 * num_weights + sum(12 * width * block_size for _ in range(n_layers))

    def share(tokens_per_second: float, flops: float, peak: float) -> float:
        return flops / peak * tokens_per_second

    return pair(flops, share)


@variant("3.15")
def multiply_adds_doubled() -> Pair:
    """Multiply-adds of three passes, doubled; the share of a second that the work would take."""

    def flops(num_weights: int, n_layers: int, width: int, block_size: int) -> int:
        multiply_adds = num_weights + 2 * n_layers * width * block_size
        return 2 * multiply_adds * 3

    def share(tokens_per_second: float, flops: float, peak: float) -> float:
        seconds_per_token = flops / peak
        return seconds_per_token * tokens_per_second

    return pair(flops, share)
