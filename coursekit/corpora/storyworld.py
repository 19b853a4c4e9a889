"""The `storyworld` corpus: short stories about a small world, without end, the same ones from the same seed.

People want things, things lie in places, and what is said early is needed late: whoever reads on must
remember. This is a first, small version; nothing outside may rely on its sentences.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from coursekit.corpora import Corpus, TextFile, split_by_file

_NAMES = ["Ada", "Ben", "Carla", "David", "Emma", "Finn", "Greta", "Hugo", "Ida", "Jonas"]
_NAMES += ["Kira", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sami", "Tilda", "Uma"]
_THINGS = {
    "kite": "fly it",
    "ball": "throw it",
    "drum": "play on it",
    "book": "read it",
    "boat": "sail it",
    "lamp": "light it",
    "apple": "eat it",
    "scarf": "wear it",
    "key": "open the chest",
    "shovel": "dig with it",
}
_PLACES = {
    "oak": "in the oak",
    "barn": "behind the barn",
    "bridge": "under the bridge",
    "well": "beside the well",
    "attic": "in the attic",
    "garden": "in the garden",
    "cellar": "in the cellar",
    "boathouse": "in the boathouse",
}
_ADJECTIVES = ("red", "blue", "old", "new", "small", "big", "shiny", "wooden", "round", "lost")
_OPENINGS = ("One morning", "One day", "After the rain", "In the evening", "On a cold day", "Late in summer")
_WEATHER = (
    "The sun was shining.",
    "It was windy.",
    "Snow lay on the roofs.",
    "Birds were singing.",
    "Fog came up.",
)


def story(number: int, seed: int = 0) -> str:
    """Return story `number` of a seed: a few sentences, or a few more with a question and its answer."""
    rng = random.Random(f"{seed}/{number}")
    finder, owner = rng.sample(_NAMES, 2)
    thing, other = rng.sample(sorted(_THINGS), 2)
    place, nearby = rng.sample(sorted(_PLACES), 2)
    adjective = rng.choice(_ADJECTIVES)
    told = [
        f"{rng.choice(_OPENINGS)}, {owner} was looking for a {adjective} {thing}.",
        f"{owner} wanted to {_THINGS[thing]}.",
    ]
    if rng.random() < 0.5:
        told.append(rng.choice(_WEATHER))
    told.append(f"{finder} had left the {thing} {_PLACES[place]}.")
    if rng.random() < 0.6:
        told.append(f"{owner} searched {_PLACES[nearby]} and found only {_article(other)} {other}.")
    told.append(f'"Where did you see it last?" asked {finder}. "I have forgotten," said {owner}.')
    told.append(f"They went together, and the {thing} was still {_PLACES[place]}.")
    if rng.random() < 1 / 3:
        told.append(f"<|user|> Where was the {thing}? <|assistant|> {_PLACES[place].capitalize()}.<|end|>")
    else:
        told.append(f'"Thank you, {finder}!" said {owner}, and took the {thing} home.')
    return " ".join(told) + "\n"


def stories(seed: int = 0) -> Iterator[str]:
    """Yield the stories of a seed, one after another, without end."""
    number = 0
    while True:
        yield story(number, seed)
        number += 1


def story_corpus(num_stories: int = 10_000, seed: int = 0) -> Corpus:
    """Return so many stories, split into two sides. Raises ValueError for fewer than 2."""
    if num_stories < 2:
        raise ValueError(f"num_stories must be at least 2, one for each side, got {num_stories}")
    files = (TextFile(f"story-{number:07}", story(number, seed).encode()) for number in range(num_stories))
    return split_by_file("storyworld", files)


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
