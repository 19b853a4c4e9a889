"""One hunt as it is played: what was looked at, what was named, and what is said to each of it."""

from __future__ import annotations

from coursekit.hunting.atlas import Atlas, Probe
from coursekit.hunting.draw import LETTERS, Hunt
from coursekit.hunting.sights import Sight
from coursekit.render.telling import Part, plural

FIGURES = 6
# Two trainings part where their losses do by more than rounding would explain.
PARTED = 1e-3
MAX_ROW = 70


class NoSuchMove(Exception):
    """A move that the hunt does not offer; the message says what it does."""


class Game:
    """A hunt in progress. `looks` counts the places looked at, `clues` the answers of right code asked for.

    `ended` is "" while it goes on, then "found" or "given up". A game is won where the first name was right.
    """

    def __init__(self, atlas: Atlas, hunt: Hunt) -> None:
        self.atlas, self.hunt = atlas, hunt
        self.looked: dict[int, Sight] = {}
        self.compared: set[int] = set()
        self.has_trained = False
        self.wrong: list[str] = []
        self.ended = ""
        self.told: list[Part] = []

    @property
    def title(self) -> str:
        """Where the hunt takes place."""
        return f"Hunt in {self.atlas.item.id} {self.atlas.item.title}"

    @property
    def task(self) -> str:
        """What is known before the first look."""
        targets = " and ".join(self.atlas.item.targets)
        return f"{targets} carries one of these mistakes; everything else is right."

    @property
    def looks(self) -> int:
        return len(self.looked) + self.has_trained

    @property
    def clues(self) -> int:
        return len(self.compared)

    @property
    def is_won(self) -> bool:
        return self.ended == "found" and not self.wrong

    def look(self, number: int) -> Sight:
        """Look at a place, numbered from 1; `told` is what there is to read."""
        probe = self._probe(number)
        sight = self.looked[number] = self.atlas.sight(self.hunt.truth, probe)
        head = [Part(f"{number}", described(probe))] if probe.kind != "input" else self._given(number, probe)
        self.told = [*head, _value("This model" + " gives" * (probe.kind == "input"), sight.text)]
        return sight

    def compare(self, number: int) -> None:
        """Say beside what the model gives for an input what right code gives: a clue."""
        probe = self._probe(number)
        if probe.kind != "input":
            raise NoSuchMove(f"{number} compares with right code already: look at it with {number} alone.")
        self.look(number)
        self.compared.add(number)
        self.told.append(_value("Right code gives", self.atlas.sight(None, probe).text))

    def train(self) -> None:
        """Train with the mistake and without, now, and show both losses."""
        if not self.atlas.curve:
            raise NoSuchMove("No training rests on this exercise: look at an input or a test.")
        self.has_trained = True
        rows = {"this model": self.hunt.truth, "right code": None}
        curves = {label: self.atlas.losses(name) for label, name in rows.items()}
        (ours, stopped), (right, _) = curves["this model"], curves["right code"]
        steps = sorted({round(i * (len(right) - 1) / (FIGURES - 1)) for i in range(FIGURES)})
        lines = ["step       " + "".join(f"{step + 1:>7}" for step in steps)]
        for label, (losses, _) in curves.items():
            found = (f"{losses[step]:7.3f}" if step < len(losses) else "      -" for step in steps)
            lines.append(f"{label} {''.join(found)}")
        self.told = [Part("A short training, the loss in nats", "\n".join(lines), is_block=True)]
        self.told.append(Part("", _parting(ours, right, stopped)))

    def name(self, letter: str) -> bool:
        """Name the mistake; return whether that is right. What follows a wrong name is in `told`."""
        index = LETTERS.find(letter) if letter else -1
        if not 0 <= index < len(self.hunt.candidates):
            raise NoSuchMove(f"Name one of {', '.join(self.letters)}, got {letter!r}.")
        name = self.hunt.candidates[index]
        if name == self.hunt.truth:
            self.ended = "found"
            self.told = self._ending(f"It is {letter}")
            return True
        if name not in self.wrong:
            self.wrong.append(name)
        self.told = [Part(f"It is not {letter}", f"{self.atlas.called[name]}."), *self._refuted(name)]
        return False

    def give_up(self) -> None:
        """End the hunt with its answer."""
        self.ended = "given up"
        self.told = self._ending(f"It was {self.hunt.letter(self.hunt.truth)}")

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters that can still be named."""
        return tuple(self.hunt.letter(name) for name in self.hunt.candidates if name not in self.wrong)

    @property
    def effort(self) -> str:
        """What it took, in words: "2 looks, 1 clue, 1 wrong name"."""
        said = [plural(self.looks, "look")]
        said += [plural(self.clues, "clue")] if self.clues else []
        said += [plural(len(self.wrong), "wrong name")] if self.wrong else []
        return ", ".join(said)

    def _probe(self, number: int) -> Probe:
        if not 1 <= number <= len(self.hunt.probes):
            raise NoSuchMove(f"Look at one of 1 to {len(self.hunt.probes)}, got {number}.")
        return self.hunt.probes[number - 1]

    def _given(self, number: int, probe: Probe) -> list[Part]:
        """Return the inputs of a case: short ones in a row as long as it fits, the others beneath it."""
        row: list[str] = []
        rest: list[str] = []
        for name, text in self.atlas.inputs(probe).items():
            said = f"{name} = {text}"
            is_short = not rest and len(", ".join([*row, said])) <= MAX_ROW
            (row if is_short else rest).append(said)
        more = [Part("", "\n".join(rest), is_block=True)] if rest else []
        return [Part(f"{number}", ", ".join(row) or probe.title), *more]

    def _refuted(self, name: str) -> list[Part]:
        """Return where the model does not do what a mistake would."""
        truth = self.hunt.truth
        probe = max(self.hunt.probes, key=lambda p: (self.atlas.distance(truth, name, p), p.kind == "input"))
        number = self.hunt.probes.index(probe) + 1
        seen = {"With that mistake": name, "This model": truth}
        return [
            Part(f"See {number}", described(probe)),
            *(_value(label, self.atlas.sight(one, probe).text) for label, one in seen.items()),
        ]

    def _ending(self, answer: str) -> list[Part]:
        """Return the answer, the mistake's own text, and the place that tells it best from the others."""
        truth, atlas = self.hunt.truth, self.atlas
        others = [name for name in self.hunt.candidates if name != truth]

        def worth(probe: Probe) -> tuple[int, float]:
            found = [d for name in others if (d := atlas.distance(truth, name, probe)) > 0]
            return len(found), min(found, default=0.0) + (probe.kind == "input")

        probe = max(self.hunt.probes, key=worth)
        number = self.hunt.probes.index(probe) + 1
        rows = {"this model": truth, "right code": None} | {self.hunt.letter(name): name for name in others}
        ordered = [*list(rows)[:2], *sorted(list(rows)[2:])]
        # The rows of a tensor follow one another, as do the parts of a test.
        between = " " if probe.kind == "input" else "; "
        shown = {label: atlas.sight(rows[label], probe).text.splitlines() for label in ordered}
        lines = [f"{label}: {between.join(line.strip() for line in shown[label])}" for label in ordered]
        return [
            Part(f"{answer}, and whoever writes it is told", atlas.texts[truth]),
            Part("What separates it best", f"{number}, {described(probe)}"),
            Part("", "\n".join(lines), is_block=True),
        ]


def described(probe: Probe) -> str:
    """Return where a look goes, in one line."""
    return f"test: {probe.title}" if probe.kind == "test" else probe.title


def _value(label: str, text: str) -> Part:
    """Return a value with its label: in one line, or as a block."""
    return Part(label, text, is_block="\n" in text)


def _parting(ours: list[float], right: list[float], stopped: str) -> str:
    """Say where the two trainings part."""
    if stopped:
        return f"The training with the mistake stops after {plural(len(ours), 'step')}: {stopped}"
    parted = [i for i, (a, b) in enumerate(zip(ours, right)) if not abs(a - b) <= PARTED]
    if not parted:
        return "The two are the same at every step: training does not show this mistake."
    return f"They part at step {parted[0] + 1}." + (
        " And yet the loss falls." if ours[-1] < 0.5 * ours[0] else ""
    )
