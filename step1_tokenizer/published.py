"""Vocabularies that others have published: a folder on this machine, or `hub:NAME`, fetched once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

HUB = "hub:"
# What `Tokenizer.load` reads, in the order in which it prefers them.
FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
# Seconds that the hub may take to begin its answer.
PATIENCE = 3


class NotThere(Exception):
    """The vocabulary cannot be had; the message is one sentence that says what to do without it."""


def folder_of(name: str) -> Path:
    """Return the folder of a tokenizer: `hub:gpt2` is fetched from the Hugging Face hub, all else is one.

    What was fetched once is kept by `huggingface_hub` and needs no network again. Raises NotThere, in one
    sentence and within seconds, where the hub cannot be reached or has no such vocabulary.
    """
    if not name.startswith(HUB):
        return Path(name)
    from httpx2 import HTTPError
    from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError

    repository = name.removeprefix(HUB)
    for fetch in (_kept, _fetched):
        for files in FILES:
            try:
                return fetch(repository, files)
            except (FileNotFoundError, RemoteEntryNotFoundError):
                continue
            except HFValidationError:
                raise NotThere(
                    f"hub:NAME must name what the hub can have, such as hub:gpt2, got {name}"
                ) from None
            except (OSError, HTTPError):
                raise NotThere(
                    f"{name} is not on this machine, and the hub could not be reached or does not have it. "
                    "With the network try again; or name a folder that holds vocab.json and merges.txt"
                ) from None
    raise NotThere(f"{name} must have tokenizer.json, or vocab.json and merges.txt, and has neither")


def _kept(repository: str, files: Sequence[str]) -> Path:
    """Return the folder of files that were fetched before. Raises FileNotFoundError where one was not."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(repository, file) for file in files]
    paths = [Path(path) for path in found if isinstance(path, str)]
    if len(paths) < len(files):
        raise FileNotFoundError(files[0])
    return paths[0].parent


def _fetched(repository: str, files: Sequence[str]) -> Path:
    """Return the folder of files that the hub has and that lie here now."""
    fetched = [download(repository, file) for file in files]
    return fetched[0].parent


def download(repository: str, file: str) -> Path:
    """Return a file of the hub: as it was kept, or fetched now.

    Raises EntryNotFoundError where the hub has no such file, OSError or HTTPError, within seconds, where it
    cannot be reached or has no such repository.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    if isinstance(kept := try_to_load_from_cache(repository, file), str):
        return Path(kept)
    # Downloading tries again and again for 23 s where nothing answers. Asking is tried once.
    get_hf_file_metadata(hf_hub_url(repository, file), timeout=PATIENCE)
    return Path(hf_hub_download(repository, file))
