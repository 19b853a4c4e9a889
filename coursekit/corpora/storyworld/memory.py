"""What a story has used up, what it knows, and what can be asked about it."""

from __future__ import annotations

from collections.abc import Iterable

from coursekit.corpora.storyworld.lexicon import lexicon
from coursekit.corpora.storyworld.telling import Oracle
from coursekit.corpora.storyworld.world import World


class Telling:
    """The memory of a story that is being told. All words carry the space in front of them."""

    def __init__(self, oracle: Oracle, world: World) -> None:
        self.world = world
        self.words = lexicon(world)
        self.say, self.choose, self.recall = oracle.say, oracle.choose, oracle.recall
        # Who is on the way, who holds what, and what can be asked at the end.
        self.party: list[str] = []
        self.holders: dict[str, str] = {}
        self.questions: dict[str, str] = {}

    def ask(self, question: str, true: str) -> None:
        """Note what can be asked at the end, and the answer."""
        self.questions[f" {question}"] = true

    def new_person(self, role: str) -> str:
        """Choose somebody for a role; who plays one never plays another, in any story."""
        return self.choose(self.words.name, only=self.words.cast[role])

    def new_thing(self, role: str) -> str:
        """Choose a thing for a role: what somebody wants, or what an event brings."""
        return self.choose(self.words.thing, only=self.words.props[role])

    def new_place(self) -> str:
        """Choose a place that something is near."""
        self.say(" near the")
        return self.choose(self.words.place)

    def name(self, person: str) -> None:
        """Name somebody who is known."""
        self.recall(self.words.name, person)

    def thing(self, thing: str) -> None:
        """Name a thing that is known."""
        self.recall(self.words.thing, thing)

    def one_of(self, kind: str, known: Iterable[str]) -> str:
        """Choose one of those who are known; where there is only one, that is no choice."""
        texts = tuple(dict.fromkeys(known))
        if len(texts) > 1:
            return self.choose(self.words.known[kind], only=texts)
        # Who reads may come here without anybody: whoever is named then is no truth.
        only = texts[0] if texts else ""
        self.recall(self.words.thing if kind == "thing" else self.words.name, only)
        return only
