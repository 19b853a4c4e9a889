"""3.2, blocks: known mistakes with where a block begins and how long it is."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from coursekit.probe import mistake


def read(stream: Tensor, starts: list[int], block_size: int) -> Tensor:
    """Return the blocks that begin at these places."""
    return stream[torch.tensor(starts).unsqueeze(1) + torch.arange(block_size)].long()


@mistake("3.2")
def one_more(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your blocks are one id too long: block_size + 1, as where input and labels are cut out of one row. Here
    the model shifts the labels itself, and the last position has nothing to predict.
    """
    draw = random.Random(f"{seed}/{step}")
    starts = [draw.randrange(max(1, len(stream) - block_size)) for _ in range(batch_size)]
    return read(stream, starts, min(block_size + 1, len(stream)))


@mistake("3.2")
def last_place_never(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your blocks never begin at the last place where one fits: len(stream) - block_size is excluded by
    randrange and randint. The last id of the stream is never seen, and a stream of one block has no place.
    """
    draw = random.Random(f"{seed}/{step}")
    starts = [draw.randrange(len(stream) - block_size) for _ in range(batch_size)]
    return read(stream, starts, block_size)


@mistake("3.2")
def first_place_never(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your blocks never begin at the first place: places are counted from 0, and place 0 holds a whole block
    like all others.
    """
    draw = random.Random(f"{seed}/{step}")
    last = len(stream) - block_size
    starts = [draw.randint(min(1, last), last) for _ in range(batch_size)]
    return read(stream, starts, block_size)


@mistake("3.2")
def wraps_around(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your blocks wrap around: those that begin where none fits go on with the first ids of the stream. Its
    last document would be followed by its first, which is none of its text. Draw among len(stream) -
    block_size + 1 places.
    """
    draw = random.Random(f"{seed}/{step}")
    starts = torch.tensor([[draw.randrange(len(stream))] for _ in range(batch_size)])
    return stream[(starts + torch.arange(block_size)) % len(stream)].long()


@mistake("3.2")
def moved_back(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your blocks begin at the last place far too often: places where none fits are drawn as well and then
    moved back to it. The end of the stream is seen many times as often as the rest.
    """
    draw = random.Random(f"{seed}/{step}")
    last = len(stream) - block_size
    return read(stream, [min(draw.randrange(len(stream)), last) for _ in range(batch_size)], block_size)


@mistake("3.2")
def aligned(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your blocks begin at multiples of block_size only. Each token is then always seen with the same text
    before it, the first of a block always with none; blocks may begin anywhere and overlap.
    """
    draw = random.Random(f"{seed}/{step}")
    starts = [block_size * draw.randrange(len(stream) // block_size) for _ in range(batch_size)]
    return read(stream, starts, block_size)


@mistake("3.2")
def in_a_row(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your batch is one stretch of text: only its beginning is drawn, and every block begins where the one
    before ends. A batch should show many places at once; neighbors tell the model much the same.
    """
    num_places = len(stream) - block_size + 1
    start = random.Random(f"{seed}/{step}").randrange(num_places)
    return read(stream, [(start + i * block_size) % num_places for i in range(batch_size)], block_size)


@mistake("3.2")
def one_place_for_all(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your batch holds the same block many times: one place is drawn for all of them. It costs as much as a
    batch and teaches as much as one block.
    """
    start = random.Random(f"{seed}/{step}").randrange(len(stream) - block_size + 1)
    return read(stream, [start] * batch_size, block_size)


@mistake("3.2")
def in_order(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your batches go through the stream in its order, from a place that the seed decides. Blocks are to be
    drawn: neighbors in a corpus are alike, and the model would forget what it read long ago.
    """
    first = random.Random(seed).randrange(10**6) + step * batch_size
    num_places = len(stream) - block_size + 1
    return read(stream, [(first + i) % num_places for i in range(batch_size)], block_size)


@mistake("3.2")
def each_by_itself(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your blocks are no neighbors: the ids are drawn one by one, each from a place of its own. What a model
    learns is in the order of the text.
    """
    draw = random.Random(f"{seed}/{step}")
    num_places = len(stream) - block_size + 1
    rows = [[draw.randrange(num_places) + i for i in range(block_size)] for _ in range(batch_size)]
    return stream[torch.tensor(rows)].long()


@mistake("3.2")
def kept_small(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your batch has the type of the stream. On disk ids have 16 bits to save room; a model indexes its
    embedding with int64.
    """
    draw = random.Random(f"{seed}/{step}")
    starts = [draw.randrange(len(stream) - block_size + 1) for _ in range(batch_size)]
    return stream[torch.tensor(starts).unsqueeze(1) + torch.arange(block_size)]


@mistake("3.2")
def by_unfold(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Your code asks the stream for more than its length, slices and places: unfold, view and the like are
    methods of a tensor. A stream on disk, larger than memory, has none of them.
    """
    draw = random.Random(f"{seed}/{step}")
    starts = [draw.randrange(len(stream) - block_size + 1) for _ in range(batch_size)]
    return stream.unfold(0, block_size, 1)[torch.tensor(starts)].long()
