"""Probes of the layers with experts: choosing them (2.13a, 2.13b), running them (2.13c), keeping them
busy (2.13d).
"""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, equal
from step2_model.checks.observe import DEEP, fix_chance, gradients

# Which of the K columns an expert comes in says nothing; what routing decides is a weight for each pair.
SHOWN = {"shown": "the weight of each expert; 0 where it is not chosen"}


def dense(found: Any, E: int) -> Any:
    """Return a routing as one matrix (N, E) of weights, whatever the order of the choices; anything else as
    it is.
    """
    is_pair = isinstance(found, tuple) and len(found) == 2
    if not is_pair or not all(isinstance(part, torch.Tensor) for part in found):
        return found
    weights, experts = found
    is_whole = experts.dtype in (torch.int64, torch.int32)
    if (
        weights.dim() != 2
        or weights.shape != experts.shape
        or not weights.is_floating_point()
        or not is_whole
    ):
        return found
    if experts.numel() and not 0 <= int(experts.min()) <= int(experts.max()) < E:
        return found
    return weights.new_zeros(len(weights), E).scatter_add(1, experts.long(), weights)


# Marks of a Golomb ruler: no two pairs of them have the same sum.
MARKS = (0, 2, 6, 24, 29, 40, 43, 55, 68, 75, 76, 85)


def apart(rng: Any, N: int) -> torch.Tensor:
    """Return logits (N, 12) whose sigmoids, and the sums of any two of them, are all apart by 2e-4 or
    more, so that no rounding decides a choice; biases in steps of 0.04 leave them so.
    """
    marks = torch.tensor(MARKS)[torch.from_numpy(rng.generator.permutation(12))]
    return torch.logit(0.04 * rng.integers(2, 23, N, 12) + 2e-4 * marks)


def shapes(found: Any) -> Any:
    """Return the shapes of what came back."""
    return [list(getattr(part, "shape", ())) for part in found] if isinstance(found, tuple) else found


@check("2.13a")
def choosing_experts(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    # In steps of 0.1, and each expert off them by another hundredth: no two of a token's logits are equal.
    logits = (20 * rng.normal(9, 6)).round() / 10 + torch.from_numpy(rng.generator.permutation(6)) / 100
    argument = logits.clone()
    found = m.softmax_router(argument, 2)
    yield "weights (N, K) and the numbers of the experts (N, K)", shapes(found)
    yield "each token's two likeliest experts, their probabilities rescaled to sum to 1", dense(found, 6)
    yield "the argument logits is left as it was", argument
    yield "one expert for each token: its weight is 1", dense(m.softmax_router(logits, 1), 6)
    yield "three of six", dense(m.softmax_router(logits, 3), 6)
    yield "all of them: plain softmax", dense(m.softmax_router(logits, 6), 6)
    yield "logits far below 0, too", dense(m.softmax_router(logits - 20, 2), 6)
    yield "logits in the hundreds overflow nothing", dense(m.softmax_router(logits + 300, 3), 6)
    yield "one token alone is routed as among others", dense(m.softmax_router(logits[4:5], 2), 6)
    # Eight numbers that bfloat16 tells apart, in another order for each token.
    order = torch.stack([torch.from_numpy(rng.generator.permutation(8)) for _ in range(5)])
    half = (order / 4 - 1).to(torch.bfloat16)
    yield "logits in bfloat16: probabilities and weights in float32", dense(m.softmax_router(half, 3), 8)
    logits.requires_grad_()
    yield equal(
        "gradients reach the logits through the weights",
        gradients(dense(m.softmax_router(logits, 3), 6), rng.normal(9, 6), {"logits": logits}),
        DEEP,
    )


@cases("2.13a")
def small_choices(m: Any) -> Any:
    for logits, k in (
        ([[0.0, 1.0]], 1),
        ([[0.0, 1.0, 2.0]], 2),
        ([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]], 2),
        ([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]], 3),
    ):
        given = torch.tensor(logits)
        yield {"logits": given, "k": k, **SHOWN}, dense(m.softmax_router(given.clone(), k), len(logits[0]))
    large = torch.tensor([[100.0, 101.0, 102.0]])
    yield {"logits": large, "k": 2, **SHOWN}, dense(m.softmax_router(large.clone(), 2), 3)
    half = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.bfloat16)
    yield {"logits": half, "k": 2, **SHOWN}, dense(m.softmax_router(half.clone(), 2), 3)


