"""What there is in the world of the stories: people, things and what is done with them, places, hardships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


def _table(**rows: str) -> dict[str, Sequence[str]]:
    return {name: row.split() for name, row in rows.items()}


def _things() -> dict[str, Sequence[str]]:
    return _table(
        ride="bike sled cart pony",
        wear="hat scarf coat crown",
        eat="cake pie melon pear",
        play="drum flute horn harp",
        read="book map letter poem",
    )


def _places() -> dict[str, Sequence[str]]:
    rows = _table(
        inside="barn cellar garden cave tower",
        under="bridge oak tent bed table",
        behind="school mill church wall shop",
        on="hill roof island rock stage",
    )
    return {"in": rows.pop("inside")} | rows


def _hardships() -> dict[str, tuple[str, str]]:
    return {
        "in": ("dark", "lamp"),
        "under": ("narrow", "stick"),
        "behind": ("locked", "key"),
        "on": ("steep", "rope"),
    }


def _damages() -> dict[str, tuple[str, str]]:
    return {
        "broken": ("mended", "glue"),
        "torn": ("sewed", "needle"),
        "dirty": ("washed", "soap"),
        "wet": ("dried", "towel"),
    }


NAMES = "Ada Ben Carl Dora Emma Finn Greta Hugo Ida Jack Kira Leo Mia Noah Olga Paul Rosa Sam Tilda Vera"


@dataclass(frozen=True, eq=False)
class World:
    """The words of a world; a smaller one has few enough stories to list them all.

    `things` are listed by what one wishes to do with them, `places` by their preposition; `hardships` say
    for a preposition what is hard at such places and which tool helps, `damages` what a thing can suffer,
    what mends it, and with which tool. `num_events` and `num_questions` are the most that a story has.
    Words are lower-case ASCII, names capitalized, and none begins another of its kind.
    """

    names: Sequence[str] = tuple(NAMES.split())
    colors: Sequence[str] = ("red", "blue", "green", "white", "black", "brown", "pink", "gray")
    things: Mapping[str, Sequence[str]] = field(default_factory=_things)
    places: Mapping[str, Sequence[str]] = field(default_factory=_places)
    hardships: Mapping[str, tuple[str, str]] = field(default_factory=_hardships)
    damages: Mapping[str, tuple[str, str]] = field(default_factory=_damages)
    times: Sequence[str] = ("One day", "One morning", "In spring", "In summer", "In winter", "Last week")
    fates: Sequence[str] = ("hidden", "left", "dropped", "lost", "buried", "forgotten")
    takings: Sequence[str] = ("kept", "used", "stored")
    deeds: Sequence[str] = ("sing", "dance", "work", "wait", "cook", "draw", "laugh", "help")
    joys: Sequence[str] = ("happy", "glad", "proud", "merry")
    sorrows: Sequence[str] = ("sad", "angry", "tired", "upset")
    num_events: int = 2
    num_questions: int = 3

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
        texts += [word for row in [*self.things.values(), *self.places.values()] for word in row]
        for word in texts:
            if not (word.isascii() and word.isalpha()):
                raise ValueError(f"a word must be ASCII letters, got {word!r}")
        # The wish and every event take a thing; wish, events and end a place, perhaps with one preposition.
        least_places = min(len(row) for row in self.places.values())
        num_things = sum(len(row) for row in self.things.values())
        needs = {
            "names": (len(self.names), 3 + self.num_events),
            "things": (num_things, 1 + self.num_events),
            "places of each preposition": (least_places, 2 + self.num_events),
        }
        for what, (there, least) in needs.items():
            if there < least:
                raise ValueError(f"{what} must be at least {least} for {self.num_events} events, got {there}")


DEFAULT_WORLD = World()
