"""What there is in the world of the stories: people, things and what is done with them, places, hardships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


def _table(**rows: str) -> dict[str, Sequence[str]]:
    return {name: row.split() for name, row in rows.items()}


def _places() -> dict[str, Sequence[str]]:
    return _table(
        dark="barn cellar cave garden forest",
        narrow="bridge gate tent tunnel stairs",
        locked="school mill church shop castle",
        steep="hill rock cliff tower roof",
    )


def _tools() -> dict[str, str]:
    return {"dark": "lamp", "narrow": "stick", "locked": "key", "steep": "rope"}


def _damages() -> dict[str, tuple[str, str]]:
    return {
        "broken": ("mended", "glue"),
        "torn": ("sewed", "needle"),
        "dirty": ("washed", "soap"),
        "wet": ("dried", "towel"),
    }


THINGS = (
    "bike sled cart pony hat scarf coat crown cake pie melon pear drum flute horn harp book map letter poem "
    "doll boat vase ring"
)
NAMES = (
    "Ada Ben Carl Dora Emma Finn Greta Hugo Ida Jack Kira Leo Mia Noah Olga Paul Rosa Sam Tilda Vera "
    "Anton Bella Clara David Elsa Felix Gina Hanna Ivan Julia"
)


@dataclass(frozen=True, eq=False)
class World:
    """The words of a world; a smaller one has few enough stories to list them all.

    Names and things are dealt out to the roles of a story, so that nobody plays two: who comes first in a
    story is never one who helps in another.

    `places` are listed by what is hard there, `tools` say what helps against it, `damages` what a thing can
    suffer, what mends it, and with which tool. `num_events` and
    `num_questions` are the most that a story has.
    Words are lower-case ASCII, names capitalized, and none begins another of its kind.
    """

    names: Sequence[str] = tuple(NAMES.split())
    colors: Sequence[str] = ("red", "blue", "green", "white", "black", "brown", "pink", "gray")
    things: Sequence[str] = tuple(THINGS.split())
    places: Mapping[str, Sequence[str]] = field(default_factory=_places)
    tools: Mapping[str, str] = field(default_factory=_tools)
    damages: Mapping[str, tuple[str, str]] = field(default_factory=_damages)
    times: Sequence[str] = ("One day", "One morning", "In spring", "In summer", "In winter", "Last week")
    fates: Sequence[str] = ("hidden", "left", "dropped", "lost", "buried", "forgotten")
    takings: Sequence[str] = ("kept", "used", "stored")
    deeds: Sequence[str] = ("sing", "dance", "work", "wait", "cook", "draw", "laugh", "help")
    joys: Sequence[str] = ("happy", "glad", "proud", "merry")
    sorrows: Sequence[str] = ("sad", "angry", "tired", "upset")
    num_events: int = 3
    num_questions: int = 4

    @property
    def events(self) -> tuple[str, ...]:
        """The roles of those, and of the things, that the events of a story bring."""
        return tuple(f"event {number}" for number in range(self.num_events))

    def __post_init__(self) -> None:
        """Raise ValueError where a story could run out of words, or where a word is none."""
        texts = [
            *self.names,
            *self.colors,
            *self.fates,
            *self.takings,
            *self.deeds,
            *self.joys,
            *self.sorrows,
        ]
        places = [place for row in self.places.values() for place in row]
        texts += [*self.things, *places]
        for word in texts:
            if not (word.isascii() and word.isalpha()):
                raise ValueError(f"a word must be ASCII letters, got {word!r}")
        # The wish and every event take a thing and persons of their own.
        needs = {
            "names": (len(self.names), 3 + self.num_events),
            "things": (len(self.things), 1 + self.num_events),
            "places": (len(places), 1),
        }
        for what, (there, least) in needs.items():
            if there < least:
                raise ValueError(f"{what} must be at least {least} for {self.num_events} events, got {there}")


DEFAULT_WORLD = World()
