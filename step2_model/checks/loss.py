"""Probes of the loss (2.4d) and of counting parameters (2.4e)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, equal
from step2_model.checks.observe import DEEP, fix_chance, gradients

NONE = -100
# Float32 keeps a number of 10,000 to 0.001: these claims ask only that nothing overflows.
COARSE = 1e-2


@check("2.4d")
def next_token_loss(m: Any, rng: Any) -> Any:
    fix_chance(rng)
    logits, labels = rng.normal(3, 6, 7), rng.integers(0, 7, 3, 6)
    labels[0, 2] = 0
    arguments = logits.clone(), labels.clone()
    yield "position t is asked for the label at t + 1; the mean over all pairs", m.next_token_loss(*arguments)
    yield "the arguments logits and labels are left as they were", arguments
    yield "two positions make one pair", m.next_token_loss(logits[:1, :2], labels[:1, :2])
    yield "surprise is in nats, however peaked the logits", m.next_token_loss(12 * logits, labels)
    arrived = gradients_of(m, logits, labels)
    yield equal("gradients reach the logits: (softmax - 1 at the label) / number of pairs", arrived, DEEP)

    gaps = labels.clone()
    gaps[0, -1] = gaps[1, 2] = gaps[1, 3] = NONE
    yield "labels of -100 do not count, in the sum or in the number of pairs", m.next_token_loss(logits, gaps)
    ragged = labels.clone()
    ragged[0, 2:] = ragged[2, -1] = NONE
    yield "rows of different lengths: every counted pair has the same say", m.next_token_loss(logits, ragged)
    first = labels.clone()
    first[:, 0] = NONE
    yield (
        "the label at position 0 is never asked for: -100 there changes nothing",
        m.next_token_loss(logits, first),
    )
    wide, wide_labels = rng.normal(2, 4, 130), rng.integers(0, 130, 2, 4)
    wide_labels[0, 1] = NONE
    yield "-100 is no index: with 130 tokens it is not the token 30", m.next_token_loss(wide, wide_labels)
    yield equal("no gradient where the label is -100", gradients_of(m, logits, ragged), DEEP)

    extreme = 1e4 * torch.sign(logits) + logits
    yield "logits of ±10,000 overflow nothing", m.next_token_loss(extreme, labels)
    yield equal("all logits near 10,000", m.next_token_loss(logits + 1e4, labels), COARSE)
    yield equal("all logits near -10,000: no logarithm of 0", m.next_token_loss(logits - 1e4, labels), COARSE)
    shift = 1e4 * torch.tensor([1.0, -1.0, 0.0, 1.0, -1.0, 0.0]).unsqueeze(-1)
    apart = m.next_token_loss(logits + shift, labels)
    yield equal(
        "positions near 10,000 beside others near -10,000: each has its own largest logit", apart, COARSE
    )
    yield equal("gradients stay finite at ±10,000", gradients_of(m, extreme, gaps), COARSE)


def gradients_of(m: Any, logits: torch.Tensor, labels: torch.Tensor) -> Any:
    """Return the gradient of the loss with respect to the logits."""
    leaf = logits.clone().requires_grad_()
    return gradients(m.next_token_loss(leaf, labels), torch.tensor(1.0), {"logits": leaf})["logits"]


@cases("2.4d")
def small_losses(m: Any) -> Any:
    even, two = [[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
    three = [[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]
    for logits, labels in (
        ([even], [[0, 1]]),
        ([two], [[0, 1]]),
        ([three], [[0, 1, 0]]),
        ([three], [[1, 0, NONE]]),
        ([three], [[0, NONE, 1]]),
        ([three, three], [[0, 1, 0], [0, 1, NONE]]),
        ([[[10000.0, 0.0], [0.0, 0.0]]], [[0, 1]]),
        ([[[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]], [[2, NONE, 0]]),
    ):
        given = torch.tensor(logits), torch.tensor(labels)
        yield {"logits": given[0], "labels": given[1]}, m.next_token_loss(*(t.clone() for t in given))


SIZES = ("vocab_size", "block_size", "n_layer", "n_head", "n_embd")


@check("2.4e")
def count_parameters(m: Any, rng: Any) -> Any:
    tiny = m.GPTConfig(vocab_size=1, block_size=1, n_layer=1, n_head=1, n_embd=1)
    yield "the smallest GPT there is: every size 1", m.count_parameters(tiny)
    yield (
        "tokens and positions: one vector of n_embd each, and the tied head none",
        [
            m.count_parameters(m.GPTConfig(**dict(zip(SIZES, (vocab, block, 1, 1, 2)))))
            for vocab, block in ((5, 1), (7, 1), (7, 9))
        ],
    )
    yield (
        "one more block: norms, attention and MLP, every weight and every bias",
        [m.count_parameters(m.GPTConfig(**dict(zip(SIZES, (5, 7, layers, 1, 3))))) for layers in (1, 2, 5)],
    )
    drawn = [rng.integer(2, 400), rng.integer(2, 90), rng.integer(2, 7), 3, 3 * rng.integer(2, 9)]
    yield "a GPT of sizes drawn at random", m.count_parameters(m.GPTConfig(**dict(zip(SIZES, drawn))))
    yield (
        "more heads are narrower heads: the number stays",
        [m.count_parameters(m.GPTConfig(**dict(zip(SIZES, (11, 13, 2, heads, 12))))) for heads in (1, 2, 6)],
    )
    yield "dropout has no parameters", m.count_parameters(m.GPTConfig(**dict(zip(SIZES, drawn)), dropout=0.5))
    yield "GPT-2, the smallest published size", m.count_parameters(m.GPTConfig())


@cases("2.4e")
def small_counts(m: Any) -> Any:
    for sizes in (
        (1, 1, 1, 1, 1),
        (2, 1, 1, 1, 1),
        (1, 2, 1, 1, 1),
        (1, 1, 2, 1, 1),
        (2, 3, 1, 1, 2),
        (3, 2, 2, 2, 4),
    ):
        yield dict(zip(SIZES, sizes)), m.count_parameters(m.GPTConfig(**dict(zip(SIZES, sizes))))
