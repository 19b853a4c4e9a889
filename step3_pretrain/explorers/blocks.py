"""Where the blocks of a step lie: a short stream of documents, and what each block cuts out of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.whose import whose
from coursekit.widgets.explorer import Explorer
from step3_pretrain.explorers.pictures import blocks_on_a_stream

LONGEST = 2_000
STEPS, SEEDS = 60, 3


def blocks(
    mine: Any, documents: Sequence[Sequence[str]], block_size: int = 32, batch_size: int = 4
) -> Explorer:
    """Let the reader go through the steps of a run and see which blocks each draws from the stream.

    `documents` are texts of tokens. They are numbered, packed with `mine.pack` and drawn from with
    `mine.sample_blocks`; the page counts how often each place was read. Raises ValueError where the stream
    is shorter than a block or longer than a page can show.
    """
    tokens = [token for document in documents for token in document]
    numbers = iter(range(len(tokens)))
    stream = mine.pack([[next(numbers) for _ in document] for document in documents], len(tokens))
    N = len(stream)
    if not block_size <= N <= LONGEST:
        raise ValueError(f"the stream must hold {block_size} to {LONGEST:,} tokens, got {N}")
    starts = drawn_starts(mine, N, block_size, batch_size)
    names = [*tokens, "‖"]
    ends = [place for place, number in enumerate(stream.tolist()) if number == len(tokens)]
    label = whose(mine, "3.1", "3.2")
    first = starts[0, 0].tolist()
    says = (
        f"A stream of {N} tokens with {len(ends)} documents; the {batch_size} blocks of step 0 begin at "
        f"{', '.join(map(str, first))}."
    )

    def picture() -> Figure:
        return blocks_on_a_stream(first, block_size, ends, N, label)

    values = {"texts": [names[number] for number in stream.tolist()], "ends": ends, "size": block_size}
    return Explorer(
        Path(__file__).with_suffix(".js"),
        values,
        {"starts": starts},
        whose=label,
        says=says,
        picture=picture,
    )


def drawn_starts(mine: Any, length: int, block_size: int, batch_size: int) -> Tensor:
    """Return where the blocks of every seed and step begin, (seeds, steps, batch_size).

    The blocks are drawn from the places themselves: what a block holds is where it lies.
    """
    places = torch.arange(length)
    found = [
        [mine.sample_blocks(places, block_size, batch_size, seed, step)[:, 0] for step in range(STEPS)]
        for seed in range(SEEDS)
    ]
    return torch.stack([torch.stack(row) for row in found])
