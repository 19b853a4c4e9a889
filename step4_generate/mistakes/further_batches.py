"""4.9b, a batch of prompts: known mistakes with padding, cache and model; accepted variants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.further_solution import context_length, greedy, pad_left, reading

Prompts = Sequence[Sequence[int]]
Choice = Callable[[Tensor], Tensor]


def refuse(model: Any, prompts: Prompts, max_new_tokens: int) -> None:
    """Raise ValueError for prompts that are empty or do not fit."""
    if not all(prompts) or max(map(len, prompts)) + max_new_tokens > context_length(model):
        raise ValueError("prompts must hold at least one id, and fit with what is new")


def take(rows: list[list[int]], is_open: list[bool], tokens: list[int], stop_ids: Collection[int]) -> None:
    """Close the rows that meet a stop id, and let the open ones take their tokens."""
    for row, token in enumerate(tokens):
        is_open[row] = is_open[row] and token not in stop_ids
        if is_open[row]:
            rows[row].append(token)


def run(
    model: Any,
    prompts: Prompts,
    max_new_tokens: int,
    stop_ids: Collection[int],
    choose: Choice,
    ask: Callable[[Tensor, Any, Tensor, int], Tensor],
) -> list[list[int]]:
    """Generate, where `ask(ids, cache, padding, step)` returns the logits of the next column."""
    refuse(model, prompts, max_new_tokens)
    ids, padding = pad_left(prompts, 0)
    rows: list[list[int]] = [[] for _ in prompts]
    is_open, cache = [True] * len(prompts), model.new_cache()
    with reading(model):
        for step in range(max_new_tokens):
            ids = choose(ask(ids, cache, padding, step))[:, None]
            take(rows, is_open, ids.squeeze(1).tolist(), stop_ids)
            if not any(is_open):
                break
    return rows


@mistake("4.9b", called="The model is not told of the padding")
def without_padding(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You do not hand `padding` to the model. Short rows read their fillers as text, and stand at positions
    that they would not have alone.
    """

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        return model(ids, cache=cache).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, choose, ask)


@mistake("4.9b", called="The model is told of the padding at the first step only")
def padding_only_at_first(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You hand `padding` to the model at the first step alone. The cache keeps the fillers, too: from the
    second step on they are read, and positions jump.
    """

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        return model(ids, cache=cache, padding=padding if step == 0 else None).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, choose, ask)


@mistake("4.9b", called="The model is told the lengths of the prompts in place of the padding")
def lengths_for_padding(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You hand the lengths of the prompts to the model, where it asks how many places do not count: the
    longer a prompt, the more of it is hidden.
    """
    lengths = torch.tensor([len(prompt) for prompt in prompts])

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        return model(ids, cache=cache, padding=lengths).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, choose, ask)


@mistake("4.9b", called="The prompts are padded at the right")
def padded_right(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You pad at the right and continue the last column: short rows go on after their fillers, not after
    their prompts.
    """
    longest = max(map(len, prompts))
    right = torch.tensor([[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts])

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        return model(right if step == 0 else ids, cache=cache).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, choose, ask)


@mistake("4.9b", called="The whole text is read again at every step, behind what the cache holds")
def text_read_again(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You give the model the whole text at every step, although the cache holds it: every token stands there
    several times.
    """
    texts: list[Tensor] = []

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        texts.append(ids)
        return model(torch.cat(texts, dim=1), cache=cache, padding=padding).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, choose, ask)


@mistake("4.9b", called="No cache is used: everything is computed again at every step")
def without_cache(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You use no cache: the tokens are right, but every step computes the whole text again."""
    texts: list[Tensor] = []

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        texts.append(ids)
        return model(torch.cat(texts, dim=1), padding=padding).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, choose, ask)


@mistake("4.9b", called="The cache is begun anew at every step")
def forgets(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You begin a new cache at every step: from the second one on, the model sees a single token."""

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        own = cache if step == 0 else model.new_cache()
        return model(ids, cache=own, padding=padding * (step == 0)).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, choose, ask)


@mistake("4.9b", called="The model trains meanwhile: dropout is on, gradients are kept")
def in_training(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You ask the model as it is, without `reading`: a model that was training drops out parts of its
    answers, and every step is kept for gradients that nobody wants.
    """
    refuse(model, prompts, max_new_tokens)
    ids, padding = pad_left(prompts, 0)
    rows: list[list[int]] = [[] for _ in prompts]
    is_open, cache = [True] * len(prompts), model.new_cache()
    while any(is_open) and max(map(len, rows)) < max_new_tokens:
        ids = choose(model(ids, cache=cache, padding=padding).logits[:, -1])[:, None]
        take(rows, is_open, ids.squeeze(1).tolist(), stop_ids)
    return rows


@mistake("4.9b", called="The most probable token is taken, whatever `choose` says")
def greedy_always(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You take the most probable token, whatever `choose` says: nobody could sample with it."""

    def ask(ids: Tensor, cache: Any, padding: Tensor, step: int) -> Tensor:
        return model(ids, cache=cache, padding=padding).logits[:, -1]

    return run(model, prompts, max_new_tokens, stop_ids, greedy, ask)


@variant("4.9b")
def whole_columns(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """Columns are collected as they are, and each row is cut at its first stop id at the end."""
    refuse(model, prompts, max_new_tokens)
    ids, padding = pad_left(prompts, 1)
    stops = torch.tensor(sorted(stop_ids))
    has_ended, columns = torch.zeros(len(prompts), dtype=torch.bool), []
    cache, was_training = model.new_cache(), model.training
    model.eval()
    with torch.no_grad():
        for _ in range(max_new_tokens):
            ids = choose(model(ids, cache=cache, padding=padding).logits[:, -1]).reshape(-1, 1)
            columns.append(ids)
            has_ended |= torch.isin(ids.squeeze(1), stops)
            if has_ended.all():
                break
    model.train(was_training)
    rows = torch.cat(columns, dim=1).tolist() if columns else [[] for _ in prompts]
    ends = [next((at for at, token in enumerate(row) if token in stop_ids), len(row)) for row in rows]
    return [row[:end] for row, end in zip(rows, ends, strict=True)]


@variant("4.9b")
def waiting_rows_repeat(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """A row that has ended is fed its filler while it waits."""
    refuse(model, prompts, max_new_tokens)
    ids, padding = pad_left(prompts, 2)
    rows: list[list[int]] = [[] for _ in prompts]
    waiting: set[int] = set()
    cache = model.new_cache()
    with reading(model):
        for _ in range(max_new_tokens):
            chosen = choose(model(ids, cache=cache, padding=padding).logits[:, -1]).tolist()
            waiting |= {b for b, token in enumerate(chosen) if token in stop_ids}
            for b in set(range(len(rows))) - waiting:
                rows[b].append(chosen[b])
            if len(waiting) == len(rows):
                break
            ids = torch.tensor([[2 if b in waiting else token] for b, token in enumerate(chosen)])
    return rows
