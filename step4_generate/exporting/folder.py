"""What an exported folder holds beside the model: how to talk with it, how it ends, what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from coursekit.corpora.storyworld import END
from step2_model.exchange.export import export
from step2_model.exchange.loading import read_json
from step3_pretrain.run.folder import CONFIG, TRAINING, write_whole
from step4_generate.exporting.card import card_of
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.opening import Opened
from step4_generate.talk.template import START, TEMPLATE

TOKENIZER, GENERATION, CARD = "tokenizer_config.json", "generation_config.json", "README.md"


def exported(opened: Opened, folder: Path) -> str:
    """Write all files of a folder that `transformers` opens; return the class that it opens with.

    Raises CannotWrite for a folder that holds something else, and for a model that no class of the library
    computes; the message names the field.
    """
    check_free(folder)
    try:
        export(opened.model, folder, opened.tokenizer)
        config = read_json(folder / CONFIG)
        write_json(folder / TOKENIZER, read_json(folder / TOKENIZER) | tokenizer_fields(opened))
        write_json(folder / GENERATION, generation_fields(opened))
        kind: str = config["architectures"][0]
        write_whole(folder / CARD, card_of(opened, kind))
    except ValueError as error:
        raise CannotWrite(f"this model cannot be exported: {error}") from None
    except OSError as error:
        raise CannotWrite(f"DIR must be writable, got {folder}: {error.strerror or error}") from None
    return kind


def check_free(folder: Path) -> None:
    """Raise CannotWrite where something would be overwritten that is no exported model."""
    is_ours = (folder / CONFIG).is_file() and "model_type" in read_json(folder / CONFIG)
    if (folder / TRAINING).exists() or (folder.is_dir() and any(folder.iterdir()) and not is_ours):
        raise CannotWrite(f"DIR must be a new folder, or one that was exported before, got {folder}")


def tokenizer_fields(opened: Opened) -> dict[str, Any]:
    """Return what the tokenizer's configuration says beside its class: the form of a dialogue, where the
    model has seen it, and the tokens at which texts begin and end.
    """
    found: dict[str, Any] = {"model_max_length": opened.context}
    if opened.end_of_text is not None:
        found |= {"bos_token": START, "eos_token": START, "pad_token": START}
    return found | ({"chat_template": TEMPLATE} if opened.has_dialogue else {})


def generation_fields(opened: Opened) -> dict[str, Any]:
    """Return at which ids `generate` begins, ends and fills up: a turn of a dialogue ends as a text does."""
    start, ends = opened.end_of_text, ends_of(opened)
    return {} if start is None else {"bos_token_id": start, "pad_token_id": start, "eos_token_id": ends}


def ends_of(opened: Opened) -> list[int]:
    """Return the ids at which a text ends, or a turn of a dialogue where the model knows dialogues."""
    found = [opened.end_of_text, opened.special(END) if opened.has_dialogue else None]
    return [each for each in found if each is not None]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Put a JSON file in place, whole."""
    write_whole(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
