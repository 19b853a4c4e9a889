"""Text from a model in training, a few at once; step 4 teaches how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


@torch.no_grad()
def continuations(
    model: Any,
    prompts: Sequence[Sequence[int]],
    end: int,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> list[list[int]]:
    """Return what the model writes after each prompt, up to `end` or to the end of its context.

    Each token is drawn from softmax(logits / temperature); at 0 it is the likeliest. Prompts have any length
    of at least 1. The mode of the model and all generators but the one given stay as they are.
    """
    found: list[list[int]] = []
    was_training = model.training
    model.eval()
    # Prompts of one length run side by side.
    for length in sorted({len(prompt) for prompt in prompts}):
        same = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
        written = _of_one_length(model, [prompts[i] for i in same], end, generator, temperature)
        found += [[i, *ids] for i, ids in zip(same, written, strict=True)]
    model.train(was_training)
    return [ids for _, *ids in sorted(found, key=lambda each: each[0])]


def _of_one_length(
    model: Any, prompts: Sequence[Sequence[int]], end: int, generator: torch.Generator, temperature: float
) -> list[list[int]]:
    device = next(model.parameters()).device
    ids = torch.tensor(prompts, device=device)
    start = ids.shape[1]
    # Reading latents again needs the further part of step 2: a full model reads all anew instead.
    cache = model.new_cache() if type(model).__name__ == "Transformer" else None
    is_open = torch.ones(len(ids), dtype=torch.bool, device=device)
    new = ids
    while ids.shape[1] < model.args.max_seq_len and bool(is_open.any()):
        logits = model(new if cache is not None else ids, cache=cache).logits[:, -1].double().cpu()
        drawn = _drawn(logits, generator, temperature).to(device)
        new = torch.where(is_open[:, None], drawn, end)
        ids = torch.cat([ids, new], dim=1)
        is_open &= new[:, 0] != end
    rows = ids[:, start:].tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]


def _drawn(logits: torch.Tensor, generator: torch.Generator, temperature: float) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    return torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=generator)
