"""4.4b, the next token: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.model_solution import (
    SamplingArgs,
    apply_temperature,
    greedy,
    keep_top_k,
    keep_top_p,
    sample,
)

Generator = torch.Generator | None
Cut = Callable[[Tensor, SamplingArgs], Tensor]


def top_k(logits: Tensor, args: SamplingArgs) -> Tensor:
    """Cut by k, where there is one."""
    return logits if args.top_k is None else keep_top_k(logits, args.top_k)


def top_p(logits: Tensor, args: SamplingArgs) -> Tensor:
    """Cut by p, where there is one."""
    return logits if args.top_p is None else keep_top_p(logits, args.top_p)


def heat(logits: Tensor, args: SamplingArgs) -> Tensor:
    """Apply the temperature."""
    return apply_temperature(logits, args.temperature)


def drawn(logits: Tensor, args: SamplingArgs, generator: Generator, *cuts: Cut) -> Tensor:
    """Apply these functions in this order, then draw."""
    if args.temperature == 0:
        return greedy(logits)
    for cut in cuts:
        logits = cut(logits, args)
    return sample(logits, generator=generator)


@mistake("4.4b")
def temperature_last(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your temperature comes after both cuts. Top-p then looks at probabilities from which nobody draws: at a
    high temperature it keeps too few tokens, at a low one too many.
    """
    return drawn(logits, args, generator, top_k, top_p, heat)


@mistake("4.4b")
def top_p_first(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your top-p comes before top-k: it looks at the law with all tokens in it. It should look at what
    top-k has left, whose probabilities are higher.
    """
    return drawn(logits, args, generator, heat, top_p, top_k)


@mistake("4.4b")
def temperature_between_wrongly_ordered(
    logits: Tensor, args: SamplingArgs, generator: Generator = None
) -> Tensor:
    """Your order is turned round: top-p, top-k, then the temperature. Top-p comes last, since it depends on
    both others.
    """
    return drawn(logits, args, generator, top_p, top_k, heat)


@mistake("4.4b")
def temperature_twice(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your temperature acts twice, before the cuts and in the draw: what is drawn follows its square."""
    if args.temperature == 0:
        return greedy(logits)
    return sample(top_p(top_k(heat(logits, args), args), args), args.temperature, generator)


@mistake("4.4b")
def without_temperature(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw leaves the temperature out, unless it is 0."""
    return drawn(logits, args, generator, top_k, top_p)


@mistake("4.4b")
def without_top_k(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw leaves top-k out."""
    return drawn(logits, args, generator, heat, top_p)


@mistake("4.4b")
def without_top_p(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw leaves top-p out."""
    return drawn(logits, args, generator, heat, top_k)


@mistake("4.4b")
def one_cut_or_the_other(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw takes one cut or the other, never both: with a k that is set, p is not looked at."""
    return drawn(logits, args, generator, heat, top_p if args.top_k is None else top_k)


@mistake("4.4b")
def softmax_twice(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw takes the softmax twice: `sample` wants logits, and gets probabilities. Tokens that were cut
    off have 0 then, which as a logit is nearly as good as any other.
    """
    return drawn(logits, args, generator, heat, top_k, top_p, lambda logits, args: logits.softmax(dim=-1))


@mistake("4.4b")
def cuts_see_probabilities(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your top-p gets probabilities where it wants logits: it takes their softmax once more, finds all tokens
    nearly equal, and keeps too many.
    """

    def cut(logits: Tensor, args: SamplingArgs) -> Tensor:
        kept = top_p(logits.softmax(dim=-1), args)
        return logits.masked_fill(kept == float("-inf"), float("-inf"))

    return drawn(logits, args, generator, heat, top_k, cut)


@mistake("4.4b")
def generator_not_handed_on(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your generator is not handed on to `sample`: nobody can have the same text twice."""
    return drawn(logits, args, None, heat, top_k, top_p)


@mistake("4.4b")
def zero_refused(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw refuses a temperature of 0, since `apply_temperature` does. Greedy comes before all else."""
    return sample(top_p(top_k(heat(logits, args), args), args), generator=generator)


@mistake("4.4b")
def always_greedy(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw always gives the most probable token. The cuts decide what may be drawn; the draw is
    chance.
    """
    return greedy(top_p(top_k(logits, args), args))


@mistake("4.4b")
def evenly_among_the_rest(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Your draw gives all tokens that are left the same chance. They keep their proportions: what is twice as
    probable comes twice as often.
    """

    def even(logits: Tensor, args: SamplingArgs) -> Tensor:
        return logits.masked_fill(logits.isfinite(), 0.0)

    return drawn(logits, args, generator, heat, top_k, top_p, even)


@variant("4.4b")
def top_k_before_the_temperature(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Which tokens are the k most probable does not depend on the temperature."""
    return drawn(logits, args, generator, top_k, heat, top_p)


@variant("4.4b")
def from_sorted_rows(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """Sorted once: both cuts are places in the sorted row, and a number between 0 and 1 picks a place."""
    if args.temperature == 0:
        return logits.topk(1).indices.squeeze(1)
    V = logits.shape[-1]
    ranked, tokens = heat(logits, args).double().sort(dim=-1, descending=True)
    shares = ranked.masked_fill(torch.arange(V) >= (args.top_k or V), float("-inf")).softmax(dim=-1)
    sums = shares.cumsum(dim=-1)
    shares = shares.masked_fill(sums - shares >= (1.1 if args.top_p in (None, 1) else args.top_p or 0.0), 0.0)
    sums = shares.cumsum(dim=-1)
    number = torch.rand((len(logits), 1), generator=generator, dtype=torch.float64) * sums[:, -1:]
    place = torch.searchsorted(sums, number, right=True)
    return tokens.gather(-1, place).squeeze(1)


@variant("4.4b")
def by_noise(logits: Tensor, args: SamplingArgs, generator: Generator = None) -> Tensor:
    """A temperature of 0 as one of 1e-30, and Gumbel noise for the draw."""
    logits = apply_temperature(logits, max(args.temperature, 1e-30))
    logits = top_p(top_k(logits, args), args)
    noise = -(-torch.rand(logits.shape, generator=generator, dtype=torch.float64).log()).log()
    return (logits + noise).argmax(dim=-1)
