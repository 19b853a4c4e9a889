"""Vocabularies that others have published: a folder on this machine, or `hub:NAME`, fetched once."""

from __future__ import annotations

from pathlib import Path

HUB = "hub:"
# What `Tokenizer.load` reads, in the order in which it prefers them.
FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))


class NotThere(Exception):
    """The vocabulary cannot be had; the message is one sentence that says what to do without it."""


def folder_of(name: str) -> Path:
    """Return the folder of a tokenizer: `hub:gpt2` is fetched from the Hugging Face hub, all else is one.

    What was fetched once is kept by `huggingface_hub` and needs no network again. Raises NotThere, in one
    sentence, where the hub cannot be reached or has no such vocabulary.
    """
    if not name.startswith(HUB):
        return Path(name)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError

    repository = name.removeprefix(HUB)
    for files in FILES:
        try:
            fetched = [Path(hf_hub_download(repository, file)) for file in files]
            return fetched[0].parent
        except RemoteEntryNotFoundError:
            continue
        except HFValidationError:
            raise NotThere(
                f"hub:NAME must name what the hub can have, such as hub:gpt2, got {name}"
            ) from None
        except OSError:
            raise NotThere(
                f"{name} is not on this machine, and the hub could not be reached or does not have it. With "
                "the network try again; or name a folder that holds vocab.json and merges.txt"
            ) from None
    raise NotThere(f"{name} must have tokenizer.json, or vocab.json and merges.txt, and has neither")
