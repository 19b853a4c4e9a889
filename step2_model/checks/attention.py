"""Probes of attention: scores (2.3a), mask (2.3b) and mixture (2.3c)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, equal
from step2_model.checks.observe import (
    DEEP,
    fix_chance,
    gradients,
)


@check("2.3a")
def attention_scores(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    q, k = rng.normal(2, 3, 4, 8), rng.normal(2, 3, 4, 8)
    arguments = q.clone(), k.clone()
    yield "scores[t, s] = q[t] · k[s] / √D", m.attention_scores(*arguments)
    yield "the arguments q and k are left as they were", arguments
    longer = rng.normal(2, 3, 7, 8)
    yield "7 keys for 4 queries: a row for each query, a column for each key", m.attention_scores(q, longer)
    yield "another width: √D is of this D", m.attention_scores(*rng.normal(2, 2, 3, 4, 3))
    yield "one query alone scores the same", m.attention_scores(q[:, :, -1:], k)
    yield "without batch or heads: (T, D) and (S, D)", m.attention_scores(q[0, 0], longer[0, 0])
    yield "one leading dimension: (B, T, D)", m.attention_scores(q[0], longer[0])
    yield "three leading dimensions", m.attention_scores(*rng.normal(2, 2, 3, 2, 4, 5))
    yield (
        "vectors a thousand times as long score a million times as high",
        m.attention_scores(1e3 * q, 1e3 * k),
    )
    q.requires_grad_()
    k.requires_grad_()
    yield equal(
        "gradients reach q and k",
        gradients(m.attention_scores(q, k), rng.normal(2, 3, 4, 4), {"q": q, "k": k}),
        DEEP,
    )


@cases("2.3a")
def small_scores(m: Any) -> Any:
    for q, k in (
        ([[1.0]], [[2.0]]),
        ([[1.0, 1.0]], [[2.0, 0.0]]),
        ([[1.0, 0.0], [0.0, 2.0]], [[1.0, 2.0], [3.0, 0.0]]),
        ([[1.0, 0.0], [0.0, 2.0]], [[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]]),
        ([[[1.0, 0.0], [0.0, 2.0]]], [[[1.0, 2.0], [3.0, 0.0]]]),
    ):
        a, b = torch.tensor(q), torch.tensor(k)
        yield {"q": a, "k": b}, m.attention_scores(a, b)


# Many constants hide a key equally well; what a small case shows is what they have in common.
SHOWN = {"shown": "the softmax of what you return"}


def spread(masked: Any) -> Any:
    """Return the weights behind masked scores: whatever hides a key well enough gives the same."""
    is_scores = isinstance(masked, torch.Tensor) and masked.is_floating_point() and masked.dim() > 0
    return masked.softmax(dim=-1) if is_scores else masked


def loud_future(rng: Any, T: int, S: int) -> torch.Tensor:
    """Return scores of about -30 for the keys that may be read and +30 for those that may not.

    A mask that only lowers the scores a little, or sets them to 0, shows here; one of -1000 or lower
    does not.
    """
    place = torch.arange(S - T, S).unsqueeze(-1)
    return torch.where(torch.arange(S) > place, 30.0, -30.0) + rng.normal(2, 3, T, S)


@check("2.3b")
def causal_mask(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    scores = rng.normal(2, 3, 5, 5)
    argument = scores.clone()
    yield (
        "the softmax of what you return: query t spreads its weight over the keys 0 to t",
        spread(m.apply_causal_mask(argument)),
    )
    yield "the argument is left as it was: a new tensor is returned", argument
    yield (
        "no weight leaks to the future, however high it scores",
        spread(m.apply_causal_mask(loud_future(rng, 5, 5))),
    )
    signs = rng.integers(-1, 2, 2, 3, 5, 5).float()
    yield "a score of exactly 0 is a score like any other", spread(m.apply_causal_mask(signs))
    yield "without batch or heads: (T, S)", spread(m.apply_causal_mask(scores[0, 0]))
    yield "three leading dimensions", spread(m.apply_causal_mask(rng.normal(2, 3, 2, 4, 4)))
    scores.requires_grad_()
    yield equal(
        "gradients reach the scores",
        gradients(spread(m.apply_causal_mask(scores)), rng.normal(2, 3, 5, 5), {"scores": scores}),
        DEEP,
    )
    late = rng.normal(2, 3, 2, 6)
    yield "2 new queries over 6 positions: they are the last two", spread(m.apply_causal_mask(late))
    yield (
        "new queries: no weight leaks to the future, however high it scores",
        spread(m.apply_causal_mask(loud_future(rng, 4, 7))),
    )
    yield "a single new query reads every position", spread(m.apply_causal_mask(late[:, :, -1:]))


@cases("2.3b")
def small_masks(m: Any) -> Any:
    """Outputs are shown as the weights that softmax makes of them."""
    for scores in (
        [[1.0]],
        [[1.0, 2.0], [3.0, 4.0]],
        [[1.0, 2.0]],
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]],
        # Three new queries after two: here alone a window that is off by one either way shows as such.
        [[0.0, 0.0, 0.0, 0.0, 0.0]] * 3,
    ):
        given = torch.tensor(scores)
        yield {"scores": given, **SHOWN}, spread(m.apply_causal_mask(given.clone()))
    large = torch.tensor([[-30.0, 30.0], [-30.0, -30.0]])
    yield {"scores": large, **SHOWN}, spread(m.apply_causal_mask(large.clone()))


def unchanged(weights: torch.Tensor) -> torch.Tensor:
    """Stand for dropout in evaluation."""
    return weights


def squared(weights: torch.Tensor) -> torch.Tensor:
    """Stand for dropout in training: shows where, and how often, it was applied."""
    return weights * weights


@check("2.3c")
def mixture(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    scores, v = rng.normal(2, 3, 4, 5), rng.normal(2, 3, 5, 7)
    arguments = scores.clone(), v.clone()
    yield "y[t] = Σ softmax(scores[t])[s] · v[s], summed over s", m.attend(*arguments, unchanged)
    yield "the arguments scores and v are left as they were", arguments
    hidden = scores.masked_fill(torch.ones(4, 5, dtype=torch.bool).triu(2), float("-inf"))
    yield "a score of minus infinity: that key has no say", m.attend(hidden, v, unchanged)
    square = rng.normal(2, 3, 4, 4)
    yield (
        "as many keys as queries: still one set of weights for each query",
        m.attend(square, v[..., :4, :], unchanged),
    )
    yield "dropout acts once, on the weights after the softmax", m.attend(scores, v, squared)
    yield "without batch or heads: (T, S) and (S, D)", m.attend(scores[0, 0], v[0, 0], unchanged)
    yield (
        "three leading dimensions",
        m.attend(rng.normal(2, 3, 2, 4, 5), rng.normal(2, 3, 2, 5, 2), unchanged),
    )
    # Float32 keeps a score of some hundreds to 3e-5: these two ask only that nothing overflows.
    yield equal("scores in the hundreds overflow nothing", m.attend(400 * scores, v, unchanged), 1e-3)
    yield equal("scores far below zero divide nothing by 0", m.attend(scores - 400, v, unchanged), 1e-3)
    scores.requires_grad_()
    v.requires_grad_()
    y = m.attend(scores, v, unchanged)
    found = gradients(y, rng.normal(2, 3, 4, 7), {"scores": scores, "v": v})
    yield equal("gradients reach the scores and v", found, DEEP)


@cases("2.3c")
def small_mixtures(m: Any) -> Any:
    for scores, v in (
        ([[0.0]], [[2.0]]),
        ([[0.0, 0.0]], [[2.0], [4.0]]),
        ([[0.0, 1.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]),
        ([[0.0, 1.0, 2.0], [2.0, 0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]),
        ([[100.0, 0.0]], [[2.0], [4.0]]),
        ([[[0.0, 1.0], [2.0, 0.0]], [[1.0, 1.0], [0.0, 3.0]]], [[[1.0], [2.0]], [[3.0], [5.0]]]),
    ):
        given = torch.tensor(scores), torch.tensor(v)
        for name, dropout in (("leaves the weights", unchanged), ("squares the weights", squared)):
            inputs = {"scores": given[0], "v": given[1], "dropout": name}
            yield inputs, m.attend(*(tensor.clone() for tensor in given), dropout)
