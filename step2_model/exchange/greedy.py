"""The most probable continuation, one token after the other, read through the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def continued(model: Any, ids: list[int], count: int) -> Iterator[int]:
    """Yield the `count` most probable next tokens; the model reads every token once."""
    cache = model.new_cache()
    new = torch.tensor([ids])
    for _ in range(count):
        with torch.no_grad():
            new = model(new, cache=cache).logits[:, -1:].argmax(dim=-1)
        yield int(new)