@check("2.13b")
def deepseek_router(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    logits, even = apart(rng, 60), torch.zeros(12)
    arguments = logits.clone(), 0.04 * rng.integers(-9, 10, 12)
    bias = arguments[1].clone()
    found = m.sigmoid_router(arguments[0], even, 3)
    yield "weights (N, K) and the numbers of the experts (N, K)", shapes(found)
    yield "without bias or groups: the three largest sigmoids, rescaled to sum to 1", dense(found, 12)
    yield "scale: the weights of a token sum to it", dense(m.sigmoid_router(logits, even, 3, scale=2.5), 12)
    yield "the bias takes part in the choice, not in the weights", dense(m.sigmoid_router(*arguments, 3), 12)
    yield "the arguments logits and bias are left as they were", [arguments[0] - logits, arguments[1] - bias]
    yield "one expert for each token: its weight is the scale", dense(m.sigmoid_router(logits, bias, 1), 12)
    yield from routing_in_groups(m, rng, logits, bias)
    half = (rng.integers(-8, 8, 4, 12) / 4 + torch.linspace(0, 0.2, 12)).to(torch.bfloat16)
    yield "logits in bfloat16: scores and weights in float32", dense(m.sigmoid_router(half, even, 3), 12)
    logits.requires_grad_()
    yield equal(
        "gradients reach the logits through the weights",
        gradients(
            dense(m.sigmoid_router(logits, bias, 3, 4, 2, 2.5), 12), rng.normal(60, 12), {"logits": logits}
        ),
        DEEP,
    )


def routing_in_groups(m: Any, rng: Any, logits: torch.Tensor, bias: torch.Tensor) -> Any:
    """Yield what groups must do, also where all that is left of the biased scores is below 0."""
    yield (
        "four groups of neighbors, two of them open: only their experts can be chosen",
        dense(m.sigmoid_router(logits, torch.zeros(12), 3, 4, 2), 12),
    )
    yield "groups are compared by biased scores", dense(m.sigmoid_router(logits, bias, 3, 4, 2), 12)
    yield "one open group of six", dense(m.sigmoid_router(logits, bias, 2, 2, 1), 12)
    yield "as many experts as the open groups have", dense(m.sigmoid_router(logits, bias, 6, 4, 2, 1.5), 12)
    # Group 0 has the single best expert, group 1 the best pair, group 2 the best three.
    worth = torch.tensor([[3.0, -3, -3, 0.8, 0.7, -3, 0.3, 0.2, 0.25, -3, -3, -3]])
    yield (
        "a group is worth the sum of its two best",
        dense(m.sigmoid_router(worth.roll(rng.integer(0, 4) * 3, 1), torch.zeros(12), 2, 4, 1), 12),
    )
    yield (
        "biased scores below 0: what is closed stays closed",
        dense(m.sigmoid_router(logits, bias - 5, 3, 4, 2), 12),
    )
    yield "groups of one expert each", dense(m.sigmoid_router(logits, bias, 2, 12, 4), 12)
    yield "all groups open: as without groups", dense(m.sigmoid_router(logits, bias, 4, 3, 3), 12)


@cases("2.13b")
def small_sigmoid_choices(m: Any) -> Any:
    for logits, bias, k, n_groups, topk_groups, scale in (
        ([[0.0, 1.0]], [0.0, 0.0], 1, 1, 1, 1.0),
        ([[0.0, 1.0]], [0.0, 1.0], 1, 1, 1, 1.0),
        ([[0.0, 1.0]], [0.3, 0.0], 1, 1, 1, 3.0),
        ([[0.0, 1.0, 2.0]], [0.0, 0.0, 0.0], 2, 1, 1, 1.0),
        ([[0.0, 1.0, 2.0]], [0.0, 0.0, 0.0], 2, 1, 1, 3.0),
        ([[0.0, 1.0, 2.0]], [1.0, 0.0, 0.0], 2, 1, 1, 1.0),
        ([[2.0, -4.0, 1.0, 0.0]], [0.0, 0.0, 0.0, 0.0], 2, 2, 1, 1.0),
        ([[2.0, -4.0, -1.0, -2.0]], [0.0, 0.0, 1.0, 1.0], 2, 2, 1, 1.0),
        ([[2.0, -4.0, -1.0, -2.0]], [-9.0, -9.0, -5.0, -5.0], 1, 2, 1, 1.0),
        ([[2.0, 0.0, -4.0, 1.0, 0.8, 0.9]], [0.0] * 6, 2, 2, 1, 1.0),
        ([[2.0, -4.0, -4.0, 0.0, 0.3, -4.0, -0.5, -0.4, -0.6]], [0.0] * 9, 2, 3, 1, 1.0),
    ):
        given = torch.tensor(logits), torch.tensor(bias)
        numbers = {"k": k, "n_groups": n_groups, "topk_groups": topk_groups, "scale": scale}
        inputs = {"logits": given[0], "bias": given[1], **numbers, **SHOWN}
        yield inputs, dense(m.sigmoid_router(*(t.clone() for t in given), **numbers), len(bias))
    half = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.bfloat16)
    yield (
        {"logits": half, "bias": torch.zeros(3), "k": 2, **SHOWN},
        dense(m.sigmoid_router(half.clone(), torch.zeros(3), 2), 3),
    )


