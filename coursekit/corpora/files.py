"""The `file:` corpora: a text, JSON lines, or a folder of both, read as a stream and never whole.

| PATH | its documents |
|---|---|
| a text with a line `<|endoftext|>` in its first MiB, as TinyStories' | what stands between such lines |
| any other text | paragraphs gathered to about 2,000 characters |
| a folder | each of its texts, one document; those of more than 1 MiB are cut as above |
| `.jsonl`, `.ndjson`, or any `PATH#FIELD` | the field of each line's object, `text` if none is named |

Any of them may be packed with gzip, as `.gz`. The text is UTF-8, of any length, lines of any length included.
"""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from coursekit.corpora import MissingCorpus
from coursekit.corpora.cutting import LONGEST_PIECE, at_blank_lines, at_separators, has_separator
from coursekit.corpora.jsonlines import FIELD, SUFFIXES, from_json_lines
from coursekit.corpora.splits import nothing_in

# How much of a text is looked at for a separator, and how large a folder's file may be to stay in one piece.
HEAD = 2**20
CHUNK = 2**20
ENCODING = "utf-8-sig"  # a byte order mark, as Windows writes it, is no text


def file_documents(place: str) -> Iterator[str]:
    """Return the documents at `PATH` or `PATH#FIELD`, one at a time, in the order of the files' names.

    Whether there are any files is known at once, what they hold as they are read. Raises MissingCorpus, in
    one sentence, for what is missing, empty, unreadable, not UTF-8 or broken JSON.
    """
    path, field = path_and_field(place)
    if not any(size for _, size, _ in states_of(path)):
        raise MissingCorpus(nothing_in(str(path)))
    is_whole = path.is_dir()
    return (text for file, *_ in states_of(path) for text in _documents(file, field, is_whole))


def path_and_field(place: str) -> tuple[Path, str | None]:
    """Return the path and the field of `PATH#FIELD`; a `#` in a path that is there belongs to the path."""
    path = Path(place).expanduser()
    before, mark, field = place.rpartition("#")
    with _readable(path):
        if not mark or path.exists():
            return path, None
    return Path(before).expanduser(), field


def states_of(path: Path) -> Iterator[tuple[Path, int, int]]:
    """Yield each file with its size and time of change: the file itself, or a folder's in the order of their
    names, without what is hidden.

    Raises MissingCorpus where there is neither, and for a folder that may not be read.
    """
    with _readable(path):
        if not path.is_dir() and not path.is_file():
            raise MissingCorpus(
                f"file:PATH must name a file or a folder that is there, got {path}: check its spelling, and "
                "give the whole path if it does not begin in this folder"
            )
        for file in _walk(path) if path.is_dir() else [path]:
            stat = file.stat()
            yield file, stat.st_size, stat.st_mtime_ns


def _walk(path: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(path, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = (Path(folder, name) for name in sorted(names) if not name.startswith("."))
        yield from (file for file in files if file.is_file())


def _documents(path: Path, field: str | None, is_whole: bool) -> Iterator[str]:
    """Yield the documents of one file."""
    name = path.name.removesuffix(".gz")
    with _reading(path) as file:
        if field is not None or name.endswith(SUFFIXES):
            yield from from_json_lines(file, field or FIELD, str(path))
            return
        head = file.read(HEAD)
        is_separated = has_separator(head)
        if is_whole and not is_separated and not file.read(1):
            yield head
            return
        file.seek(0)
        # Lines in parts of a bounded length: a text may be one line of gigabytes.
        lines = iter(lambda: file.readline(LONGEST_PIECE), "")
        yield from at_separators(lines) if is_separated else at_blank_lines(lines)


@contextmanager
def _reading(path: Path) -> Iterator[IO[str]]:
    """Open a text, packed or not; say what is wrong with it in one sentence, at whatever point it shows."""
    try:
        with _readable(path), _open(path, "rt", encoding=ENCODING) as file:
            yield file
    except UnicodeDecodeError:
        raise MissingCorpus(
            f"a corpus must be text in UTF-8, and byte {_first_bad_byte(path):,} of {path} is none: save the "
            "file as UTF-8, or take it away if it is no text"
        ) from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into one sentence."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        where = getattr(error, "filename", None) or path
        rule = f"a corpus must be readable, and {where} cannot be read"
        raise MissingCorpus(f"{rule}: {why}; mend it, or name another") from None


def _open(path: Path, mode: str, encoding: str | None = None) -> IO[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, mode, encoding=encoding)  # type: ignore[return-value]


def _first_bad_byte(path: Path) -> int:
    """Return where in a file, unpacked, the first byte stands that is no UTF-8; the error that a text file
    raises counts from its last chunk.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = 0
    with _open(path, "rb") as file:
        while True:
            data = file.read(CHUNK)
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(data, final=not data)  # type: ignore[arg-type]
            except UnicodeDecodeError as error:
                return start - waiting + error.start
            start += len(data)
