"""How well a model predicts a text it has not seen: bits per byte, with enough context for every byte."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

WINDOWS_AT_ONCE = 16


def as_ids(text: bytes) -> Tensor:
    """Return the bytes as a one-dimensional tensor of uint8: one token a byte, 256 tokens in all."""
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


@torch.no_grad()
def bits_per_byte(model: Any, text: bytes, before: bytes) -> float:
    """Return the mean of -log2 p(byte | the bytes before it) over every byte of `text`, each scored exactly
    once.

    Windows of block_size slide by half their length, and each scores only its second half: every byte is
    predicted from at least half a window. The first ones read the end of `before`, which itself is not
    scored. Raises ValueError where `text` is empty or `before` is shorter than half a window.
    """
    size = model.config.block_size
    half = size // 2
    if not text or len(before) < half:
        raise ValueError(
            f"there must be a text and at least {half} bytes before it, got {len(text)} and {len(before)}"
        )
    device = next(model.parameters()).device
    ids = as_ids(before[len(before) - half :] + text).long().to(device)
    starts = range(0, len(text), size - half)
    # All windows are full but the last, which ends where the text does.
    full = [start for start in starts if start + size <= len(ids)]
    groups = [full[i : i + WINDOWS_AT_ONCE] for i in range(0, len(full), WINDOWS_AT_ONCE)]
    groups += [[start] for start in starts if start + size > len(ids)]
    was_training = model.training
    model.eval()
    nats = sum(_nats(model, torch.stack([ids[s : s + size] for s in group]), half) for group in groups)
    model.train(was_training)
    return nats / math.log(2) / len(text)


def _nats(model: Any, windows: Tensor, half: int) -> float:
    """Return the summed surprise at the positions from `half` on."""
    logits = model(windows).logits[:, half - 1 : -1].double()
    surprise = -logits.log_softmax(dim=-1).gather(-1, windows[:, half:].unsqueeze(-1))
    return float(surprise.sum())


@torch.no_grad()
def looks_ahead(model: Any) -> bool:
    """Say whether the logits at a position change with the bytes *after* it: then no score of the model
    counts.
    """
    size = model.config.block_size
    device = next(model.parameters()).device
    one = torch.arange(size, device=device).remainder(256).unsqueeze(0)
    other = one.clone()
    other[:, size // 2 :] = one[:, size // 2 :].flip(-1)
    was_training = model.training
    model.eval()
    a, b = (model(ids).logits[:, : size // 2] for ids in (one, other))
    model.train(was_training)
    return bool((a - b).abs().max() > 1e-3 * a.abs().max())
