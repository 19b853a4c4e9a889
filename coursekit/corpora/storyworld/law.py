"""The law of the stories: drawing by it, its floor, and all stories of a world that is small enough."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from coursekit.corpora.storyworld.plot import tell
from coursekit.corpora.storyworld.telling import Drawing, Listing, Weighing
from coursekit.corpora.storyworld.world import DEFAULT_WORLD, World


@dataclass(frozen=True)
class Floor:
    """The loss that no model beats: that of the law itself, estimated from stories that it draws.

    `bits_per_byte` is all surprise over all bytes, with its standard error; `mattering_share` is the part of
    the surprise that lies in choices which change what happens later (Options.matters), `by_kind` the nats
    per story of each kind of choice.
    """

    bits_per_byte: float
    standard_error: float
    nats_per_story: float
    bytes_per_story: float
    mattering_share: float
    by_kind: dict[str, float]


def draw(rng: random.Random, world: World = DEFAULT_WORLD) -> str:
    """Return a story drawn by the law, with the end of its line."""
    drawing = Drawing(rng)
    tell(drawing, world)
    return drawing.text


def floor(num_stories: int = 4_000, seed: int = 0, world: World = DEFAULT_WORLD) -> Floor:
    """Estimate the floor by Monte Carlo. Raises ValueError for fewer than 2 stories."""
    if num_stories < 2:
        raise ValueError(f"num_stories must be at least 2, for a standard error, got {num_stories}")
    nats, sizes, mattering = [], [], 0.0
    kinds: dict[str, float] = {}
    for number in range(num_stories):
        story = Weighing(random.Random(f"floor/{seed}/{number}"))
        tell(story, world)
        nats.append(story.total)
        sizes.append(len(story.text))
        mattering += story.mattering
        for kind, surprise in story.surprise.items():
            kinds[kind] = kinds.get(kind, 0.0) + surprise / num_stories
    ratio = sum(nats) / sum(sizes)
    # The error of a ratio of two means: how far each story is from the line through all of them.
    spread = sum((one - ratio * size) ** 2 for one, size in zip(nats, sizes)) / (num_stories - 1)
    mean_size = sum(sizes) / num_stories
    return Floor(
        bits_per_byte=ratio / math.log(2),
        standard_error=math.sqrt(spread / num_stories) / mean_size / math.log(2),
        nats_per_story=sum(nats) / num_stories,
        bytes_per_story=mean_size,
        mattering_share=mattering / sum(nats),
        by_kind=kinds,
    )


def every_story(world: World) -> Iterator[tuple[str, float]]:
    """Yield every story of a world with the logarithm of its probability; only a small world ends."""
    script: list[int] | None = []
    while script is not None:
        listing = Listing(script)
        tell(listing, world)
        yield "".join(listing.parts), listing.log_prob
        script = listing.next_script()
