"""Python files as text: read whatever was saved, keep every byte, say where it is not UTF-8, write it
back.
"""

from __future__ import annotations

import codecs
import os
import re
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
# PEP 263: the declaration stands in a comment in one of the first two lines.
_DECLARED = re.compile(rb"^(?:[^\r\n]*(?:\r\n|\r|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def split_lines(text: str) -> list[str]:
    """Return the lines of a Python file with their ends, counted as Python counts them.

    Only line feed, carriage return and the two together end a line: form feeds and Unicode's separators, at
    which `str.splitlines` also splits, do not. Joined, the lines are the text again.
    """
    return _LINE.findall(text)


def read_source(path: str | Path) -> tuple[str, str | None]:
    """Return the file's text, whatever was saved in it, and one sentence if Python cannot read it as UTF-8.

    A byte order mark is dropped and a declared encoding (PEP 263) is obeyed. Bytes that are not UTF-8 stay in
    the text as lone surrogates, so that the lines around them keep their numbers and `write_source` can put
    them back; Python refuses a text that holds one. A file saved as UTF-16 is read as that; its whole text is
    a fault. Raises OSError where there is no such file.
    """
    raw = Path(path).read_bytes()
    name = Path(path).name
    for mark, encoding in _UTF16.items():
        if raw.startswith(mark):
            text = raw.removeprefix(mark).decode(encoding, errors="replace")
            return (
                text,
                f"{name} must be saved as UTF-8, got UTF-16: choose UTF-8 in your editor and save it again",
            )
    raw = raw.removeprefix(codecs.BOM_UTF8)
    declared = _declared_encoding(raw)
    if declared is not None:
        return raw.decode(declared), None
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        line, column = _place(raw, error.start)
        what = f"{name} must be saved as UTF-8, got the byte 0x{raw[error.start]:02x}"
        return raw.decode("utf-8", errors="surrogateescape"), (
            f"{what} in line {line}, column {column}: "
            "choose UTF-8 in your editor and save it again, or type that character anew"
        )


def write_source(path: str | Path, text: str) -> None:
    """Write a text that came from `read_source`, atomically: bytes that were not UTF-8 go back as they were.

    A byte order mark that the file has is kept, and so is the encoding that the text declares.
    """
    path = Path(path)
    old = path.read_bytes() if path.exists() else b""
    try:
        raw = text.encode("utf-8", errors="surrogateescape")
        declared = _declared_encoding(raw)
        if declared is not None:
            raw = text.encode(declared)
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise ValueError(f"{path.name} must hold text that can be saved, got {character!r}") from None
    if old.startswith(codecs.BOM_UTF8):
        raw = codecs.BOM_UTF8 + raw
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@lru_cache(maxsize=256)
def compiles(text: str) -> bool:
    """Return whether Python compiles the text: more than parsing, a `return` at the level of a class is
    refused too.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<text>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        # ValueError: a NUL or a lone surrogate; MemoryError and RecursionError: brackets nested too deep.
        return False
    return True


def indent_of(line: str) -> int:
    """Return the width of a line's leading white space; a tab reaches to the next multiple of 8, as Python
    has it.
    """
    head = line[: len(line) - len(line.lstrip(" \t\f"))]
    return len(head.replace("\f", "").expandtabs(8))


def prefix_of(line: str) -> str:
    """Return a line's leading white space itself."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def _declared_encoding(raw: bytes) -> str | None:
    """Return the encoding that the first two lines declare, if it is another than UTF-8 and Python knows
    it.
    """
    found = _DECLARED.match(raw)
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
        raw.decode(name)
    except (LookupError, UnicodeDecodeError):
        return None
    return None if name == "utf-8" else name


def _place(raw: bytes, offset: int) -> tuple[int, int]:
    """Return the line and the column (in characters) of a byte, both counted from 1."""
    before = split_lines(raw[:offset].decode("utf-8") + "x")
    return len(before), len(before[-1])
