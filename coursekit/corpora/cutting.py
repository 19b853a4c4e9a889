"""How one long text becomes documents: at lines that read `<|endoftext|>`, else at blank lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SEPARATOR = "<|endoftext|>"
# In characters. A piece is long enough to fill a small model's context, and a book has hundreds of pieces.
PIECE = 2_000
# Where no blank line comes, a piece ends at the end of a line or, in a text without lines, right there.
LONGEST_PIECE = 8_000
# What stands between two separators is one document; one that would fill the memory is cut.
LONGEST_DOCUMENT = 2**20


def has_separator(text: str) -> bool:
    """Return whether a line of the text is a separator."""
    return any(line.strip() == SEPARATOR for line in text.split("\n"))


def at_separators(lines: Iterable[str]) -> Iterator[str]:
    """Yield what stands between separator lines, without blank lines around it.

    A document of more than LONGEST_DOCUMENT characters is cut at the end of a line.
    """
    piece: list[str] = []
    size = 0
    for line in lines:
        is_end = line.strip() == SEPARATOR
        if is_end or size > LONGEST_DOCUMENT:
            yield _joined(piece)
            piece, size = [], 0
        if not is_end:
            piece.append(line)
            size += len(line)
    yield _joined(piece)


def at_blank_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield paragraphs gathered to pieces of PIECE characters or a little more, without blank lines around.

    A piece ends at the first blank line after that size, or where it has LONGEST_PIECE characters. So a
    piece depends on what stands before it: a paragraph added in front moves the borders that follow, up to
    the next paragraph of PIECE characters or more.
    """
    piece: list[str] = []
    size = 0
    for line in lines:
        if size >= (LONGEST_PIECE if line.strip() else PIECE):
            yield _joined(piece)
            piece, size = [], 0
        if piece or line.strip():
            piece.append(line)
            size += len(line)
    yield _joined(piece)


def _joined(lines: list[str]) -> str:
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return "".join(lines[first:last])
