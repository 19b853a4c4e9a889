"""4.2, sampling: known mistakes with the draw, and accepted variants of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.mistakes.core_temperature import Both
from step4_generate.model_solution import apply_temperature, greedy

Draw = Callable[[Tensor, float, torch.Generator | None], Tensor]


def drawn_by(draw: Draw) -> Both:
    """Return both targets with this draw at temperatures above 0."""

    def sample(logits: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        return greedy(logits) if temperature == 0 else draw(logits, temperature, generator)

    return {"apply_temperature": apply_temperature, "sample": sample}


def shares(logits: Tensor, temperature: float) -> Tensor:
    """Return the probabilities at this temperature."""
    return apply_temperature(logits, temperature).softmax(dim=-1)


def picked(probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return one token of each row."""
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)


def uniform(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Return numbers between 0 and 1, neither of them included."""
    return torch.rand(shape, generator=generator).clamp(min=1e-30)


def gumbel(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return Gumbel noise: added to logits, it makes the largest a draw from their softmax."""
    return -(-torch.rand(like.shape, generator=generator, dtype=torch.float64).log()).log()


@mistake("4.2")
def always_greedy() -> Both:
    """Your draw always gives the most probable token. That is greedy, at any temperature; chance has no part
    in it.
    """
    return drawn_by(lambda logits, T, generator: greedy(shares(logits, T)))


@mistake("4.2")
def without_temperature() -> Both:
    """Your draw leaves the temperature out: `sample` takes the softmax of the logits as they are."""

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        apply_temperature(logits, T)
        return picked(logits.softmax(dim=-1), generator)

    return drawn_by(draw)


@mistake("4.2")
def softmax_twice() -> Both:
    """Your draw takes the softmax twice. Probabilities lie between 0 and 1; taken for logits, they differ so
    little that all tokens become nearly equal.
    """
    return drawn_by(lambda logits, T, generator: picked(shares(logits, T).softmax(dim=-1), generator))


@mistake("4.2")
def hotter_noise() -> Both:
    """Your noise is wrongly scaled. Gumbel noise is added to logits / temperature as it is; multiplied by the
    temperature as well, it makes a law as of the temperature squared.
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        T = min(max(T, 1e-30), 1e30)
        return (apply_temperature(logits, T) + T * gumbel(logits, generator)).argmax(dim=-1)

    return drawn_by(draw)


@mistake("4.2")
def one_logarithm() -> Both:
    """Your noise is not Gumbel's: -log u in place of -log(-log u). The largest of logits with that noise is
    drawn by another law than their softmax.
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        noise = -uniform(tuple(logits.shape), generator).log()
        return (apply_temperature(logits, T) + noise).argmax(dim=-1)

    return drawn_by(draw)


@mistake("4.2")
def same_for_all_rows() -> Both:
    """Your draw uses one random number for the whole batch. Rows with the same logits then always get the
    same token: a batch of answers to one question would be one answer.
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        sums = shares(logits, T).double().cumsum(dim=-1)
        number = torch.rand(1, generator=generator, dtype=torch.float64) * sums[:, -1:]
        return torch.searchsorted(sums, number, right=True).squeeze(1)

    return drawn_by(draw)


@mistake("4.2")
def one_token_further() -> Both:
    """Your draw is one token off: the first place at which the running sum is above the random number is the
    token, not the one behind it.
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        sums = shares(logits, T).double().cumsum(dim=-1)
        number = torch.rand((len(logits), 1), generator=generator, dtype=torch.float64) * sums[:, -1:]
        return (torch.searchsorted(sums, number, right=True).squeeze(1) + 1) % logits.shape[-1]

    return drawn_by(draw)


@mistake("4.2")
def evenly() -> Both:
    """Your draw gives every token that is not cut off the same chance, whatever its probability."""
    return drawn_by(lambda logits, T, generator: picked(logits.isfinite().float(), generator))


@mistake("4.2")
def generator_forgotten() -> Both:
    """Your draw does not use the generator that it is handed. Nobody can have the same text twice, and every
    draw changes what all other code draws next.
    """
    return drawn_by(lambda logits, T, generator: picked(shares(logits, T), None))


@mistake("4.2")
def seeded_at_each_draw() -> Both:
    """Your draw seeds a generator anew each time. Where the law is the same, the token is the same, every
    time: chance does not go on.
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        return picked(shares(logits, T), torch.Generator().manual_seed(0))

    return drawn_by(draw)


@mistake("4.2")
def own_generator() -> Both:
    """Your draw has a generator of its own where none is passed. torch.manual_seed, which makes everything
    else repeatable, does not reach it.
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            generator = torch.Generator()
            generator.seed()
        return picked(shares(logits, T), generator)

    return drawn_by(draw)


@mistake("4.2")
def squeezed_whole() -> Both:
    """Your tokens lose the dimension of the batch when there is one row: squeeze() takes off every dimension
    of size 1. Say which one: squeeze(1).
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        return torch.multinomial(shares(logits, T), 1, generator=generator).squeeze()

    found = drawn_by(draw)
    inner = found["sample"]
    return found | {"sample": lambda *args, **named: inner(*args, **named).squeeze()}


@mistake("4.2")
def kept_as_a_column() -> Both:
    """Your tokens are a column, (B, 1), as torch.multinomial returns them. One token for each row is (B,)."""

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        return torch.multinomial(shares(logits, T), 1, generator=generator)

    return drawn_by(draw)


@mistake("4.2")
def zero_refused() -> Both:
    """Your `sample` refuses a temperature of 0. It is what ever smaller ones come to: the most probable
    token, without a division.
    """

    def sample(logits: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        return picked(shares(logits, temperature), generator)

    return {"apply_temperature": apply_temperature, "sample": sample}


@mistake("4.2")
def drawn_at_zero() -> Both:
    """Your `sample` draws at a temperature of 0 as at 1. It should take the most probable token."""

    def sample(logits: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        return picked(shares(logits, temperature or 1.0), generator)

    return {"apply_temperature": apply_temperature, "sample": sample}


@variant("4.2")
def by_gumbel() -> Both:
    """The largest of logits with Gumbel noise."""

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        return (apply_temperature(logits, T) + gumbel(logits, generator)).argmax(dim=-1)

    return drawn_by(draw)


@variant("4.2")
def by_inverse_cdf() -> Both:
    """A number between 0 and 1, and the place at which the running sum exceeds it."""

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        sums = shares(logits, T).double().cumsum(dim=-1)
        number = torch.rand((len(logits), 1), generator=generator, dtype=torch.float64) * sums[:, -1:]
        return torch.searchsorted(sums, number, right=True).squeeze(1)

    return drawn_by(draw)


@variant("4.2")
def by_race() -> Both:
    """Every token waits for a time drawn from an exponential law with its probability as the rate; the first
    that comes.
    """

    def draw(logits: Tensor, T: float, generator: torch.Generator | None) -> Tensor:
        times = torch.empty(logits.shape).exponential_(generator=generator)
        return (times / shares(logits, T)).argmin(dim=-1)

    return drawn_by(draw)
