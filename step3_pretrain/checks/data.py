"""Probes of the data: one stream of documents (3.1), blocks of it (3.2)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from coursekit.probe import cases, check, law
from step3_pretrain.checks.observe import Generators, another_process, fix_chance


@check("3.1")
def pack(m: Any, rng: Any) -> Any:
    end = rng.integer(50, 90)
    documents = [rng.integers(0, 50, length).tolist() for length in (3, 5, 1, 4)]
    yield "one document, then the end", m.pack([list(documents[0])], end)
    yield "each document is followed by the end, the last one too", m.pack(copies(documents), end)
    yield "the end is the id that was passed, 0 as well", m.pack([[0, 5], [7, 0, 0]], 0)
    gaps = [[], documents[0], [], [], documents[1], []]
    yield "an empty document adds nothing, not even an end", m.pack(copies(gaps), end)
    yield "no document: an empty stream, of int64 too", m.pack([], end)
    yield "nothing but empty documents: an empty stream", m.pack([[], []], end)
    yield "documents that can be read only once", m.pack((list(each) for each in documents), end)
    mine = copies(documents)
    m.pack(mine, end)
    yield "the caller's documents are left as they were", mine
    yield "documents are sequences of any kind: tuples too", m.pack([tuple(each) for each in documents], end)


def copies(documents: Any) -> list[list[int]]:
    """Return the documents as lists of their own, which nobody else sees change."""
    return [list(each) for each in documents]


@cases("3.1")
def small_packs(m: Any) -> Any:
    for documents in ([[1]], [[1, 2]], [[1], [2]], [[], [1]], [[1], [], [2]], []):
        yield {"documents": str(documents), "end_of_text": 9}, m.pack(copies(documents), 9)
    again = [[1], [2]]
    m.pack(again, 9)
    yield {"documents": str([[1], [2]]), "end_of_text": 9, "call": "the second of two"}, m.pack(again, 9)
    once = {"documents": "[[1], [2]]", "end_of_text": 9, "given": "one by one, to be read once"}
    yield once, m.pack(([each] for each in (1, 2)), 9)


# Ids from which the place of each can be told: 7, 10, 13, ...
FIRST, STRIDE = 7, 3
PLACES, BATCH, STEPS = 6, 400, 10


class OnDisk:
    """A stream that is no tensor but gives what one gives for a length, a slice and a tensor of places."""

    def __init__(self, ids: torch.Tensor) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, where: Any) -> torch.Tensor:
        if not isinstance(where, int | slice | torch.Tensor):
            raise TypeError(f"a stream is read by a number, a slice or a tensor, got {type(where).__name__}")
        return self.ids[where]


def numbered(length: int) -> torch.Tensor:
    """Return a stream in which each id tells its place."""
    return FIRST + STRIDE * torch.arange(length)


@check("3.2")
def sample_blocks(m: Any, rng: Any) -> Any:
    number = rng.integer(100, 2**31)
    fix_chance(number)
    seed, step = rng.integer(0, 50), rng.integer(0, 5_000)
    blocks = m.sample_blocks(numbered(40), 5, 7, seed, step)
    yield "a batch is (batch_size, block_size), of int64", form(blocks)
    yield "each block is block_size neighbors: every id one place behind the last", blocks.diff(dim=1)
    yield "a stream of exactly one block has one place", m.sample_blocks(numbered(5), 5, 3, seed, step)
    yield (
        "the same seed and step give the same batch, whatever was drawn before",
        is_repeated(m, number, seed, step),
    )
    yield (
        "another step gives another batch: those that are equal",
        alike(m, itertools.combinations(over_steps(seed), 2)),
    )
    yield (
        "another seed gives another batch: those that are equal",
        alike(m, itertools.combinations(over_seeds(step), 2)),
    )
    yield "other pairs of seed and step give other batches, too: those that are equal", alike(m, EASILY_MIXED)
    places = torch.cat([places_of(m.sample_blocks(numbered(9), 4, BATCH, seed, n)) for n in range(STEPS)])
    yield "the places where blocks begin: all at which one fits", places.unique()
    pairs = torch.stack([places[::2], places[1::2]], dim=1)
    yield "the places of two blocks of a batch: any two", pairs.unique(dim=0)
    yield law("every place where a block fits comes equally often", places, [1.0] * PLACES)
    generators = Generators()
    m.sample_blocks(numbered(40), 5, 7, seed, step)
    yield "global generators that are seeded or moved", generators.moved()
    with another_process():
        there = m.sample_blocks(numbered(400), 5, 7, seed, step)
    here = m.sample_blocks(numbered(400), 5, 7, seed, step)
    yield "another process draws the same batch: nothing rests on its salted hash", torch.equal(here, there)
    yield "ids of 16 bits become int64", form(m.sample_blocks(numbered(40).short(), 5, 7, seed, step))
    on_disk = m.sample_blocks(OnDisk(numbered(40)), 5, 7, seed, step)
    yield "a stream on disk is read like a tensor", [form(on_disk), on_disk.diff(dim=1)]


def form(blocks: Any) -> Any:
    """Return shape and type of a batch; what is no tensor as it is."""
    return [list(blocks.shape), str(blocks.dtype)] if isinstance(blocks, torch.Tensor) else blocks


def places_of(blocks: torch.Tensor) -> torch.Tensor:
    """Return where in a numbered stream each block begins."""
    return (blocks[:, 0] - FIRST) // STRIDE


def is_repeated(m: Any, number: int, seed: int, step: int) -> bool:
    """Tell whether two calls with other draws before them give equal batches."""
    first = m.sample_blocks(numbered(400), 5, 7, seed, step)
    fix_chance(number + 1)
    np.random.random(3)
    again = m.sample_blocks(numbered(400), 5, 7, seed, step)
    return torch.equal(first, again)


def over_steps(seed: int) -> list[tuple[int, int]]:
    return [(seed, step) for step in (0, 1, 2, 3, 1_000)]


def over_seeds(step: int) -> list[tuple[int, int]]:
    return [(seed, step) for seed in (0, 1, 2, 3, 1_000)]


# Sums, products, texts in a row, bits of both, places in one large number: each of them mixes some of these.
EASILY_MIXED = (
    *(((0, n), (n, 0)) for n in (1, 2, 3)),
    *(((1, n), (n, 1)) for n in (2, 3, 11)),
    ((2, 2), (1, 3)),
    ((2, 0), (1, 3)),
    ((2, 3), (1, 6)),
    ((0, 4), (0, 9)),
    *(((0, 10**n), (1, 0)) for n in (2, 3, 4, 5, 6)),
)


def alike(m: Any, pairs: Any) -> str:
    """Return the pairs of seed and step that give equal batches, in words, or "none"."""

    def batch(seed: int, step: int) -> torch.Tensor:
        batch: torch.Tensor = m.sample_blocks(numbered(4_000), 2, 8, seed, step)
        return batch

    found = [(one, two) for one, two in pairs if torch.equal(batch(*one), batch(*two))]
    told = [f"seed {one[0]} step {one[1]} = seed {two[0]} step {two[1]}" for one, two in found]
    return "; ".join(told) or "none"


@cases("3.2")
def small_samples(m: Any) -> Any:
    """Where there is more than one place, the output is what came in a hundred steps, each batch once."""
    for ids, block_size, batch_size in (([7, 8, 9], 3, 1), ([7, 8], 2, 2)):
        stream = torch.tensor(ids)
        inputs = {"stream": stream, "block_size": block_size, "batch_size": batch_size, "seed": 0, "step": 0}
        yield inputs, m.sample_blocks(stream.clone(), block_size, batch_size, 0, 0)
    for ids, block_size, batch_size in (([7, 8, 9], 2, 1), ([7, 8, 9, 10], 2, 1), ([7, 8], 1, 2)):
        stream = torch.tensor(ids)
        came = [m.sample_blocks(stream, block_size, batch_size, 0, step) for step in range(100)]
        inputs = {"stream": stream, "block_size": block_size, "batch_size": batch_size}
        yield inputs | {"seed": 0, "step": "0 to 99, each batch once"}, once_each(came)
    for one, two in EASILY_MIXED[:1] + EASILY_MIXED[5:6] + EASILY_MIXED[11:12]:
        inputs = {"stream": "0 to 3999", "block_size": 2, "batch_size": 8, "seed, step": f"{one} and {two}"}
        yield inputs, "two batches" if alike(m, [(one, two)]) == "none" else "the same batch"
    generators = Generators()
    blocks = m.sample_blocks(numbered(6), 3, 2, 1, 1)
    inputs = {"stream": numbered(6), "block_size": 3, "batch_size": 2, "seed": 1, "step": 1}
    yield inputs | {"asked": "which global generators are moved"}, generators.moved() if form(blocks) else ""


def once_each(batches: Any) -> Any:
    """Return each batch once, in the order of their numbers; the first that is none as it is."""
    strange = [batch for batch in batches if not isinstance(batch, torch.Tensor)]
    return strange[0] if strange else torch.tensor(sorted({tuple(b.flatten().tolist()) for b in batches}))
