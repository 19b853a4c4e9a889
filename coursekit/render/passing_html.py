"""A pass on a page: the reference beside the learner's version as a table, and links to go on with.

Nothing has a color of its own but the marks, which are see-through, so that both themes keep their contrast.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

from coursekit.judging.passing import Beside, Following, Passing
from coursekit.judging.verdict import Verdict
from coursekit.registry import COURSE_ROOT
from coursekit.render.links import href
from coursekit.render.passing import BESIDE, SAME
from coursekit.source.beside import Piece, marked_pieces

_MONO = "font-family:var(--jp-code-font-family, monospace);font-size:var(--jp-code-font-size, 13px)"
_CODE = f"{_MONO};white-space:pre-wrap;overflow-wrap:anywhere;text-align:left;vertical-align:top"
_CODE += ";padding:0 10px 0 0;border:none;background:transparent;color:inherit"
_MARK = "background:rgba(100,140,255,0.28);color:inherit;border-radius:2px"
_SIGN = {True: ("", ""), False: ("≠", "differs")}


def reference_html(passing: Passing) -> str:
    """Return the comparison, folded away; nothing where the reference is not shown."""
    if not passing.beside:
        return ""
    tables = "".join(_table(part, len(passing.beside) > 1) for part in passing.beside)
    return f"<details><summary>{BESIDE}</summary>{tables}</details>"


def _table(part: Beside, has_several: bool) -> str:
    name = f'<p style="{_MONO}">{escape(part.target)}</p>' if has_several else ""
    if part.is_same:
        return f"{name}<p>{SAME}</p>"
    heads = "".join(
        # An empty head over the signs would be read aloud as a head of nothing.
        f'<th scope="col" style="{_CODE};font-weight:bold">{word}</th>' if word else "<td></td>"
        for word in ("Yours", "", "The reference")
    )
    rows = []
    for row in part.rows:
        mine, reference = marked_pieces(row)
        sign, word = _SIGN[row[0] == row[1]]
        cells = (_line(mine), f'<span title="{word}">{sign}</span>' if sign else "", _line(reference))
        tds = "".join(f'<td style="{_CODE}">{cell}</td>' for cell in cells)
        rows.append(f'<tr style="background:transparent">{tds}</tr>')
    return (
        f'{name}<table style="border-collapse:collapse;margin:4px 0">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _line(pieces: Iterable[Piece]) -> str:
    return "".join(
        f'<mark style="{_MARK}">{escape(text)}</mark>' if is_other and text.strip() else escape(text)
        for text, is_other in pieces
    )


def onward_html(verdict: Verdict, is_alone: bool = True) -> str:
    """Return links to read on and to go on with, and how far the path is done.

    Where it does not stand alone there is nothing to read on about; without what practice adds (a grade has
    none of it) the next step is all.
    """
    passing = verdict.passing
    if passing is None:
        return f"<div><strong>Next:</strong> {escape(verdict.next)}</div>"
    told = []
    if is_alone and passing.read and not passing.again:
        page, _, anchor = passing.read.partition("#")
        link = f'<a href="{href(str(COURSE_ROOT / page), anchor)}">{escape(passing.read)}</a>'
        told.append(f"<div><strong>To read:</strong> {link}</div>")
    told.append(f"<div><strong>Next:</strong> {_next(verdict.next, passing.following)}</div>")
    told.append(f"<div>{escape(passing.stands)}</div>")
    return "".join(told)


def _next(sentence: str, following: Following | None) -> str:
    """Return the next step with links: its section, its code at the line, and its code beside this page."""
    if following is None:
        return escape(sentence)
    links = []
    if following.page is not None:
        page, _, heading = following.page.partition("#")
        links.append(f'<a href="{href(page, heading)}">its section</a>')
    if following.line is not None:
        name = Path(following.file).name
        # JupyterLab counts the lines of a link from 0.
        at_line = href(following.file, f"line={following.line - 1}")
        links.append(f'<a href="{at_line}">{name}, line {following.line}</a>')
        links.append(_button(following))
    sentence = f"go on with {following.id}, {following.title}"
    return escape(sentence) + (f": {' · '.join(links)}" if links else "")


def _button(following: Following) -> str:
    """Return a button that opens the file beside the notebook, where the page is JupyterLab's."""
    file = Path(following.file)
    if not file.is_relative_to(COURSE_ROOT):
        return ""
    options = {
        "path": file.relative_to(COURSE_ROOT).as_posix(),
        "factory": "Editor",
        "options": {"mode": "split-right"},
    }
    arguments = escape(json.dumps(options), quote=True)
    command = 'data-commandlinker-command="docmanager:open"'
    return f'<button {command} data-commandlinker-args="{arguments}">beside this page</button>'
