"""Which parts of a loaded file are the learner's, as HTML: a bar with one field a part, and what is said."""

from __future__ import annotations

from html import escape

from coursekit.mine import Parts, State
from coursekit.render.html import status_box

_FIELD = "display:inline-block;width:18px;height:10px;margin-right:2px;border:1px solid currentColor;"
_FILL = {State.YOURS: "#1b5e20", State.SOLVED: "#8a8a8a"}


def parts_html(parts: Parts) -> str:
    """Return how many parts are whose, with the bar beneath and a line for each kind of part."""
    first, *rest = str(parts).split("\n")
    said = escape(first.partition("  [")[0])
    bar = "".join(
        f'<span style="{_FIELD}background:{_FILL.get(part.state, "transparent")}" '
        f'title="{escape(f"{part.id} {part.exercise.title}: {part.state}")}"></span>'
        for part in parts.all
    )
    head = f'<p><strong>{said}</strong></p><div role="img" aria-label="{said}">{bar}</div>'
    return status_box(head + "".join(f"<div>{escape(line)}</div>" for line in rest))
