"""Files that `load_checkpoint` must not take (3.8): what it says of them, and what it has changed by then."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from step3_pretrain.checks.checkpoint_runs import Small, Training, bytes_of, changed


def refuses(m: Any, path: Path, run: Training) -> Iterator[Any]:
    """Yield what load_checkpoint says of files that it must not take, and what it has changed by then."""
    whole, bad = bytes_of(path), path.with_name("bad.safetensors")

    def said_of(data: bytes) -> str:
        bad.write_bytes(data)
        return refusal(m, bad, run)

    yield "an empty file", said_of(b"")
    shares = (0.05, 0.5, 0.9)
    yield (
        "a file cut off near its beginning, halfway, and near its end",
        [said_of(whole[: int(s * len(whole))]) for s in shares],
    )
    yield "a file that is none: a text", said_of(b"Once upon a time there was a kite in an oak. " * 40)
    ran = path.with_name("ran")
    yield "a pickle", said_of(pickle.dumps(Hostile(ran)))
    yield "nothing in it is run", not ran.exists()
    yield "another model's, whose weights would fit if they were repeated", of_another(m, bad, run, narrow)
    yield "another model's, which has one weight more", of_another(m, bad, run, with_more)
    yield "another model's, which has one weight less", of_another(m, bad, run, with_less)
    bad.unlink(missing_ok=True)


class Hostile:
    """A pickle of this makes a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def narrow(model: Any) -> None:
    """Let a layer have one row only."""
    model.layer = nn.Linear(16, 1)


def with_more(model: Any) -> None:
    """Add a weight."""
    model.another = nn.Parameter(torch.ones(2))


def with_less(model: Any) -> None:
    """Take a weight away."""
    del model.unused


def of_another(m: Any, path: Path, run: Training, change: Callable[[Any], None]) -> str:
    """Return what is said of the checkpoint of a model that was changed."""
    other = Small()
    change(other)
    m.save_checkpoint(path, other, m.AdamW(other.parameters()), 1)
    torch.rand(1)
    return refusal(m, path, run)


def refusal(m: Any, path: Path, run: Any) -> str:
    """Return the error that loading a file raises, whether it names the file, and what has changed."""
    before = run.everything()
    try:
        m.load_checkpoint(path, run.model, run.optimizer)
        said = "no error"
    except ValueError as error:
        said = (
            "a ValueError that names the file"
            if path.name in str(error)
            else "a ValueError without the file's name"
        )
    except Exception as error:  # noqa: BLE001 - of whatever type
        said = f"a {type(error).__name__}"
    is_other = changed(before, run.everything())
    return f"{said}, and {' and '.join(is_other)} changed" if is_other else said
