"""Two lengths of training: with cosines each is a run of its own, with a stable rate both have one trunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

from step3_pretrain.experiments import further_runs as runs
from step3_pretrain.model_solution import AdamW, learning_rate

PEAK, WARMUP = 1e-2, 10
Stable = Callable[..., float]


@dataclass(frozen=True)
class Finished:
    """A model of one length: the steps taken for it and for no other, from where; how good it is."""

    start: int
    losses: Sequence[float]
    bits_per_byte: float


def lengths(first: int = 80) -> tuple[int, int]:
    """Return the two lengths: `first` steps, or what COURSE_BUDGET allows of it, and twice as many."""
    first = max(4, runs.budgeted(first))
    return first, 2 * first


def by_cosine(total: int, seed: int = 0) -> Finished:
    """Train a model from the beginning with a cosine that ends at 0 at step `total`."""
    model = runs.small_model(seed)
    optimizer = AdamW(model.parameters(), PEAK)
    warmup = min(WARMUP, total // 4)
    losses = runs.learn(
        model, optimizer, range(total), lambda step: learning_rate(step, 1.0, warmup, total, 0.0), seed=seed
    )
    return Finished(0, losses, runs.bits_per_byte(model))


def by_trunk(
    stable: Stable, totals: Sequence[int], seed: int = 0, share: float = 0.25
) -> tuple[list[float], list[Finished]]:
    """Train one trunk at a stable rate; return its losses, and for each length the model that comes of a copy
    of the trunk, whose rate falls within the last `share` of the length.
    """
    model = runs.small_model(seed)
    optimizer = AdamW(model.parameters(), PEAK)
    warmup = min(WARMUP, totals[0] // 4)
    trunk: list[float] = []
    finished: list[Finished] = []
    for total in totals:
        decay = max(1, round(share * total))
        level = partial(stable, peak=1.0, warmup=warmup, decay=decay, total=1_000 * total)
        falling = partial(stable, peak=1.0, warmup=warmup, decay=decay, total=total)
        trunk += runs.learn(model, optimizer, range(len(trunk), total - decay), level, seed=seed)
        branch = deepcopy(model)
        settings = AdamW(branch.parameters(), PEAK)
        settings.load_state_dict(deepcopy(optimizer.state_dict()))
        losses = runs.learn(branch, settings, range(total - decay, total), falling, seed=seed)
        finished.append(Finished(total - decay, losses, runs.bits_per_byte(branch)))
    return trunk, finished
