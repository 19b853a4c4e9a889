"""Probes of the draw: the temperature (4.2), and the next token with all that comes before it (4.4b)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import cases, check, holds, law
from step4_generate.checks.core_observe import Global, fix_chance, generator_of, refusal, unchanged

INF, NAN = float("inf"), float("nan")
# With so many draws a law that is off by a few parts in a hundred is refused, and right code never.
DRAWS = 20_000


def laws(m: Any, logits: Tensor, *temperatures: float) -> list[Any]:
    """Return the probabilities at each of these temperatures."""
    return [m.apply_temperature(logits.clone(), T).softmax(dim=-1) for T in temperatures]


@check("4.2")
def sample(m: Any, rng: Any) -> Any:
    fix_chance(rng.integer(0, 2**31))
    rows = 1.5 * rng.normal(4, 6) + torch.tensor([[0.0], [5.0], [-60.0], [90.0]])
    yield "temperature 1: the softmax of the logits", laws(m, rows[:1], 1.0)
    yield "0.5 and 2: that of twice and of half the logits", laws(m, rows[:1], 0.5, 2.0)
    yield "rows of a batch, of other sizes", laws(m, rows, 0.7, 3.0)
    deep = rng.normal(2, 3, 5)
    yield (
        "dimensions in front are kept: (2, 3, 5), and none at all: (5,)",
        [
            *laws(m, deep, 0.5),
            *laws(m, deep[0, 0], 0.5),
        ],
    )
    yield "at 1e-30 the largest of each row has it all, at 1e30 all the same", laws(m, rows, 1e-30, 1e30)
    large = 1e12 * rng.normal(2, 5)
    yield "logits of 1e12 at 1e-30, where a division overflows", laws(m, large, 1e-30)
    yield "1e-300, which float32 does not have", laws(m, rows, 1e-300)
    yield "at an infinite temperature all are equal", laws(m, rows, INF)
    masked = rows.masked_fill(rows < rows.median(dim=-1, keepdim=True).values, -INF)
    yield "what was cut off stays cut off, at any temperature", laws(m, masked, 1e-30, 0.5, 1e30, INF)
    half = m.apply_temperature(rows.bfloat16(), 0.3)
    yield "logits of half precision become float32 first", [str(half.dtype), half.softmax(dim=-1)]
    wrong = (0.0, -1.0, -INF, NAN)
    yield (
        "apply_temperature refuses 0, what is below, and NaN",
        [refusal(partial(m.apply_temperature, rows, T)) for T in wrong],
    )
    with unchanged(rows) as told:
        m.apply_temperature(rows, 0.5)
        m.sample(rows, 0.5)
    yield "the logits that were passed are as they were", told
    yield from draws(m, rng, rows)


def draws(m: Any, rng: Any, rows: Tensor) -> Any:
    """Yield what is drawn: at the ends, by chance, and with generators."""
    yield "sample at temperature 0: the most probable token of each row, (B,)", m.sample(rows.clone(), 0.0)
    yield "one row: one token, (1,)", m.sample(rows[:1].clone(), 0)
    yield (
        "at 1e-30 and 1e-300 it is drawn, and the same",
        [m.sample(rows.clone(), T) for T in (1e-30, 1e-300)],
    )
    flat = steps_of(rng)
    many = flat.expand(DRAWS, -1)
    yield "at temperature 0 equal rows give one token, each time", m.sample(many[:100], 0.0)
    p = flat.double().softmax(dim=-1)
    yield law("each token comes as often as its softmax says", m.sample(many), p)
    for T, told in ((0.5, "temperature 0.5: the laws of twice"), (2.0, "temperature 2: of half")):
        drawn = m.sample(many, T)
        yield law(f"{told} the logits", drawn, (flat.double() / T).softmax(dim=-1))
        yield holds(f"at {T:g} the most probable comes no more often", drawn, is_no_more, share(flat, T))
        yield holds(f"at {T:g} the most probable comes no less often", drawn, is_no_less, share(flat, T))
    masked = flat.masked_fill(flat < flat.median(), -INF)
    for T in (1.0, 1e30, INF):
        p = torch.where(masked.isfinite(), (masked.double() / T).exp(), 0.0)
        yield law(f"what was cut off is never drawn (at {T:g})", m.sample(masked.expand(DRAWS, -1), T), p)
    yield from of_rows(m, flat)
    yield from of_generators(m, rng, many)


def steps_of(rng: Any) -> Tensor:
    """Return logits 0 to 2 in steps of 0.5, in an order of their own."""
    return torch.arange(5)[rng.normal(5).argsort()] / 2


def share(logits: Tensor, T: float) -> float:
    """Return the probability of the most probable token at a temperature."""
    return float((logits.double() / T).softmax(dim=-1).amax())


def is_no_more(drawn: Any, given: Any) -> bool:
    """Accept draws among which the most frequent is at most given, and seven standard deviations."""
    counts = sorted(drawn.data.tolist().count(token) for token in set(drawn.data.tolist()))
    return len(drawn.data) == DRAWS and bool(counts[-1] <= given * DRAWS + 7 * (DRAWS / 4) ** 0.5)


def is_no_less(drawn: Any, given: Any) -> bool:
    """Accept draws among which the most frequent is at least given, less seven standard deviations."""
    counts = sorted(drawn.data.tolist().count(token) for token in set(drawn.data.tolist()))
    return len(drawn.data) == DRAWS and bool(counts[-1] >= given * DRAWS - 7 * (DRAWS / 4) ** 0.5)


def of_rows(m: Any, flat: Tensor) -> Any:
    """Yield draws of rows that differ, and of rows that are alike."""
    other = flat.flip(0) * 1.5
    drawn = m.sample(torch.stack([flat, other]).repeat(DRAWS, 1))
    for i, row in enumerate((flat, other)):
        told = f"two kinds of rows by turns, each with its own law: the {('first', 'second')[i]}"
        yield law(told, drawn[i::2], row.double().softmax(dim=-1))
    p = flat.double().softmax(dim=-1)
    one, two = m.sample(flat.expand(2 * DRAWS, -1)).reshape(2, -1)
    yield law("two rows of a batch are drawn independently", 5 * one + two, p.outer(p).flatten())


def of_generators(m: Any, rng: Any, many: Tensor) -> Any:
    """Yield what generators have to do with it."""
    seed = rng.integer(0, 2**31)
    fix_chance(seed)
    state = Global()
    generator = generator_of(seed + 1)
    one = m.sample(many, 1.0, generator)
    two = m.sample(many, 1.0, generator)
    is_left_alone = not state.is_moved()
    yield "a generator that is passed moves: the next draw is another", torch.equal(one, two)
    fix_chance(seed + 2)
    again = m.sample(many, 1.0, generator_of(seed + 1))
    yield "equal states of it give equal tokens, whatever torch's own does", torch.equal(one, again)
    yield "torch's own generator is left alone then", is_left_alone
    fix_chance(seed)
    one, two = m.sample(many), m.sample(many)
    fix_chance(seed)
    again = m.sample(many)
    yield (
        "without one, torch's own is used: next draws equal, draws from one seed",
        [
            torch.equal(one, two),
            torch.equal(one, again),
        ],
    )
    yield (
        "sample refuses what is below 0, and NaN",
        [refusal(partial(m.sample, many[:2], T)) for T in (-1.0, -INF, NAN)],
    )


HUNDREDS = 400


def often(tokens: Tensor, V: int) -> list[int]:
    """Return how many hundreds of HUNDREDS · 100 draws each token has, to the nearest: right code agrees on
    it but for one time in many billions where the wanted numbers are whole.
    """
    return [round(int((tokens == v).sum()) / 100 / 20) * 20 for v in range(V)]


@cases("4.2")
def small_samples(m: Any) -> Any:
    """What is drawn is counted: in hundreds, to the nearest 20 of 400."""
    for logits, T in (([[0.0, 1.0]], 1.0), ([[0.0, 1.0]], 0.5), ([[2.0, 4.0]], 2.0), ([[1.0, 3.0]], INF)):
        inputs = {"function": "softmax of apply_temperature", "logits": torch.tensor(logits)}
        yield inputs | {"temperature": T}, laws(m, torch.tensor(logits), T)[0]
    for logits, T in (([[0.0, -INF, 0.0]], INF), ([[0.0, 1e12]], 1e-30), ([[1.0, 0.0], [90.0, 91.0]], 1e-30)):
        inputs = {"function": "softmax of apply_temperature", "logits": torch.tensor(logits)}
        yield inputs | {"temperature": T}, laws(m, torch.tensor(logits), T)[0]
    half = torch.tensor([[1.0, 0.0]]).bfloat16()
    shown = {"function": "softmax of apply_temperature", "logits": "[[1, 0]] in bfloat16"}
    yield shown | {"temperature": 0.3}, laws(m, half, 0.3)[0]
    mine = torch.tensor([[1.0, 3.0]])
    m.sample(mine, 0.5)
    yield {"logits": torch.tensor([[1.0, 3.0]]), "temperature": 0.5, "asked": "the logits afterwards"}, mine
    yield from small_draws(m)


def small_draws(m: Any) -> Any:
    """Yield what comes of draws from logits whose probabilities are tenths."""
    for weights, T in (([[1, 3]], 0.0), ([[1, 3], [3, 1]], 0.0), ([[1, 3]], 1e-30)):
        inputs = {"function": "sample", "logits": torch.tensor(weights).log(), "temperature": T}
        yield inputs, m.sample(torch.tensor(weights).log(), T)
    fix_chance(0)
    for row, T in (([1, 1], 1.0), ([1, 3], 1.0), ([1, 2], 0.5), ([1, 16], 2.0), ([1, 0, 3], 1.0)):
        logits = torch.tensor(row).log()
        inputs = {"function": "sample, 40,000 rows at once", "logits": logits, "temperature": T}
        shown = {"asked": "how often each token came, in hundreds, to the nearest 20"}
        yield inputs | shown, often(m.sample(logits.expand(100 * HUNDREDS, -1), T), len(row))
    logits = torch.zeros(50, 4)
    for told, one, two in (("equal", 1, 1), ("two", 1, 2)):
        drawn = [m.sample(logits, 1.0, generator_of(seed)) for seed in (one, two)]
        inputs = {"function": "sample, twice", "logits": "50 rows of 4 zeros", "generators": f"{told} seeds"}
        yield inputs | {"asked": "are the tokens equal?"}, torch.equal(*drawn)
    state = Global()
    m.sample(logits, 1.0, generator_of(1))
    inputs = {"function": "sample, with a generator", "logits": "50 rows of 4 zeros"}
    yield inputs | {"asked": "is torch's own moved?"}, state.is_moved()
    both = torch.stack([m.sample(torch.zeros(2, 4)) for _ in range(50)])
    inputs = {"function": "sample, 50 times", "logits": "2 rows of 4 zeros"}
    yield inputs | {"asked": "do both rows always have the same token?"}, torch.equal(both[:, 0], both[:, 1])
    inputs = {"function": "sample", "logits": "1 row of 4 zeros", "asked": "the shape"}
    yield inputs, list(m.sample(torch.zeros(1, 4)).shape)
