"""Cut the definitions out of a file that does not parse, by its known headers and the indentation.

A fault inside one body must cost that exercise alone, so this reads lines, not syntax: an unclosed bracket or
string in one definition is no obstacle to finding the next.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from coursekit.source.text import compiles, indent_of, prefix_of

_HEADER = re.compile(r"[ \t\f]*(?:async[ \t]+)?(def|class)[ \t]+(\w+)")
# Two words and a bracket: a header whose `def` or `class` is misspelled, unless the first is a keyword.
_MISSPELLED = re.compile(r"[ \t\f]*(\w+)[ \t]+(\w+)[ \t]*[(:]")
_DECORATOR = re.compile(r"[ \t\f]*@[ \t]*[\w(]")
_MAIN = re.compile(r"[ \t\f]*if[ \t(]+__name__\b")

# What recover() returns for one definition: the first line of the header, of the body, the last line, the
# prefix.
Lines = tuple[int, int, int, str]


@dataclass(frozen=True)
class _Mark:
    """A line that ends what stands before it; `name` is the known definition that begins there, if one
    does.
    """

    first: int
    header: int
    name: str | None


def recover(lines: list[str], known: set[str], outside: frozenset[str]) -> dict[str, list[Lines]]:
    """Return where each known definition stands: `known` are names like "attend" and "MLP.forward".

    A definition ends before the next line at or left of its indentation that begins a definition, a decorator
    or `if __name__`, or that is one of the lines known to stand `outside` all bodies. A known header begins a
    definition even if its indentation is wrong. Any other line that has slipped to the left still belongs to
    the broken body.
    """
    found: dict[str, list[Lines]] = {}
    marks = [*_marks(lines, known, outside), _Mark(len(lines) + 1, len(lines) + 1, None)]
    for mark, following in pairwise(marks):
        if mark.name is None:
            continue
        last = _last_line(lines, mark, following.first)
        body = min(_body_line(lines, mark.header), last)
        found.setdefault(mark.name, []).append((mark.first, body, last, _prefix(lines, mark, marks)))
    return found


def _marks(lines: list[str], known: set[str], outside: frozenset[str]) -> Iterator[_Mark]:
    """Yield the lines at which definitions begin or end, in order."""
    open_class: str | None = None
    # The indentation of the definition that is being read; -1: none, so that any line may stand here.
    width = -1
    body_width = 0
    skip_to = 0
    for number, line in enumerate(lines, start=1):
        if number < skip_to or not line.strip() or line.lstrip().startswith("#"):
            continue
        at = indent_of(line)
        first = number
        if _DECORATOR.match(line) and (width < 0 or at < body_width):
            number = _decorated(lines, number)
        header = _header(lines[number - 1], known)
        if header is None:
            if (_MAIN.match(line) or line.rstrip() in outside) and 0 <= at <= width:
                yield _Mark(first, first, None)
                width = -1
                open_class = open_class if at > 0 else None
            continue
        at = indent_of(lines[number - 1])
        kind, name = header
        full = _full_name(kind, name, at, open_class, known)
        if full is None and 0 <= width < at:
            continue
        if full is not None and width >= 0 and at >= body_width:
            # Deeper than the body it stands in: a nested function that has the name of a known one.
            continue
        if full is None or "." not in full:
            open_class = name if kind == "class" else (open_class if at > 0 else None)
        yield _Mark(first, number, full)
        skip_to = _body_line(lines, number)
        width = -1 if kind == "class" else at
        body_width = at + 1 if skip_to > len(lines) else max(at + 1, indent_of(lines[skip_to - 1]))


def _header(line: str, known: set[str]) -> tuple[str, str] | None:
    """Return ("def" or "class", name) where the line is a header, also where the first word of it is
    misspelled.
    """
    header = _HEADER.match(line)
    if header is not None:
        return header[1], header[2]
    guess = _MISSPELLED.match(line)
    if guess is None or keyword.iskeyword(guess[1]) or guess[1] in ("match", "case", "type"):
        return None
    name = guess[2]
    if any(other.startswith(f"{name}.") for other in known):
        return "class", name
    return ("def", name) if any(name == other.rpartition(".")[2] for other in known) else None


def _full_name(kind: str, name: str, at: int, open_class: str | None, known: set[str]) -> str | None:
    """Return the known definition that a header begins: a method of the open class before a function of that
    name.
    """
    method = f"{open_class}.{name}"
    is_method = kind == "def" and open_class is not None and method in known
    if is_method and (at > 0 or name not in known):
        return method
    return name if name in known else None


def _decorated(lines: list[str], number: int) -> int:
    """Return the line of the `def` or `class` under the decorator in this line, or the line itself if there
    is none.
    """
    for below in range(number + 1, min(number + 20, len(lines) + 1)):
        if _HEADER.match(lines[below - 1]):
            return below
    return number


def _body_line(lines: list[str], header: int) -> int:
    """Return the first line under a header that may run over several lines; the header itself if all is on
    one.
    """
    depth = 0
    for number in range(header, min(header + 40, len(lines) + 1)):
        if number > header and _HEADER.match(lines[number - 1]):
            break
        code = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'|#.*", "", lines[number - 1]).strip()
        depth += sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
        if depth <= 0:
            return number if ":" in code and not code.endswith(":") else number + 1
    return header + 1


def _last_line(lines: list[str], mark: _Mark, end: int) -> int:
    """Return the last line of a definition that ends somewhere before line `end`.

    A line that has slipped to the left belongs to it, unless what stands from there on to `end` is whole by
    itself (a constant, say) and the definition is whole without it, or a blank line parts the two.
    """
    width = indent_of(lines[mark.header - 1])
    for number in range(_body_line(lines, mark.header) + 1, end):
        line = lines[number - 1]
        if not line.strip() or line.lstrip().startswith("#") or indent_of(line) > width:
            continue
        rest = "".join(_dedented(lines[number - 1 : end - 1]))
        before = "".join(_dedented(lines[mark.first - 1 : number - 1]))
        if compiles(rest) and (compiles(before) or not lines[number - 2].strip()):
            end = number
            break
    last = end - 1
    while last > mark.header:
        line = lines[last - 1]
        if line.strip() and not (line.lstrip().startswith("#") and indent_of(line) <= width):
            break
        last -= 1
    return last


def _dedented(lines: list[str]) -> list[str]:
    prefix = prefix_of(lines[0])
    return [line.removeprefix(prefix) for line in lines]


def _prefix(lines: list[str], mark: _Mark, marks: list[_Mark]) -> str:
    """Return the white space that a definition standing here should begin with: what its class's body begins
    with.
    """
    if mark.name is None or "." not in mark.name:
        return ""
    owner = mark.name.rpartition(".")[0]
    headers = [m.header for m in marks if m.name == owner and m.header < mark.header]
    if not headers:
        return prefix_of(lines[mark.header - 1])
    for line in lines[_body_line(lines, headers[-1]) - 1 : mark.first]:
        if line.strip() and not line.lstrip().startswith("#"):
            return prefix_of(line)
    return prefix_of(lines[mark.header - 1])