@check("2.13d")
def keeping_busy(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    logits = 2 * rng.normal(9, 6)
    experts = logits.topk(2, dim=-1).indices
    arguments = logits.clone(), experts.clone()
    yield "one token that chooses one expert: E times that expert's probability", one_token(m)
    yield "E · Σ f(e) · P(e) over all experts", m.load_balance_loss(*arguments)
    yield "the arguments logits and experts are left as they were", arguments
    one = experts[:, :1]
    yield "one choice for each token", m.load_balance_loss(logits, one)
    yield "three choices of six experts", m.load_balance_loss(logits, logits.topk(3, dim=-1).indices)
    other = (experts + 1 + rng.integers(0, 2, 9, 1)) % 6
    yield "choices that do not follow the logits, as with a bias", m.load_balance_loss(logits, other)
    even = torch.stack([torch.arange(6), (torch.arange(6) + 1) % 6], dim=1)
    yield "all equally busy: the loss is K, whatever the probabilities", m.load_balance_loss(logits[:6], even)
    few = torch.stack([torch.zeros(9, dtype=torch.long), torch.ones(9, dtype=torch.long)], dim=1)
    yield "experts that nobody chose count as 0", m.load_balance_loss(logits, few)
    yield "logits in the hundreds overflow nothing", m.load_balance_loss(logits + 300, experts)
    logits.requires_grad_()
    yield equal(
        "gradients reach the logits through P, and through P alone",
        gradients(m.load_balance_loss(logits, experts), torch.ones(()), {"logits": logits}),
        DEEP,
    )


def one_token(m: Any) -> Any:
    """Return the loss of a single token with three experts."""
    return m.load_balance_loss(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[2]]))


@cases("2.13d")
def small_balances(m: Any) -> Any:
    zeros, ln3 = [0.0, 0.0], [1.0986123, 0.0]
    for logits, experts in (
        ([zeros], [[0]]),
        ([ln3], [[0]]),
        ([ln3], [[1]]),
        ([ln3, ln3], [[0], [0]]),
        ([ln3, ln3], [[0], [1]]),
        ([ln3, zeros], [[0], [1]]),
        ([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], [[0, 1], [0, 2]]),
    ):
        given = torch.tensor(logits), torch.tensor(experts)
        inputs = {"logits": given[0], "experts": given[1]}
        yield inputs, m.load_balance_loss(*(t.clone() for t in given))
