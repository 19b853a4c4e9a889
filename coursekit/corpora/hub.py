"""The `hub:` corpora: a data set of the Hugging Face hub, read as a stream by the package `datasets`.

`hub:NAME[:CONFIG][#FIELD]`; NAME may be a folder on this machine that `datasets` can read. TinyStories is
`hub:roneneldan/TinyStories`, its own `train` split, held-out documents chosen from it as from any corpus.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from coursekit.corpora import MissingCorpus
from coursekit.corpora.jsonlines import FIELD, text_field

SPLIT = "train"
# Seconds that the hub may take to answer whether it has a data set.
PATIENCE = 10
WITHOUT_PACKAGE = (
    "hub:NAME must be read by the package datasets, which is not installed: "
    f"`{sys.executable} -m pip install datasets` puts it there, some 270 MB"
)


def hub_documents(place: str) -> Iterator[str]:
    """Return the documents of `NAME[:CONFIG][#FIELD]`, one at a time as they arrive, nothing kept on disk.

    Raises MissingCorpus, in one sentence, without the package, without a network, and for a data set,
    configuration or field that there is not.
    """
    name, config, field = parts_of(place)
    return _texts(_opened(name, config), field, f"hub:{place}")


def parts_of(place: str) -> tuple[str, str | None, str]:
    """Return name, configuration and field; a `:` in a path that is there belongs to the path."""
    given, _, field = place.rpartition("#") if "#" in place else (place, "", "")
    name, _, config = (given, "", "") if Path(given).exists() else given.partition(":")
    return name, config or None, field or FIELD


def _texts(rows: Iterable[dict[str, object]], field: str, name: str) -> Iterator[str]:
    iterator = iter(rows)
    while True:
        try:
            row = next(iterator)
        except StopIteration:
            return
        except _failures() as error:
            raise MissingCorpus(
                f"{name} must be read to its end, and broke off: {_first_line(error)}; try again, or write "
                "it to a file and name that"
            ) from None
        try:
            text = text_field(row, field)
        except MissingCorpus as wrong:
            raise MissingCorpus(f"{wrong} ({name})") from None
        yield text


def _opened(name: str, config: str | None) -> Iterable[dict[str, Any]]:
    try:
        from datasets import load_dataset
        from huggingface_hub import HfApi
    except ImportError:
        raise MissingCorpus(WITHOUT_PACKAGE) from None
    try:
        if not Path(name).exists():
            # Opening tries again and again for 23 s where nothing answers. Asking is tried once.
            HfApi().dataset_info(name, timeout=PATIENCE)
        rows: Iterable[dict[str, Any]] = load_dataset(name, config, split=SPLIT, streaming=True)
    except _failures() as error:
        raise MissingCorpus(
            f"hub:NAME[:CONFIG] must name a data set that can be reached and has a split {SPLIT!r}, got "
            f"{':'.join(filter(None, (name, config)))}: {_first_line(error)}; check the name and the "
            "network, or use storyworld, which needs none"
        ) from None
    return rows


def _failures() -> tuple[type[Exception], ...]:
    """Return what `datasets` raises for a data set that is not there, is broken, or cannot be reached."""
    from datasets.exceptions import DatasetsError
    from httpx2 import HTTPError
    from pyarrow import ArrowException

    usual = (OSError, ValueError, RuntimeError, EOFError, DatasetsError, HTTPError, ArrowException)
    # Only some of its file systems use aiohttp, and it is not always installed.
    return (*usual, sys.modules["aiohttp"].ClientError) if "aiohttp" in sys.modules else usual


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
