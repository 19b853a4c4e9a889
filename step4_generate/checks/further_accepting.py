"""Probes of drafts of one law that become draws from another (4.12a)."""

from __future__ import annotations

from typing import Any

import torch

from coursekit.probe import cases, check, law
from step3_pretrain.checks.observe import Generators

# As often as this a call is repeated where only chance could hide a fault: once in 2^24 it would.
TIMES = 24
DRAWS = 1_200


def seeded(rng: Any) -> torch.Generator:
    """Return a generator of its own; torch's is seeded, so that code which draws from it can be known
    again.
    """
    torch.manual_seed(rng.integer(0, 2**31))
    return torch.Generator().manual_seed(rng.integer(0, 2**31))


def one_hot(*tokens: int) -> torch.Tensor:
    """Return laws over 5 tokens, each with all on one of them."""
    return torch.eye(5)[list(tokens)]


def repeated(
    m: Any, generator: torch.Generator, drafts: Any, q: Any, p: Any, times: int = TIMES
) -> list[tuple[int, ...]]:
    """Return which results come in so many calls."""
    results = [m.accept_drafts(drafts.clone(), q.clone(), p.clone(), generator) for _ in range(times)]
    return sorted({tuple(result.tolist()) for result in results})


@check("4.12a")
def accept_drafts(m: Any, rng: Any) -> Any:
    generator = seeded(rng)
    drafts = torch.tensor([3, 1, 4])
    sure = one_hot(3, 1, 4, 2)
    yield "all accepted: the drafts and one token more", m.accept_drafts(drafts, sure[:3], sure, generator)
    none = torch.zeros(0, dtype=torch.int64)
    alone = m.accept_drafts(none, torch.zeros(0, 5), one_hot(2), generator)
    yield "without drafts, a token of the target's", alone
    half = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0]] * 3)
    rich = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0], [0.9, 0.1, 0.0, 0.0, 0.0], [0.6, 0.0, 0.4, 0.0, 0.0]])
    kept = repeated(m, generator, torch.tensor([0, 0, 0]), half, torch.cat([rich, one_hot(4)]))
    yield "what the target finds at least as probable is always accepted", kept
    for place in range(3):
        target = sure.clone()
        target[place] = torch.eye(5)[0]
        found = m.accept_drafts(drafts, sure[:3], target, generator)
        yield f"a refused draft is replaced, and ends the round: the one at {place}", found
    # Of the first draft nothing is left; of what the target has more of, only token 2.
    p = torch.tensor([[0.0, 0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]])
    q = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0]])
    yield "in its place, only what the target has more of", repeated(m, generator, torch.tensor([0]), q, p)
    yield from places(m, generator)
    yield from laws(m, rng, generator)
    yield from drawing(m, rng)


def places(m: Any, generator: torch.Generator) -> Any:
    """Yield which rows of the laws belong to which draft."""
    p = torch.tensor([[0.2, 0.8, 0.0, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0, 0.0], [0.5, 0.0, 0.0, 0.5, 0.0]])
    q = torch.tensor([[0.2, 0.8, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0]])
    second = repeated(m, generator, torch.tensor([1, 0]), q, p)
    yield "the second is refused: its own laws say what comes", second
    same = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0]] * 2)
    last = repeated(m, generator, torch.tensor([0]), same[:1], torch.cat([same[:1], one_hot(0)]))
    yield "behind drafts that are all accepted nothing is taken from the target's law", last


def laws(m: Any, rng: Any, generator: torch.Generator) -> Any:
    """Yield what is drawn, often enough to see its law."""
    q, p = torch.tensor([[0.9, 0.05, 0.05, 0.0]]), torch.tensor([[0.15, 0.05, 0.3, 0.5]] * 2)
    drafts = rng.generator.choice(4, DRAWS, p=[0.9, 0.05, 0.05, 0.0])
    first = [int(m.accept_drafts(torch.tensor([d]), q, p, generator)[0]) for d in drafts]
    yield law("drafts of one law become draws from the other: the first token", first, p[0])
    q = torch.tensor([[1.0, 0.0]] * 4)
    p = torch.tensor([[0.5, 0.5]] * 5)
    zeros = torch.zeros(4, dtype=torch.int64)
    rounds = [m.accept_drafts(zeros, q, p, generator) for _ in range(DRAWS)]
    chance = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16]
    counts = [len(tokens) - 1 for tokens in rounds]
    yield law("each draft is accepted or refused by itself: how many are accepted", counts, chance)
    yield law("two tokens, of which the draft knows one: the first token", [int(t[0]) for t in rounds], p[0])
    p = torch.tensor([[0.999, 0.001], [0.5, 0.5]])
    nearly = [int(m.accept_drafts(zeros[:1], q[:1], p, generator)[0]) for _ in range(DRAWS // 4)]
    yield law("a draft with p a little below q is nearly always accepted: the first token", nearly, p[0])


def drawing(m: Any, rng: Any) -> Any:
    """Yield where the chance comes from, and what is left as it was."""
    q = torch.tensor([[0.4, 0.3, 0.2, 0.1]] * 3)
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 4)
    drafts, seed = rng.integers(0, 4, 3), rng.integer(0, 2**31)
    runs = []
    generators = Generators()
    for _ in range(2):
        generator = torch.Generator().manual_seed(seed)
        runs.append([m.accept_drafts(drafts, q, p, generator).tolist() for _ in range(20)])
    yield "equal generators give equal tokens", runs[0] == runs[1]
    yield "global generators that are used", generators.moved()
    given = drafts.clone(), q.clone(), p.clone()
    m.accept_drafts(*given, torch.Generator().manual_seed(seed))
    yield "the arguments are left as they were", list(given)


Rows = list[list[float]]


@cases("4.12a")
def small_rounds(m: Any) -> Any:
    """Outputs are all the results that come in 100 calls."""
    generator = torch.Generator().manual_seed(0)
    tries: tuple[tuple[list[int], Rows, Rows], ...] = (
        ([0], [[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]),
        ([0], [[1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]),
        ([0], [[0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0]]),
        ([0], [[1.0, 0.0]], [[0.5, 0.5], [1.0, 0.0]]),
        ([0, 1], [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]),
        ([0, 1], [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        ([0, 0], [[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]),
        ([0], [[0.5, 0.0, 0.5]], [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]),
    )
    for drafts, q, p in tries:
        drafted, before, wanted = torch.tensor(drafts), torch.tensor(q), torch.tensor(p)
        inputs = {"drafts": drafted, "draft_probs": before, "target_probs": wanted, "calls": 100}
        yield inputs, repeated(m, generator, drafted, before, wanted, times=100)
