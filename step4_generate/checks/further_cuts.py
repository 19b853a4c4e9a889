"""Probes of what changes a law before it is drawn from: min-p (4.7) and the penalties (4.8a, 4.8b)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from coursekit.probe import cases, check, equal
from step4_generate.checks.echo import ending


def steps_of(rng: Any, *shape: int) -> torch.Tensor:
    """Return logits that are multiples of 1/8, so that none lies at the edge of a cut by chance."""
    return rng.integers(-32, 17, *shape) / 8


@check("4.7")
def keep_min_p(m: Any, rng: Any) -> Any:
    logits = steps_of(rng, 6, 12) + torch.tensor([[0.0], [3.0], [-3.0], [1.0], [0.5], [-1.0]])
    logits[:, 3] = logits.amax(dim=1) - 0.125
    yield "one row: what has at least 0.1 of the largest probability stays", m.keep_min_p(logits[:1], 0.1)
    for share in (0.3, 0.02):
        yield f"min_p = {share}: each row by its own largest probability", m.keep_min_p(logits, share)
    tied = logits.clone()
    tied[:, 4] = tied[:, 9] = tied.amax(dim=1)
    yield "min_p = 1: the largest stay, all that are tied", m.keep_min_p(tied, 1.0)
    cut = logits.masked_fill(torch.arange(12) % 3 == 0, float("-inf"))
    yield "what has been cut before stays cut", m.keep_min_p(cut, 0.1)
    yield "a min_p of 0 changes nothing", m.keep_min_p(cut, 0.0)
    yield "logits around 1,000 are cut like those around 0", m.keep_min_p(logits + 1000, 0.1)
    yield "a single token stays, whatever its logit", m.keep_min_p(logits[:, :1] - 50, 0.9)
    given = logits.clone()
    m.keep_min_p(given, 0.3)
    yield "the argument is left as it was", given
    wrong = [ending(partial(m.keep_min_p, logits, share)) for share in (-0.1, 1.1)]
    yield "a min_p below 0 or above 1 is refused", wrong


@cases("4.7")
def small_min_p(m: Any) -> Any:
    for logits, share in (
        ([[0.0, 0.0]], 1.0),
        ([[2.0, 0.0]], 0.5),
        ([[2.0, 0.0]], 0.1),
        ([[2.0, 1.0, 0.0]], 0.2),
        ([[0.0, 1.0], [3.0, 1.0]], 0.35),
        ([[100.0, 98.0]], 0.5),
        ([[0.0, 0.0, 0.0, 0.0]], 0.5),
    ):
        given = torch.tensor(logits)
        yield {"logits": torch.tensor(logits), "min_p": share}, (m.keep_min_p(given, share), given)


# The filler of these rows, 2, is also a token of the prompts.
PADDED = torch.tensor([[2, 2, 5, 2, 6, 5], [4, 2, 2, 7, 4, 4], [2, 2, 2, 2, 2, 1]])
PADDING = torch.tensor([2, 0, 5])


@check("4.8a")
def repetition(m: Any, rng: Any) -> Any:
    yield from counting(m, rng)
    logits, ids = 0.2 + rng.uniform(0.0, 4.0, 3, 9), rng.integers(0, 9, 3, 5)
    once = torch.tensor([[1, 4, 6], [0, 1, 8], [3, 2, 7]])
    name = "penalize_repetition: "
    yield (
        name + "positive logits are divided, and what has not occurred stays",
        m.penalize_repetition(logits, once, 1.7),
    )
    yield name + "negative logits are multiplied", m.penalize_repetition(-logits, once, 1.7)
    often = torch.tensor([[1, 1, 1], [0, 0, 1], [3, 3, 3]])
    yield name + "once, however often a token has occurred", m.penalize_repetition(logits, often, 1.7)
    mixed = rng.normal(3, 9, std=3.0)
    mixed[:, 5] = 0.0
    yield name + "both signs, and zeros", m.penalize_repetition(mixed, ids, 1.3)
    yield name + "a penalty below 1 makes repetition likelier", m.penalize_repetition(mixed, ids, 0.6)
    yield name + "padding is no repetition", m.penalize_repetition(mixed, PADDED, 1.3, PADDING)
    cut = mixed.masked_fill(torch.arange(9) % 4 == 0, float("-inf"))
    yield name + "what is cut off stays cut off", m.penalize_repetition(cut, ids, 1.3)
    yield name + "float64 stays float64", m.penalize_repetition(mixed.double(), ids, 1.3)
    given = mixed.clone()
    m.penalize_repetition(given, ids, 1.3)
    yield "the logits are left as they were", given
    wrong = [ending(partial(m.penalize_repetition, mixed, ids, p)) for p in (0.0, -1.0)]
    yield "a penalty of 0 or below is refused", wrong


def counting(m: Any, rng: Any) -> Any:
    """Yield what `count_tokens` returns."""
    name = "count_tokens: "
    ids = rng.integers(0, 5, 4, 9)
    yield name + "one row: how often each token occurs, 0 if never", m.count_tokens(ids[:1], 8)
    yield name + "several rows, each for itself", m.count_tokens(ids, 8)
    yield name + "without ids all counts are 0", m.count_tokens(ids[:, :0], 8)
    yield name + "padding does not count", m.count_tokens(ids + 1, 8, torch.tensor([3, 1, 5, 2]))
    yield name + "the filler's id counts where it is a token", m.count_tokens(PADDED, 8, PADDING)
    yield name + "a padding of 0 in all rows", m.count_tokens(PADDED, 8, torch.tensor([0, 0, 0]))
    given = ids.clone()
    m.count_tokens(given, 8, torch.tensor([3, 1, 5, 2]))
    yield name + "the ids are left as they were", given


@cases("4.8a")
def small_repetition(m: Any) -> Any:
    """Outputs are the counts, and the penalized logits."""
    for logits, ids, penalty, padding in (
        ([[2.0, 4.0]], [[0]], 2.0, None),
        ([[2.0, -4.0]], [[1]], 2.0, None),
        ([[2.0, -4.0]], [[1, 1]], 2.0, None),
        ([[2.0, -4.0, 6.0]], [[0, 0, 2]], 2.0, [1]),
        ([[2.0, -4.0, 6.0]], [[0, 0, 2]], 2.0, [2]),
        ([[2.0, 4.0], [2.0, 4.0]], [[0, 0], [1, 1]], 2.0, None),
    ):
        extra = {} if padding is None else {"padding": torch.tensor(padding)}
        inputs = {"logits": torch.tensor(logits), "ids": torch.tensor(ids)}
        counts = m.count_tokens(inputs["ids"].clone(), len(logits[0]), **extra)
        given = inputs["logits"].clone()
        penalized = m.penalize_repetition(given, inputs["ids"].clone(), penalty, **extra)
        yield {**inputs, "penalty": penalty, **extra}, (counts, penalized, given)


@check("4.8b")
def counts(m: Any, rng: Any) -> Any:
    logits, ids = rng.normal(3, 9, std=2.0), rng.integers(0, 6, 3, 12)
    ids[0, :4] = torch.tensor([1, 1, 1, 4])
    yield "frequency: subtracted for every time", m.penalize_counts(logits, ids, frequency=0.7)
    yield "presence: subtracted once", m.penalize_counts(logits, ids, presence=0.9)
    yield "both of them", m.penalize_counts(logits, ids, 0.3, 1.1)
    yield "negative penalties make repetition likelier", m.penalize_counts(logits, ids, -0.4, -0.2)
    yield "padding does not count", m.penalize_counts(logits, PADDED, 0.3, 1.1, PADDING)
    yield "by default nothing changes", m.penalize_counts(logits, ids)
    yield "nothing has occurred yet", m.penalize_counts(logits, ids[:, :0], 0.3, 1.1)
    half = m.penalize_counts(logits.bfloat16(), ids, 0.25, 0.5)
    yield "bfloat16 stays bfloat16", str(half.dtype) if isinstance(half, torch.Tensor) else half
    given = logits.clone()
    m.penalize_counts(given, ids, 0.3, 1.1)
    yield "the logits are left as they were", given
    yield equal("a token that occurs 12 times", m.penalize_counts(logits, 0 * ids + 7, 0.5, 0.25))


@cases("4.8b")
def small_counts(m: Any) -> Any:
    for ids, frequency, presence, padding in (
        ([[0]], 0.5, 0.0, None),
        ([[0, 0]], 0.5, 0.0, None),
        ([[0, 0]], 0.0, 0.25, None),
        ([[0, 0, 1]], 0.5, 0.25, None),
        ([[0, 0, 1]], 0.5, 0.25, [1]),
        ([[0, 0], [1, 0]], 0.5, 0.25, None),
    ):
        logits = torch.tensor([[4.0, 2.0, 1.0]] * len(ids))
        extra = {} if padding is None else {"padding": torch.tensor(padding)}
        told = {"ids": torch.tensor(ids), "frequency": frequency, "presence": presence, **extra}
        given = logits.clone()
        yield {"logits": logits, **told}, (m.penalize_counts(given, **told), given)
