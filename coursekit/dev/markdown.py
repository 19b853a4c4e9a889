"""What the course reads in its own Markdown: headings with GitHub's anchors, links, and code blocks to leave
alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*$")
_CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
# [text](target), <img src="target">, <a href="target">, [name]: target
_LINK = re.compile(
    r"(?P<before>\]\(|\b(?:src|href)=[\"']|^ {0,3}\[[^\]]+\]:[ \t]+)(?P<target><[^>\n]*>|[^)\s\"'>]+)"
)
_EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """A heading as written, with the anchor that GitHub gives it."""

    text: str
    anchor: str
    level: int


@dataclass(frozen=True)
class Link:
    """The target of a link to a file or anchor of the project, and its line."""

    target: str
    line: int


def prose(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield (line number, line, whether it is prose) for every line; fenced code is not prose."""
    fence: str | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        found = _FENCE.match(line)
        if fence is None and found:
            fence = found[1]
            yield number, line, False
        elif fence is not None:
            if found and found[1].startswith(fence) and line.strip() == found[1]:
                fence = None
            yield number, line, False
        else:
            yield number, line, True


def headings(text: str) -> list[Heading]:
    """Return the headings of a page in order."""
    found: list[Heading] = []
    used: dict[str, int] = {}
    for _, line, is_prose in prose(text):
        heading = _HEADING.match(line) if is_prose else None
        if heading is None:
            continue
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[2]).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        count = used.get(slug, 0)
        used[slug] = count + 1
        found.append(Heading(words, f"{slug}-{count}" if count else slug, len(heading[1])))
    return found


def links(text: str) -> list[Link]:
    """Return the links of a page that lead to files or anchors of the project."""
    found: list[Link] = []

    for number, line, is_prose in prose(text):
        if not is_prose:
            continue
        targets: list[str] = []
        _relinked(line, lambda target, seen=targets: seen.append(target) or target)  # type: ignore[misc]
        found += [Link(target, number) for target in targets]
    return found


def relink(text: str, change: Callable[[str], str]) -> str:
    """Return the page with every link to a file or anchor of the project changed; code stays as it is."""
    return "\n".join(_relinked(line, change) if is_prose else line for _, line, is_prose in prose(text))


def _relinked(line: str, change: Callable[[str], str]) -> str:
    spans = [match.span() for match in _CODE_SPAN.finditer(line)]

    def replace(match: re.Match[str]) -> str:
        target = match["target"].strip("<>")
        in_code = any(start < match.start("target") < end for start, end in spans)
        if in_code or _EXTERNAL.match(target) or not target:
            return match[0]
        return match["before"] + change(target)

    return _LINK.sub(replace, line)


@lru_cache(maxsize=256)
def anchors_of(path: Path) -> frozenset[str]:
    """Return the anchors of a Markdown page, those set in HTML among them."""
    text = path.read_text(encoding="utf-8")
    written = re.findall(r"<a\s+(?:id|name)=[\"']([^\"']+)", text)
    return frozenset([*(heading.anchor for heading in headings(text)), *written])


def dead_reason(target: str, page: Path, root: Path) -> str | None:
    """Return why a link on a page leads nowhere, or None if it leads somewhere in the project."""
    path, _, anchor = target.partition("#")
    goal = page if not path else (root / path[1:] if path.startswith("/") else page.parent / path)
    goal = Path(posixpath.normpath(goal.as_posix()))
    if not goal.is_relative_to(root):
        return "it leaves the project"
    if not goal.exists():
        return "there is no such file"
    if anchor and goal.suffix == ".md" and anchor not in anchors_of(goal):
        return f"{goal.name} has no heading with the anchor #{anchor}"
    return None
