"""Probe of the next token with all that comes before the draw (4.4b)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coursekit.probe import cases, check, holds, law
from step4_generate.checks.core_observe import Global, fix_chance, generator_of, unchanged
from step4_generate.checks.core_sample import DRAWS, HUNDREDS, is_no_more, often, share

# Probabilities in 40ths: 12, 10, 8, 6, 4. Sums and settings are far from each other at every cut.
WEIGHTS = (12, 10, 8, 6, 4)


def law_of(weights: Any) -> Tensor:
    """Return the law of tokens with these weights; of a weight of 0 none is ever drawn."""
    return torch.tensor(weights, dtype=torch.float64)


class Settings:
    """The tokens in an order of their own, and the laws under settings of the sampler."""

    def __init__(self, rng: Any) -> None:
        self.order = rng.normal(5).argsort()
        self.logits = torch.tensor(WEIGHTS)[self.order].float().log() + 3.0

    def p(self, *weights: float) -> Tensor:
        """Return the law in which the most probable token has the first weight, and so on."""
        return law_of(weights)[self.order]


@check("4.4b")
def next_token(m: Any, rng: Any) -> Any:
    fix_chance(rng.integer(0, 2**31))
    found, A = Settings(rng), m.SamplingArgs
    rows = rng.normal(3, 6)
    cold = [A(0.0), A(0.0, 2, 0.5), A(0.0, 1), A(0.0, None, 0.1)]
    tokens = [m.next_token(rows.clone(), args) for args in cold]
    yield "temperature 0: the most probable token of each row, whatever else is set", tokens
    many = found.logits.expand(DRAWS, -1)
    yield from of_settings(m, found, many)
    yield from of_batches(m, rng, found, many)


def of_settings(m: Any, found: Settings, many: Tensor) -> Any:
    """Yield, for each setting, which tokens are drawn and how often."""
    A, shares = m.SamplingArgs, WEIGHTS
    squares, cubes = tuple(w * w for w in WEIGHTS), tuple(w**3 for w in WEIGHTS)
    roots, fourth = tuple(w**0.5 for w in WEIGHTS), tuple(w**0.25 for w in WEIGHTS)
    for told, args, weights, kept in (
        ("nothing set: the softmax of the logits", A(), shares, 5),
        ("temperature 0.5: the squares of the probabilities", A(0.5), squares, 5),
        ("temperature 2: their roots", A(2.0), roots, 5),
        ("top_k = 3: three are left, in their proportions", A(1.0, 3), shares, 3),
        ("top_p = 0.5, which 12 + 10 of 40 reach: two are left", A(1.0, None, 0.5), shares, 2),
        ("top_k = 4 and top_p = 0.5: two are left", A(1.0, 4, 0.5), shares, 2),
        (
            "the temperature comes before top-p: at 1/3 two reach 0.65, at 1 three",
            A(1 / 3, None, 0.65),
            cubes,
            2,
        ),
        ("and at 4 four reach 0.7, at 1 three", A(4.0, None, 0.7), fourth, 4),
        ("top-k comes before top-p: of 12, 10 and 8 two reach 0.7, of all three", A(1.0, 3, 0.7), shares, 2),
        ("all three: at 1/2 and of three tokens, two reach 0.75", A(0.5, 3, 0.75), squares, 2),
        ("top_k = 1: the most probable, at any temperature", A(3.0, 1), shares, 1),
        ("top_p = 1 and top_k = 99 cut nothing", A(1.0, 99, 1.0), shares, 5),
    ):
        drawn = m.next_token(many, args)
        yield f"{told}; which tokens come", drawn.unique() if isinstance(drawn, Tensor) else drawn
        yield law(f"{told}; how often", drawn, found.p(*weights[:kept], *[0.0] * (5 - kept)))
    p = share(found.logits, 0.5)
    yield holds("at 0.5 the most probable comes no more often", m.next_token(many, A(0.5)), is_no_more, p)


def of_batches(m: Any, rng: Any, found: Settings, many: Tensor) -> Any:
    """Yield draws of rows that differ, and what generators have to do with it."""
    args = m.SamplingArgs(0.8, 4, 0.9)
    flat = torch.stack([found.logits, found.logits.flip(0) - 50]).repeat(DRAWS, 1)
    tokens = m.next_token(flat, m.SamplingArgs(1.0, 3, 0.7))
    p = found.p(12, 10, 0, 0, 0)
    yield law("two kinds of rows by turns, each with its own cut: the first", tokens[::2], p)
    yield law("the second", tokens[1::2], p.flip(0))
    seed = rng.integer(0, 2**31)
    state = Global()
    one = m.next_token(many, args, generator_of(seed))
    is_left_alone = not state.is_moved()
    yield (
        "equal states of the generator give equal tokens",
        torch.equal(one, m.next_token(many, args, generator_of(seed))),
    )
    yield "torch's own generator is left alone then", is_left_alone
    fix_chance(seed)
    again = m.next_token(many, args)
    fix_chance(seed)
    yield "without one, torch's own is used", torch.equal(again, m.next_token(many, args))
    with unchanged(many) as told:
        m.next_token(many, args)
    yield "the logits that were passed are as they were", told


@cases("4.4b")
def small_next_tokens(m: Any) -> Any:
    """What is drawn is counted: in hundreds, to the nearest 20 of 400."""
    for T, k, p in ((0.0, None, None), (0.0, 1, 0.1)):
        logits = torch.tensor([[1.0, 2.0], [4.0, 3.0]])
        inputs = {"logits": logits, "temperature": T, "top_k": str(k), "top_p": str(p)}
        yield inputs, m.next_token(logits.clone(), m.SamplingArgs(T, k, p))
    fix_chance(0)
    for weights, T, k, p in (
        ((1, 3), 1.0, None, None),
        ((1, 2), 0.5, None, None),
        ((1, 3, 1), 1.0, 1, None),
        ((2, 6, 1, 1), 1.0, 2, None),
        ((2, 6, 1, 1), 1.0, None, 0.7),
        ((3, 2, 1), 0.5, None, 0.6),
        ((400, 25, 1), 2.0, None, 0.9),
        ((6, 2, 1, 1), 1.0, 2, 0.7),
        ((6, 2, 2), 1.0, 99, 0.5),
    ):
        logits = torch.tensor(weights).log()
        inputs = {"probabilities": str(weights) + f" / {sum(weights)}", "logits": "their logarithms"}
        inputs |= {"temperature": T, "top_k": str(k), "top_p": str(p), "rows": "40,000 of them"}
        tokens = m.next_token(logits.expand(100 * HUNDREDS, -1), m.SamplingArgs(T, k, p))
        shown = {"asked": "how often each came, in hundreds, to the nearest 20"}
        yield inputs | shown, often(tokens, len(weights))
    zeros, args = torch.zeros(50, 4), m.SamplingArgs(1.0, 3)
    same = torch.equal(m.next_token(zeros, args, generator_of(1)), m.next_token(zeros, args, generator_of(1)))
    shown = {"logits": "50 rows of 4 zeros", "top_k": "3", "generators": "equal seeds"}
    yield {**shown, "asked": "are the tokens of two calls equal?"}, same
