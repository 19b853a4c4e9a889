"""Text from a model of bytes, one byte at a time; step 4 teaches how."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any

import torch


def sample(
    model: Any, prompt: bytes, length: int, generator: torch.Generator, temperature: float = 0.8
) -> Iterator[int]:
    """Draw `length` bytes that continue the prompt, each from softmax(logits / temperature).

    Every byte is predicted from at least the last half window of what stands there so far, as in scoring.
    Equal generators give equal bytes. An empty prompt counts as the start of a line. Raises ValueError for
    a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature!r}")
    # The last position of a training window is never asked for a prediction, so it is left out here too.
    size = model.config.block_size - 1
    device = next(model.parameters()).device
    past = list(prompt) or [ord("\n")]
    new, cache = past, None
    model.eval()
    for _ in range(length):
        if cache is None or len(cache[0]) >= size:
            new, cache = past[-(model.config.block_size // 2) :], model.new_cache()
        with torch.no_grad():
            logits = model(torch.tensor([new], device=device), cache=cache).logits[0, -1]
        law = (logits.double().cpu() / temperature).softmax(dim=-1)
        new = [int(torch.multinomial(law, 1, generator=generator))]
        past += new
        yield new[0]


def as_text(stream: Iterable[int]) -> Iterator[str]:
    """Turn a stream of bytes into pieces of text, each whole characters: never half of one, nothing held
    back longer.

    Bytes that are no UTF-8 become U+FFFD; a character that the stream breaks off in is left out.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for byte in stream:
        if piece := decoder.decode(bytes([byte])):
            yield piece
