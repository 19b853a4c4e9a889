"""What the explorers look at: a trained model in the learner's own classes, and a text as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

LONGEST = 24
_SHOWN = {" ": "␣", "\n": "↵", "\t": "⇥"}


def rebuilt(mine: Any, model: Any) -> Any:
    """Return `mine.GPT` in the shape of a trained model and with its weights, ready to predict.

    Raises ValueError where the model is no GPT of this step or its weights do not fit.
    """
    check_model(model)
    own = mine.GPT(mine.GPTConfig(**asdict(model.config)))
    try:
        own.load_state_dict(model.state_dict())
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"the weights of model must fit mine.GPT, got another shape: {reason}") from None
    return own.eval()


def check_model(model: Any) -> None:
    """Raise ValueError for anything that is no GPT of this step."""
    config = getattr(model, "config", None)
    if not (isinstance(model, nn.Module) and is_dataclass(config) and hasattr(config, "n_head")):
        raise ValueError(
            f"model must be a trained GPT of this step, such as `first`, got {type(model).__name__}"
        )


def tokens_of(text: str | Sequence[int] | Tensor, model: Any) -> tuple[Tensor, list[str], list[str]]:
    """Return the ids (1, T) of a text, a short name for each, and a name for each token of the vocabulary.

    A string becomes its bytes, which needs a model of bytes; numbers are ids, named by letters if there are
    at most 26 of them. Raises ValueError for a text of fewer than 2 or more than 24 tokens, for one that is
    longer than the model's window, and for ids that the model does not know.
    """
    V = model.config.vocab_size
    if isinstance(text, str):
        if V != 256:
            raise ValueError(f"a string needs a model of bytes (vocab_size 256), got {V}: hand over ids")
        text = list(text.encode("utf-8"))
    ids = torch.as_tensor(text).long().flatten()
    longest = min(LONGEST, model.config.block_size)
    if not 2 <= len(ids) <= longest:
        raise ValueError(f"text must have 2 to {longest} tokens to fit on the page, got {len(ids)}")
    if not 0 <= int(ids.min()) <= int(ids.max()) < V:
        raise ValueError(f"ids must lie between 0 and {V - 1}, got {int(ids.min())} to {int(ids.max())}")
    vocabulary = [name_of(i, V) for i in range(V)]
    return ids[None], [vocabulary[i] for i in ids.tolist()], vocabulary


def name_of(token: int, vocab_size: int) -> str:
    """Return a token as people can read it: a byte as its character, a blank as ␣, any other as a number.

    Bytes that are no character of their own appear as two hexadecimal digits, such as c3.
    """
    if vocab_size == 256:
        character = chr(token)
        return _SHOWN.get(character, character if 32 < token < 127 else f"{token:02x}")
    return chr(ord("a") + token) if vocab_size <= 26 else str(token)
