"""Where a model lies: a folder on this machine, or a name on the Hugging Face hub, fetched once."""

from __future__ import annotations

import json
from pathlib import Path

from step1_tokenizer.published import HUB, NotThere, download

INDEX = "model.safetensors.index.json"
# Files of a tokenizer; which of them there are differs from model to model.
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")


def folder_of(name: str | Path) -> Path:
    """Return the folder of a model: one on this machine, or what the hub has under this name.

    What was fetched once is kept by `huggingface_hub` and needs no network again. Raises NotThere, in one
    sentence and within seconds, where it is neither.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    from httpx2 import HTTPError
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    repository = str(name).removeprefix(HUB)
    try:
        return fetched(repository)
    except HFValidationError:
        raise NotThere(f"a model must be a folder or a name such as gpt2, got {name}") from None
    except (OSError, HTTPError, EntryNotFoundError):
        raise NotThere(
            f"{name} is no folder on this machine, and the hub could not be reached or does not have it. "
            "With the network try again; or name a folder that holds config.json and model.safetensors"
        ) from None


def fetched(repository: str) -> Path:
    """Return the folder into which a model of the hub was fetched, with its tokenizer where it has one."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import EntryNotFoundError

    folder = download(repository, "config.json").parent
    try:
        download(repository, "model.safetensors")
    except (OSError, HTTPError, EntryNotFoundError):
        index = download(repository, INDEX)
        for file in sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())):
            download(repository, file)
    for file in TOKENIZER:
        try:
            download(repository, file)
        except (OSError, HTTPError, EntryNotFoundError):
            continue
    return folder
