"""3.2, blocks: known mistakes with the seed and the step, and accepted variants."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step3_pretrain.mistakes.blocks import read


def drawn_by(draw: random.Random, stream: Tensor, block_size: int, batch_size: int) -> Tensor:
    """Return blocks from places that this generator draws."""
    starts = [draw.randrange(len(stream) - block_size + 1) for _ in range(batch_size)]
    return read(stream, starts, block_size)


@mistake("3.2")
def seed_plus_step(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your generator is seeded with seed + step: seed 1 draws at step 0 what seed 0 draws at step 1. Runs
    with other seeds see the same batches, one step later, and their difference says nothing.
    """
    return drawn_by(random.Random(seed + step), stream, block_size, batch_size)


@mistake("3.2")
def thousand_steps(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your generator is seeded with 1000 · seed + step: after 1000 steps seed 0 goes on with the batches of
    seed 1. Runs are longer than that.
    """
    return drawn_by(random.Random(1_000 * seed + step), stream, block_size, batch_size)


@mistake("3.2")
def product(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your generator is seeded with a product of seed and step: seed 0 draws the same batch at every step,
    and 2 · 3 is 1 · 6.
    """
    return drawn_by(random.Random(seed * step), stream, block_size, batch_size)


@mistake("3.2")
def written_together(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your generator is seeded with both numbers written one behind the other. Seed 1 at step 11 and seed 11
    at step 1 are both "111": put something between them.
    """
    return drawn_by(random.Random(f"{seed}{step}"), stream, block_size, batch_size)


@mistake("3.2")
def shifted_seed(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your generator forgets the seed, which is shifted by 32 bits. `torch.Generator` keeps only the lower 32
    of what it is seeded with: all seeds draw the same batches.
    """
    draw = torch.Generator().manual_seed((seed << 32) | step)
    starts = torch.randint(len(stream) - block_size + 1, (batch_size, 1), generator=draw)
    return stream[starts + torch.arange(block_size)].long()


@mistake("3.2")
def without_step(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your batch does not depend on the step: every step trains on the same blocks. The loss falls fast, and
    the model has learned a few lines by heart.
    """
    return drawn_by(random.Random(seed), stream, block_size, batch_size)


@mistake("3.2")
def unseeded(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your batch comes from the global generator, as it happens to be: seed and step play no part. No run
    could be repeated, or go on after a break as if there had been none.
    """
    starts = torch.randint(len(stream) - block_size + 1, (batch_size, 1))
    return stream[starts + torch.arange(block_size)].long()


@mistake("3.2")
def global_seed(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your code seeds torch's global generator. Dropout draws from it too: from then on each step drops what
    the number of the step says, and what else was random is not any more.
    """
    torch.manual_seed(random.Random(f"{seed}/{step}").getrandbits(32))
    starts = torch.randint(len(stream) - block_size + 1, (batch_size, 1))
    return stream[starts + torch.arange(block_size)].long()


@mistake("3.2")
def global_random(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your code seeds Python's global generator with random.seed. Whoever else draws from it gets the same
    numbers at the same step; `random.Random` makes a generator of its own.
    """
    random.seed(f"{seed}/{step}")
    starts = [random.randrange(len(stream) - block_size + 1) for _ in range(batch_size)]
    return read(stream, starts, block_size)


@mistake("3.2")
def salted(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your generator is seeded with the hash of a text. Python salts it anew in every process, so that a run
    that goes on after a break draws other batches.
    """
    return drawn_by(random.Random(hash(f"{seed}/{step}")), stream, block_size, batch_size)


@variant("3.2")
def by_numpy(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """NumPy's generators take several numbers as their seed."""
    draw = np.random.default_rng([seed, step])
    starts = torch.from_numpy(draw.integers(0, len(stream) - block_size + 1, size=batch_size))
    return stream[starts[:, None] + torch.arange(block_size)[None]].to(torch.int64)


@variant("3.2")
def by_slices(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Both ends of randint belong to it; each block is a slice."""
    draw = random.Random(str((seed, step)))
    starts = [draw.randint(0, len(stream) - block_size) for _ in range(batch_size)]
    return torch.stack([stream[start : start + block_size] for start in starts]).long()


@variant("3.2")
def by_torch(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """A generator of torch, seeded with 32 bits that both numbers have gone into."""
    mixed = int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
    draw = torch.Generator().manual_seed(mixed)
    starts = torch.randint(0, len(stream) - block_size + 1, (batch_size,), generator=draw)
    return torch.stack([stream[int(start) : int(start) + block_size] for start in starts]).to(torch.long)


@variant("3.2")
def by_hash_of_numbers(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """The hash of numbers is the same in every process; real numbers from 0 to 1 become places."""
    draw, num_places = random.Random(hash((seed, step))), len(stream) - block_size + 1
    starts = [int(draw.random() * num_places) for _ in range(batch_size)]
    return read(stream, starts, block_size)
