"""A small table of figures that reads the same in a notebook and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Table:
    """A title, rows of name and value, and sentences beneath. `print(table)` and a notebook's last line
    both show it.
    """

    title: str
    rows: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        wide = max((len(name) for name, _ in self.rows), default=0)
        right = max((len(value) for _, value in self.rows), default=0)
        lines = [f"  {name:<{wide}}  {value:>{right}}" for name, value in self.rows]
        return "\n".join([self.title, *lines, *self.notes])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left;font-weight:normal">{escape(name)}</th>'
            f'<td style="text-align:right">{escape(value)}</td></tr>'
            for name, value in self.rows
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        caption = f'<caption style="text-align:left">{escape(self.title)}</caption>'
        table = f'<table style="min-width:min(34em,100%)">{caption}<tbody>{rows}</tbody></table>{notes}'
        return {"text/html": table, "text/plain": str(self)}
