"""The `python` corpus: the source of the standard library of the Python that runs this, megabytes of real
text anywhere.
"""

from __future__ import annotations

import os
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

from coursekit.corpora import Corpus, MissingCorpus, TextFile, split_by_file

# Tests and test data are a different kind of text and half of all bytes; lib2to3 and idlelib are programs
# that newer Pythons drop or hide; the codecs of `encodings` are generated and nearly alike, so that a
# held-out one would have its twin on the training side; pydoc_data is one file of prose that would outweigh
# the code; bundled wheels and platform data are not the library.
LEFT_OUT = frozenset(
    ["test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "idlelib", "encodings"]
)
LEFT_OUT |= {"pydoc_data", "turtledemo", "__phello__", "_bundled"}
LEFT_OUT_PREFIXES = ("config-", "_sysconfigdata", "_sysconfig_vars")
LEAST_BYTES = 2_000_000


def python_library(root: Path | None = None) -> Corpus:
    """Read the standard library's source files, split by file, as UTF-8 with one newline byte at line ends.

    Without installed packages, tests, generated tables and programs (see LEFT_OUT). `root` is the library's
    folder, by default the running Python's. Raises MissingCorpus where the sources are not there, as in
    embedded Pythons.
    """
    root = Path(sysconfig.get_path("stdlib")) if root is None else root
    files = [TextFile(path.relative_to(root).as_posix(), _read(path)) for path in _sources(root)]
    size = sum(len(file.data) for file in files)
    if size < LEAST_BYTES:
        raise MissingCorpus(
            f"{root} must hold Python's standard library as source, about 8 MB, got {size / 1e6:.1f} MB in "
            f"{len(files)} files: this Python came without it. Run the course with a Python from python.org, "
            "conda, uv or your system's full python3 package (`python start.py` makes the environment anew)."
        )
    return split_by_file("python", files)


def _sources(root: Path) -> Iterator[Path]:
    """Yield the files that belong to the corpus; folders that are left out are not even walked."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if _belongs(name))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py") and _belongs(name))


def _belongs(name: str) -> bool:
    return name not in LEFT_OUT and not name.startswith(LEFT_OUT_PREFIXES)


def _read(path: Path) -> bytes:
    """Return a source file's text as UTF-8; the encoding is what its first lines say, as Python itself
    reads it.
    """
    with tokenize.open(path) as file:
        return file.read().encode()
