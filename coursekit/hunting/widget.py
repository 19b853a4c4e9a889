"""A hunt in a notebook: buttons for where to look, a choice of names, and everything that was said so far."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from coursekit.cells import NoSuchName, is_grading
from coursekit.hunting.game import Game, NoSuchMove, described
from coursekit.hunting.score import RULES, keep, standing, summary
from coursekit.hunting.start import NonePassed, begin, grounds
from coursekit.practice.selection import WrongUsage
from coursekit.render.telling import Part
from coursekit.widgets import live, sheets
from coursekit.workers import WorkerError

STATIC = (
    "A hunt: a model carries one mistake that is not named, and you find out which. "
    "It needs a running notebook; in a terminal: course hunt"
)


class StaticHunt:
    """What stands for a hunt where no widget can live."""

    def __repr__(self) -> str:
        return STATIC

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": STATIC, "text/html": f"<p>{escape(STATIC)}</p>"}


class HuntWidget(anywidget.AnyWidget):
    """One hunt after the other. `view` is all that the page shows; moves come as messages.

    Nothing runs before the learner begins. Looking, naming and training happen in the kernel, the mistake in
    a worker.
    """

    _esm = Path(__file__).with_name("hunt.js")
    _css = traitlets.Unicode().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, name: str | None, is_all: bool, seed: int | None) -> None:
        self.name, self.is_all, self.seed = name, is_all, seed
        self.game: Game | None = None
        self.moves = 0
        self.said: list[dict[str, Any]] = []
        where = f" in {name}" if name else ""
        super().__init__(
            view={"stage": "idle", "title": f"Hunt for a mistake{where}", "rules": RULES},
            _css=sheets.joined(sheets.PAGE, Path(__file__).with_name("hunt.css")),
        )
        self.on_msg(self._answer)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return live.shown({**(data or {}), **StaticHunt()._repr_mimebundle_()}), metadata

    def _answer(self, _: Any, content: dict[str, Any], __: Any) -> None:
        problem = ""
        try:
            self.move(str(content.get("move")), content.get("with"))
        except NonePassed as error:
            problem = f"{error.what}: hunt(is_all=True)"
        except (NoSuchMove, WrongUsage, WorkerError, OSError) as error:
            problem = str(error)
        # Counted, so that the page hears of every move, also of one that changes nothing.
        self.moves += 1
        self.view = self._view(problem) | {"moves": self.moves}

    def move(self, move: str, what: Any) -> None:
        """Make one move: "begin", or one of the game's. A move that comes late, or twice, does nothing."""
        if move == "begin":
            self.game, self.said = begin(grounds(self.name, self.is_all), self.seed), []
        game = self.game
        if game is None or game.ended or move == "begin":
            return
        moves: dict[str, Callable[[Any], object]] = {
            "look": game.look,
            "compare": game.compare,
            "name": game.name,
        }
        plain: dict[str, Callable[[], None]] = {"train": game.train, "give up": game.give_up}
        if move in moves:
            moves[move](what)
        elif move in plain:
            plain[move]()
        else:
            raise NoSuchMove(f"{move!r} is no move of a hunt.")
        self.said.append({"parts": [_data(part) for part in game.told]})
        if game.ended:
            problem = keep(game, game.atlas.step.root, is_counted=self.seed is None)
            self.said.append({"parts": [_data(Part("", problem or summary(game, self.seed is None)))]})

    def _view(self, problem: str) -> dict[str, Any]:
        """Return everything that the page shows now."""
        game = self.game
        if game is None:
            return dict(self.view) | {"problem": problem}
        candidates = [
            {"letter": game.hunt.letter(name), "text": game.atlas.called[name], "isWrong": name in game.wrong}
            for name in game.hunt.candidates
        ]
        places = [
            {"number": n, "text": described(probe), "isInput": probe.kind == "input"}
            for n, probe in enumerate(game.hunt.probes, start=1)
        ]
        about = {"title": game.title, "task": game.task, "standing": standing(game.atlas.step.root)}
        shown = {"candidates": candidates, "places": places, "rules": RULES}
        now = {"stage": "over" if game.ended else "hunt", "log": list(self.said), "problem": problem}
        return about | shown | now | {"canTrain": bool(game.atlas.curve)}


def _data(part: Part) -> dict[str, Any]:
    return {"label": part.label.strip(), "text": part.text, "isBlock": part.is_block}


def hunt(name: str | None = None, is_all: bool = False, seed: int | None = None) -> HuntWidget | StaticHunt:
    """Hunt for one unnamed mistake, in an exercise ("2.3a"), a group, a step, or all that you passed.

    `is_all` hunts in exercises that are not passed, too. Equal seeds give equal hunts, which do not count.
    Raises NoSuchName where no step knows the name.
    """
    try:
        grounds(name, is_all)
    except NonePassed:
        pass  # Said when the hunt begins: until then an exercise may be passed.
    except WrongUsage as error:
        raise NoSuchName(str(error)) from None
    return StaticHunt() if is_grading() else HuntWidget(name, is_all, seed)
