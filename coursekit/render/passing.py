"""A pass in a terminal: what it makes possible and why, the reference beside it, where to go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from coursekit.judging.passing import Beside, Passing
from coursekit.judging.verdict import Verdict
from coursekit.render.links import place_text
from coursekit.render.telling import Part
from coursekit.source.beside import Piece, marked_pieces

# Two columns of code below this width would break most lines.
WIDE = 100
BESIDE = "The reference beside yours"
SAME = "Yours says the same, line for line."
# Colors would say right and wrong, and neither side is wrong.
_MARK = "bold underline"


def meaning(passing: Passing) -> list[Part]:
    """Return what the code makes possible and why it is so; nothing where it has been said before."""
    if passing.again:
        return []
    said = (("", passing.enables), ("Why", passing.why))
    return [Part(label, text) for label, text in said if text]


@dataclass(frozen=True)
class Difference:
    """Both versions of each function: two columns where the terminal is wide enough, else one below the
    other.

    `<` is the learner's line, `>` the reference's, `|` between two lines that differ.
    """

    beside: tuple[Beside, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in self.beside:
            if len(self.beside) > 1:
                yield Text(f"    {part.target}", style="bold")
            if part.is_same:
                yield Text(f"    {SAME}")
            elif options.max_width >= WIDE:
                yield Padding(_columns(part), (0, 0, 0, 4), expand=False)
            else:
                yield Padding(_one_below_the_other(part), (0, 0, 0, 4), expand=False)


def _grid(*columns: int | None) -> Table:
    """Return a table without lines: each column takes a share of the width, or (None) what it needs."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    for ratio in columns:
        grid.add_column(overflow="fold", ratio=ratio, no_wrap=ratio is None)
    return grid


def _columns(part: Beside) -> Table:
    grid = _grid(1, None, 1)
    grid.add_row(Text("yours", style="bold"), "", Text("the reference", style="bold"))
    for row in part.rows:
        mine, reference = marked_pieces(row)
        grid.add_row(_line(mine), _sign(row), _line(reference))
    return grid


def _sign(row: tuple[str | None, str | None]) -> str:
    if row[0] == row[1]:
        return " "
    return ">" if row[0] is None else "<" if row[1] is None else "|"


def _one_below_the_other(part: Beside) -> Table:
    """Return lines that both have once; of each stretch that differs the learner's, then the reference's."""
    grid = _grid(None, 1)
    grid.add_row("<", Text("yours", style="bold"))
    grid.add_row(">", Text("the reference", style="bold"))
    references: list[Text] = []
    for row in (*part.rows, ("", "")):
        mine, reference = marked_pieces(row)
        if row[0] == row[1]:
            for line in references:
                grid.add_row(">", line)
            references = []
            if row[0]:
                grid.add_row("", Text(row[0]))
            continue
        if mine:
            grid.add_row("<", _line(mine))
        if reference:
            references.append(_line(reference))
    return grid


def _line(pieces: Iterable[Piece]) -> Text:
    return Text.assemble(*((text, _MARK if is_other and text.strip() else "") for text, is_other in pieces))


def reference_shown(passing: Passing) -> list[RenderableType]:
    """Return the comparison under its headline; nothing where the reference is not shown."""
    if not passing.beside:
        return []
    return [Text(f"  {BESIDE}:", style="bold"), Difference(passing.beside)]


def onward_shown(verdict: Verdict, is_alone: bool = True) -> list[RenderableType]:
    """Return where to read on, where to go on with the place of the code, and how far the path is done.

    Where it does not stand alone there is nothing to read on about; without what practice adds (a grade has
    none of it) the next step is all.
    """
    told: list[RenderableType] = []
    passing = verdict.passing
    if passing is not None and is_alone and passing.read and not passing.again:
        told.append(_said("To read: ", passing.read))
    if verdict.next:
        told.append(_said("Next: ", verdict.next))
    if passing is None:
        return told
    following = passing.following
    if following is not None and following.line is not None:
        told.append(Text("    ") + place_text(following.file, following.line))
    if passing.stands:
        told.append(_said("", passing.stands))
    return told


def _said(label: str, text: str) -> Padding:
    line = Text.assemble((label, "bold"), text, overflow="fold")
    return Padding(line, (0, 0, 0, 2), expand=False)
