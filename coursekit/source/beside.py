"""Two versions of one definition beside each other: their bodies without docstring and plan, line by line."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest
from operator import itemgetter
from textwrap import dedent

from coursekit.source.spans import Definition, find_spans, syntax_tree
from coursekit.source.stub import GIVEN
from coursekit.source.text import prefix_of, split_lines

# A line of the one version and its counterpart in the other; None where that has none.
Row = tuple[str | None, str | None]
# A piece of a line, and whether the other line has something else there.
Piece = tuple[str, bool]

_TODO = re.compile(r"#\s*TODO\b")
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
# Lines that have less in common than this are marked whole: word by word nobody could read them.
ALIKE = 0.4
# More pairs of lines than this are not compared with each other: it would be felt.
COMPARED = 900


def body_lines(text: str, target: str, plan: str) -> list[str]:
    """Return the code of a definition's body: no docstring, no blank line, no comment that `plan` has too.

    `plan` is the learner's file as it was given. Comments of the learner's own stay, and so do those of the
    solution that say why. Empty where the text does not define the target or its lines are not Python.
    """
    chunk = _chunk(text, target, plan)
    tree = syntax_tree(chunk)
    if tree is None or not tree.body or not isinstance(tree.body[0], Definition):
        return []
    node = tree.body[0]
    has_docstring = ast.get_docstring(node, clean=False) is not None
    statements = node.body[1:] if has_docstring else node.body
    if statements and statements[0].lineno == node.lineno:
        return [ast.unparse(statement) for statement in statements]
    first = (node.body[0].end_lineno or 0) if has_docstring else node.body[0].lineno - 1
    given = {line.strip() for line in split_lines(_chunk(plan, target, plan)) if _is_comment(line)}
    kept = [
        GIVEN.sub("", line).rstrip()
        for line in split_lines(chunk)[first:]
        if line.strip() and line.strip() not in given and not _TODO.match(line.strip())
    ]
    return dedent("\n".join(kept)).split("\n") if kept else []


def _chunk(text: str, target: str, template: str) -> str:
    """Return the lines of a definition, at the left edge."""
    span = find_spans(text, [target], template).get(target)
    if span is None:
        return ""
    lines = split_lines(text)[span.header - 1 : span.last]
    own = prefix_of(lines[0])
    return "".join(line.removeprefix(own) for line in lines)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def aligned(left: Sequence[str], right: Sequence[str]) -> list[Row]:
    """Return the lines of both sides in rows: equal lines together, like ones too, others by their place."""
    rows: list[Row] = []
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            rows += zip(left[a:b], right[c:d])
        else:
            rows += _alike_together(left[a:b], right[c:d])
    return rows


def _alike_together(left: Sequence[str], right: Sequence[str]) -> Iterator[Row]:
    """Yield rows of lines that differ, those beside each other that are most alike, none out of its order."""

    @cache
    def best(i: int, j: int) -> tuple[float, tuple[tuple[int, int], ...]]:
        if i == len(left) or j == len(right):
            return 0.0, ()
        found = max(best(i + 1, j), best(i, j + 1), key=itemgetter(0))
        ratio = difflib.SequenceMatcher(None, _TOKEN.findall(left[i]), _TOKEN.findall(right[j])).ratio()
        if ratio >= ALIKE and ratio + best(i + 1, j + 1)[0] > found[0]:
            found = ratio + best(i + 1, j + 1)[0], ((i, j), *best(i + 1, j + 1)[1])
        return found

    pairs = best(0, 0)[1] if len(left) * len(right) <= COMPARED else ()
    i = j = 0
    for next_i, next_j in (*pairs, (len(left), len(right))):
        yield from zip_longest(left[i:next_i], right[j:next_j])
        if next_i < len(left):
            yield left[next_i], right[next_j]
        i, j = next_i + 1, next_j + 1


def marked_pieces(row: Row) -> tuple[list[Piece], list[Piece]]:
    """Return both lines of a row in pieces, those that the other line does not have marked."""
    left, right = row
    if left is None or right is None or left == right:
        is_other = left != right
        return [(left, is_other)] if left else [], [(right, is_other)] if right else []
    mine, theirs = _TOKEN.findall(left), _TOKEN.findall(right)
    matcher = difflib.SequenceMatcher(None, mine, theirs, autojunk=False)
    if matcher.ratio() < ALIKE:
        return [(left, True)], [(right, True)]
    codes = matcher.get_opcodes()
    return (
        [("".join(mine[a:b]), tag != "equal") for tag, a, b, _, _ in codes if b > a],
        [("".join(theirs[a:b]), tag != "equal") for tag, _, _, a, b in codes if b > a],
    )
