"""A hunt in a terminal of any width: what there is, a prompt, and what is said to each move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from coursekit.hunting.game import Game, NoSuchMove, described
from coursekit.hunting.score import RULES, keep, standing, summary
from coursekit.render.telling import Part
from coursekit.render.terminal import Indented, bold, make_console, plain

KEYS = (
    "1, 2, ... look · r 1 right code's answer to 1 (a clue)\na, b, ... name it · l list · ? rules · q give up"
)


def hunt(begin: Callable[[], Game], is_counted: bool = True) -> None:
    """Play one hunt after the other until the learner stops; begin returns a new game."""
    console = make_console()
    while True:
        with console.status("The hunt is set up ..."):
            game = begin()
        go_on = _play(game, console)
        problem = keep(game, game.atlas.step.root, is_counted)
        console.print(plain(problem or summary(game, is_counted)))
        if not go_on or not is_counted or _asked(console, "Enter: another hunt   q: stop  ") != "":
            return


def _play(game: Game, console: Console) -> bool:
    """Play to the end; return whether the learner is still there."""
    console.print(render_start(game))
    while not game.ended:
        answer = _asked(console, "> ")
        if answer is None or answer in ("q", "g", "quit"):
            game.give_up()
            console.print(render(game.told))
            return answer is not None
        try:
            # A training takes a moment, and more where the machine is busy.
            is_long = answer in ("t", "train") and game.atlas.curve
            with console.status("Both are trained ...") if is_long else nullcontext():
                said = _moved(game, answer)
            console.print(said)
        except NoSuchMove as wrong:
            console.print(plain(str(wrong)))
    return True


def _asked(console: Console, prompt: str) -> str | None:
    """Return what was typed, None for Ctrl-C and Ctrl-D."""
    try:
        return console.input(prompt).strip().lower()
    except (KeyboardInterrupt, EOFError):
        console.print()
        return None


def _moved(game: Game, answer: str) -> Group:
    """Make one move and return what is said to it."""
    if answer in ("l", "list"):
        return render_start(game)
    if answer in ("?", "h", "help", ""):
        return Group(plain(KEYS), *([plain(RULES)] if answer else []))
    if answer in ("t", "train"):
        game.train()
    elif answer.isdecimal():
        game.look(int(answer))
    elif answer[0] == "r" and answer[1:].strip().isdecimal():
        game.compare(int(answer[1:]))
    elif answer == "r":
        raise NoSuchMove("r takes the number of an input whose right answer you want: r 1.")
    elif len(answer) == 1 and answer.isalpha():
        game.name(answer)
    else:
        raise NoSuchMove(f"{answer!r} is no move here. {KEYS}")
    return render(game.told)


def render_start(game: Game) -> Group:
    """Return the candidates and the places where one can look, what was done already marked."""
    head = bold(f"{game.title}   ({standing(game.atlas.step.root)})")
    names = [
        (game.hunt.letter(name), ("no: " if name in game.wrong else "") + game.atlas.called[name])
        for name in game.hunt.candidates
    ]
    places = [(str(n), described(probe)) for n, probe in enumerate(game.hunt.probes, start=1)]
    more = [("t", "train a small model with it and without")] if game.atlas.curve else []
    places_table = _rows([*places, *more])
    where: list[RenderableType] = [plain("Where you can look:"), places_table]
    return Group(head, plain(game.task), _rows(names), Text(), *where, Text(), plain(KEYS), Text())


def _rows(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, text in rows:
        table.add_row(Text(f"  {key}", style="bold"), Text(text))
    return table


def render(told: Sequence[Part]) -> Group:
    """Return what was said to a move: its first line, the rest beneath it, a blank line."""
    lines: list[RenderableType] = []
    for part in told:
        if part.is_block:
            lines += [Indented(Text(f"{part.label}:", style="bold"))] if part.label else []
            lines.append(Indented(Text(part.text), 4))
        else:
            label = (f"{part.label}: " if part.label else "", "bold")
            lines.append(Indented(Text.assemble(label, part.text), 2 if lines else 0))
    return Group(*lines, Text())
