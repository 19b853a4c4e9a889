"""Corpora by name, as commands take them: `python`, `storyworld`, `file:PATH`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from coursekit.corpora import MissingCorpus
from coursekit.corpora.python import python_library
from coursekit.corpora.storyworld import stories

NAMES = ("python", "storyworld", "file:PATH")
# A story has about 400 bytes, so this is some 8 MB, as much as the standard library.
NUM_STORIES = 20_000


def open_corpus(name: str) -> Iterable[str]:
    """Return the training texts of a corpus, one at a time: files, stories.

    `file:PATH` is a text in UTF-8, or a folder whose files are. Raises MissingCorpus, in one sentence, for a
    name that there is not, and for a file that is missing, empty or no text.
    """
    if name == "python":
        return (file.data.decode("utf-8") for file in python_library().train)
    if name == "storyworld":
        return islice(stories(), NUM_STORIES)
    if name.startswith("file:") and len(name) > len("file:"):
        return _files(Path(name.removeprefix("file:")).expanduser())
    raise MissingCorpus(f"a corpus must be one of {', '.join(NAMES)}, got {name!r}")


def _files(path: Path) -> Iterator[str]:
    """Return the texts at a path; whether there are any is known at once, what they hold as they are read."""
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file, path))
    elif path.exists():
        found = [path]
    else:
        raise MissingCorpus(f"file:PATH must name a file or a folder that is there, got {path}")
    if not any(file.stat().st_size for file in found):
        raise MissingCorpus(f"file:PATH must hold text, got nothing in {path}")
    return _texts(found)


def _texts(found: Iterable[Path]) -> Iterator[str]:
    for file in found:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            place = f"byte {error.start:,} of {file} is none"
            raise MissingCorpus(f"a corpus must be text in UTF-8, and {place}") from None
        except OSError as error:
            raise MissingCorpus(f"{file} cannot be read: {error.strerror or error}") from None
        if text:
            yield text


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
