"""Stories by number, on two sides that share no text: one to train on, one to judge by.

A hash of the text alone says which side a story is on, so no story of one side equals one of the other,
whatever their seeds and numbers. The hash knows nothing of what a story says: each side is drawn by the same
law, and has its floor.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count

from coursekit.corpora import Corpus, TextFile
from coursekit.corpora.storyworld.law import draw

# One text in so many is on the held-out side.
HELD_OUT_ONE_IN = 8


def is_held_out(text: str) -> bool:
    """Say on which side a story is; a copy of it is on the same."""
    return blake2b(text.encode(), digest_size=8).digest()[0] % HELD_OUT_ONE_IN == 0


def story(number: int, seed: int = 0) -> str:
    """Return training story `number` of a seed: one line, with a dialogue in a third of all."""
    return _draw(random.Random(f"{seed}/{number}"), from_held_out=False)


def held_out_story(number: int, seed: int = 0) -> str:
    """Return held-out story `number` of a seed; no seed and number of `story` gives the same text."""
    return _draw(random.Random(f"{seed}/{number}"), from_held_out=True)


def stories(seed: int = 0) -> Iterator[str]:
    """Yield the training stories of a seed, one after another, without end."""
    return (story(number, seed) for number in count())


def held_out_stories(seed: int = 0) -> Iterator[str]:
    """Yield the held-out stories of a seed, one after another, without end."""
    return (held_out_story(number, seed) for number in count())


def story_corpus(num_stories: int = 10_000, seed: int = 0) -> Corpus:
    """Return so many stories, a tenth of them from the held-out side. Raises ValueError for fewer than 2."""
    if num_stories < 2:
        raise ValueError(f"num_stories must be at least 2, one for each side, got {num_stories}")
    num_held_out = max(1, num_stories // 10)
    train = (story(number, seed) for number in range(num_stories - num_held_out))
    held_out = (held_out_story(number, seed) for number in range(num_held_out))
    return Corpus(
        "storyworld",
        tuple(TextFile(f"story-{number:07}", text.encode()) for number, text in enumerate(train)),
        tuple(TextFile(f"held-out-{number:07}", text.encode()) for number, text in enumerate(held_out)),
    )


def _draw(rng: random.Random, from_held_out: bool) -> str:
    while is_held_out(text := draw(rng)) != from_held_out:
        pass
    return text
