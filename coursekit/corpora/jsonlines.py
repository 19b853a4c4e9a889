"""JSON lines as documents: one object a line, one field of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

from coursekit.corpora import MissingCorpus

FIELD = "text"
SUFFIXES = (".jsonl", ".ndjson")
# In characters: what must fit into the memory, since JSON cannot be read in parts.
LONGEST_LINE = 64 * 2**20


def from_json_lines(file: IO[str], field: str, name: str) -> Iterator[str]:
    """Yield the field of each line's object; blank lines are passed over.

    Raises MissingCorpus for a line that is no such object, with the number of the line.
    """
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if not line.strip():
            continue
        try:
            yield _field_of(line, field)
        except _Wrong as wrong:
            raise MissingCorpus(f"{wrong}, in line {number:,} of {name}: mend or drop the line") from None


def text_field(row: dict[str, object], field: str) -> str:
    """Return a field of a row. Raises MissingCorpus where there is none, and where it is no text."""
    try:
        return _text_of(row, field)
    except _Wrong as wrong:
        raise MissingCorpus(f"{wrong}: name another field after a #") from None


class _Wrong(Exception):
    """What a line must be and is not."""


def _field_of(line: str, field: str) -> str:
    if len(line) > LONGEST_LINE:
        raise _Wrong(f"a line of JSON must have at most {LONGEST_LINE:,} characters, got more")
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise _Wrong(f"a line must be JSON, got {error.msg} at character {error.pos + 1:,}") from None
    except (ValueError, RecursionError):
        raise _Wrong("a line must be JSON, got one nested too deeply or with too long a number") from None
    if not isinstance(row, dict):
        raise _Wrong(f'a line must be a JSON object like {{"{field}": "..."}}, got a {type(row).__name__}')
    return _text_of(row, field)


def _text_of(row: dict[str, object], field: str) -> str:
    if field not in row:
        there = ", ".join(sorted(map(str, row))[:8]) or "none"
        raise _Wrong(f"an object must have the field {field!r}, got the fields {there}")
    text = row[field]
    if not isinstance(text, str):
        raise _Wrong(f"the field {field!r} must be text, got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _Wrong(f"the field {field!r} must be text for UTF-8, got half of a surrogate pair") from None
    return text
