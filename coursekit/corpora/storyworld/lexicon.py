"""The options of a world: its words as they are said, each with the space in front of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from coursekit.corpora.storyworld.telling import Options
from coursekit.corpora.storyworld.world import World

USER, ASSISTANT, END = "<|user|>", "<|assistant|>", "<|end|>"
# Requests and questions come apart from each other: together a third of all documents hold a dialogue.
REQUESTS, QUESTIONS = 1 / 9, 1 / 4


def article(noun: str) -> str:
    """Return " a" or " an", as the noun's first letter asks for (the noun has its space in front)."""
    return " an" if noun[1] in "aeiou" else " a"


class Lexicon:
    """All options of a world that do not depend on the story."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._begin()
        self._objects()
        self._events()
        self._feelings()
        self._questions()

    def _begin(self) -> None:
        times = tuple(self.world.times)
        usual = (1 - REQUESTS) / len(times)
        self.opening = Options("opening", (USER, *times), (REQUESTS, *[usual] * len(times)))
        self.time = Options("time", _spaced(times))
        self.name = Options("person", _spaced(self.world.names))
        self.cast = _dealt(self.name.texts, ("hero", "friend", "companion", *self.world.events))
        self.color = Options("color", _spaced(self.world.colors))
        asked = QUESTIONS if self.world.num_questions else 0.0
        self.first_turn = _likely("turn", {"\n": 1 - asked, f" {USER}": asked})
        self.next_turn = Options("turn", ("\n", f" {USER}"), (2, 3))

    def _objects(self) -> None:
        world = self.world
        self.thing = Options("thing", _spaced(world.things), matters=True)
        self.props = _dealt(self.thing.texts, ("wanted", *world.events))
        # One of those whom the story knows by now.
        self.known = {
            "who": Options("who", self.name.texts, matters=True),
            "thing": Options("thing", self.thing.texts, matters=True),
        }
        self.place = Options("place", _spaced(x for row in world.places.values() for x in row), matters=True)
        self.hardship_of = {f" {place}": hard for hard, row in world.places.items() for place in row}

    def _events(self) -> None:
        world = self.world
        self.trouble = Options("trouble", (" But", " Sadly"), (7, 3), matters=True)
        # Whether it lies there alone or with somebody decides what comes; the word for it does not.
        classes = ("lost",) * len(world.fates) + ("kept",) * len(world.takings)
        self.fate = Options("fate", _spaced((*world.fates, *world.takings)), classes=classes)
        self.damage = Options("damage", _spaced(world.damages), matters=True)
        self.company = Options("company", (".", " with"), matters=True)
        self.first_step = Options("step", (" On the way,", " There,"), (4, 1), matters=True)
        self.next_step = Options("step", (" Then", " There,"), (3, 2), matters=True)
        self.event = Options("event", (" found", " met", " lost", " gave"), (2, 2, 1, 2), matters=True)
        self.favor = Options("favor", (" got", " asked"))
        self.deed = Options("deed", _spaced(world.deeds))
        self.journey = Options("outcome", (" So", " Now", " Yet"), (7, 2, 1), matters=True)
        turns = {turn: 0.4 * share for turn, share in self.first_turn.shares.items()}
        self.ending = _likely("ending", {" At": 0.6} | turns)
        self.last_ending = _likely("ending", {" At": 0.6, END: 0.4})
        self.success = Options("outcome", (" had", " shared"), matters=True)
        self.outcome = Options("outcome", (" Now", " Yet"), (3, 1), matters=True)

    def _feelings(self) -> None:
        self.joy = Options("feeling", _spaced(self.world.joys))
        self.sorrow = Options("feeling", _spaced(self.world.sorrows))

    def _questions(self) -> None:
        """All that can be asked about any story, with what stands before the answer, and the answers."""
        world, asked = self.world, dict[str, tuple[str, Options]]()
        tools = [*world.tools.values(), *(tool for _, tool in world.damages.values())]
        for name in self.name.texts:
            asked[f" What did{name} want?"] = (article(self.thing.texts[0]).title(), self.thing)
            asked[f" Who went with{name}?"] = ("", self.name)
        for thing in self.thing.texts:
            asked[f" What color is the{thing}?"] = (" It is", self.color)
            asked[f" Where was the{thing}?"] = (" Near the", self.place)
            asked[f" Where is the{thing}?"] = (" Near the", self.place)
            verbs = ("wanted the", "found the", "had a", "has the", "put away the")
            asked |= dict.fromkeys((f" Who {verb}{thing}?" for verb in verbs), ("", self.name))
            asked[f" Who had the{thing} first?"] = ("", self.name)
        for tool in tools:
            asked |= dict.fromkeys((f" Who had the {tool}?", f" Who got a {tool}?"), ("", self.name))
            asked[f" Where was the {tool}?"] = (" Near the", self.place)
        asked[" Who was asked?"] = ("", self.name)
        self.asked = asked
        self.question = Options("question", tuple(asked), matters=True)


def _dealt(texts: Sequence[str], roles: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the texts dealt out to roles, one after another, as cards are."""
    return {role: tuple(texts[i :: len(roles)]) for i, role in enumerate(roles)}


def _spaced(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(f" {word}" for word in words)


def _likely(kind: str, shares: dict[str, float]) -> Options:
    """Return options without those that are impossible."""
    shares = {text: share for text, share in shares.items() if share}
    return Options(kind, tuple(shares), tuple(shares.values()))


@lru_cache(maxsize=16)
def lexicon(world: World) -> Lexicon:
    """Return the options of a world, made once."""
    return Lexicon(world)
