"""Probes of generation without a cache (4.1) and with one (4.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import at_most, cases, check
from step4_generate.checks.core_observe import Adding, Global, Summing, fix_chance, is_stopped, unchanged

V, ROWS = 11, 89


def reader(rng: Any, limit: int = 30) -> Summing:
    """Return a model whose most probable next token says what it has read."""
    return Summing(rng.normal(ROWS, V), limit).eval()


@check("4.1")
def generate(m: Any, rng: Any) -> Any:
    fix_chance(rng.integer(0, 2**31))
    model, ids = reader(rng), rng.integers(0, V, 3, 5)
    yield "one token more: the most probable one after the last", m.generate(model, ids[:1], 1, 30)
    yield "six more: each is read before the next is chosen", m.generate(model, ids[:1], 6, 30)
    yield "rows of a batch, each a text of its own", m.generate(model, ids, 9, 30)
    yield "no token more: the ids as they are", m.generate(model, ids, 0, 30)
    yield "a prompt of a single token", m.generate(model, ids[:, :1], 6, 30)
    model.lengths.clear()
    yield "a text that fills the window to the last place", m.generate(model, ids, 8, 12)
    yield at_most("calls of the model beyond one for each token", len(model.lengths) - 8, 0)
    yield "a text longer than the window: its last 8 tokens are read", m.generate(model, ids, 14, 8)
    yield "a prompt longer than the window", m.generate(model, ids, 9, 3)
    yield "a window of 1", m.generate(model, ids, 5, 1)
    yield "a window as long as the model's context", m.generate(reader(rng, 6), ids, 9, 6)

    training = reader(rng).train()
    yield "a model in training: dropout is off all the same", m.generate(training, ids, 6, 30)
    yield "and it is in training again afterwards", training.training
    m.generate(model, ids, 2, 30)
    yield "a model that was in evaluation mode stays in it", model.training
    yield "gradients are tracked while the model reads", any(tracked for _, tracked in training.modes)
    yield "and whether they are afterwards", torch.is_grad_enabled()
    state = Global()
    with unchanged(ids) as told:
        m.generate(model, ids, 6, 30)
    yield "the ids that were passed are as they were", told
    yield "nothing is drawn: torch's generator has moved", state.is_moved()


@cases("4.1")
def small_texts(m: Any) -> Any:
    """The output is the text, and whether the model is in training afterwards."""
    for ids, count, window, is_training in (
        ([[1]], 1, 9, False),
        ([[1]], 3, 9, False),
        ([[1, 2]], 1, 9, False),
        ([[3, 1]], 2, 9, False),
        ([[1, 2], [2, 1]], 2, 9, False),
        ([[1, 2, 1]], 1, 2, False),
        ([[1, 1]], 3, 3, False),
        ([[1, 2]], 0, 9, False),
        ([[1]], 2, 9, True),
    ):
        model = Adding().train(is_training)
        inputs = {"ids": torch.tensor(ids), "max_new_tokens": count, "window": window}
        inputs |= {"model": "says the last digit of the sum of all ids, in training + 1"}
        found = m.generate(model, torch.tensor(ids), count, window)
        known = found if is_stopped(found) else (found, model.training)
        yield inputs | {"model.training": is_training}, known


def taken(m: Any, model: Any, ids: Tensor, *args: Any) -> Tensor:
    """Return the columns that are generated as the new part of a text, (B, N)."""
    columns = list(m.generate_cached(model, ids, *args))
    return torch.stack(columns, dim=1) if columns else ids[:, :0]


def work(m: Any, model: Summing, ids: Tensor, *args: Any) -> tuple[Tensor, int, int]:
    """Return the new part of a text, how many positions the model was asked to read, and how often."""
    model.lengths.clear()
    text = taken(m, model, ids, *args)
    return text, sum(model.lengths), len(model.lengths)


@check("4.5")
def generate_cached(m: Any, rng: Any) -> Any:
    model, ids = reader(rng), rng.integers(0, V, 3, 5)
    yield "one column: the most probable token of each row", list(m.generate_cached(model, ids, 1, 30))
    text, positions, calls = work(m, model, ids, 10, 30)
    yield "ten columns, each read before the next is chosen", text
    told = "positions that the model reads beyond the 5 of the prompt and 1 for each of 9 columns"
    yield at_most(told, positions - 14, 0)
    yield at_most("calls of the model beyond one for each column", calls - 10, 0)
    yield "one row, and a prompt of a single token", taken(m, model, ids[:1, :1], 6, 30)
    yield "no column, and nothing is read", work(m, model, ids, 0, 30)
    yield from handed_out(m, rng, model, ids)
    text, positions, _ = work(m, model, ids, 7, 12)
    yield "a text that fills the window to its last place", text
    told = "positions beyond 5, and 1 for each of 6: the cache is right up to the last place"
    yield at_most(told, positions - 11, 0)
    text, positions, calls = work(m, model, ids, 12, 8)
    yield "a text longer than the window: then its last 8 tokens are read afresh", text
    yield at_most("positions beyond 5, 1 for each of 3, and 8 for each of 8", positions - 72, 0)
    yield at_most("calls of the model beyond one for each column, there too", calls - 12, 0)
    yield "a prompt longer than the window", taken(m, model, ids, 7, 3)
    yield "a prompt as long as the window", taken(m, model, ids, 7, 5)
    yield "a window of 1", taken(m, model, ids, 5, 1)
    yield "a window as long as the model's context", taken(m, reader(rng, 6), ids, 9, 6)
    yield from modes(m, rng, ids)


def handed_out(m: Any, rng: Any, model: Summing, ids: Tensor) -> Any:
    """Yield when columns come, and who chooses them."""
    model.lengths.clear()
    run = m.generate_cached(model, ids, 6, 30)
    read = []
    for _ in range(3):
        next(run)
        read.append(sum(model.lengths))
    yield "a column comes as soon as it is chosen: positions read before each of three", read
    seen = []

    def second(logits: Tensor) -> Tensor:
        seen.append(list(logits.shape))
        return logits.topk(2, dim=-1).indices[:, 1]

    yield "`choose` decides, and what it has chosen is read next", taken(m, model, ids, 6, 30, second)
    yield "it gets the logits of the last position, (B, V), once for each column", seen
    script = iter(rng.integers(0, V, 12, 3))
    told = "whatever it chooses: tokens that the model would not have said, past the window"
    heard: list[Tensor] = []

    def by_script(logits: Tensor) -> Tensor:
        heard.append(logits.argmax(dim=-1))
        return next(script)

    yield told, [taken(m, model, ids, 12, 9, by_script), torch.stack(heard)]


def modes(m: Any, rng: Any, ids: Tensor) -> Any:
    """Yield the modes of the model, and of the caller, between columns and afterwards."""
    training = reader(rng).train()
    run: Iterator[Tensor] = m.generate_cached(training, ids, 5, 30)
    columns, between = [], []
    for column in run:
        columns.append(column)
        between.append((training.training, torch.is_grad_enabled()))
    yield "a model in training: dropout is off all the same", torch.stack(columns)
    yield "between columns the caller trains, and has gradients", between
    yield "gradients are tracked while the model reads", any(tracked for _, tracked in training.modes)
    left = m.generate_cached(training, ids, 5, 30)
    next(left)
    left.close()
    yield "whoever stops early finds the model in training, too", training.training
    model = reader(rng)
    taken(m, model, ids, 3, 30)
    yield "a model that was in evaluation mode stays in it", model.training
    with unchanged(ids) as told:
        taken(m, model, ids, 3, 4)
    yield "the ids that were passed are as they were", told


@cases("4.5")
def small_cached_texts(m: Any) -> Any:
    """The output is the new part of the text, and how many positions the model read in each call."""
    for ids, count, window, is_training in (
        ([[1]], 1, 9, False),
        ([[1]], 3, 9, False),
        ([[1, 2]], 2, 9, False),
        ([[1, 2], [2, 1]], 2, 9, False),
        ([[1, 1]], 2, 3, False),
        ([[1, 1]], 3, 2, False),
        ([[1, 2, 1]], 1, 2, False),
        ([[1, 2, 4]], 2, 2, False),
        ([[1, 1]], 4, 3, False),
        ([[1, 2]], 0, 9, False),
        ([[1]], 2, 9, True),
    ):
        model = Adding().train(is_training)
        inputs = {"ids": torch.tensor(ids), "max_new_tokens": count, "window": window}
        inputs |= {"model": "says the last digit of the sum of all ids, in training + 1"}
        found = taken(m, model, torch.tensor(ids), count, window)
        yield inputs | {"model.training": is_training}, (found, str(model.lengths), model.training)
    second = lambda logits: logits.topk(2, dim=-1).indices[:, 1] * 0 + 3  # noqa: E731
    found = taken(m, Adding(), torch.tensor([[1, 1]]), 2, 9, second)
    yield {"ids": torch.tensor([[1, 1]]), "max_new_tokens": 2, "choose": "always 3"}, found
    model = Adding()
    run = m.generate_cached(model, torch.tensor([[1, 1]]), 3, 9)
    next(run)
    inputs = {"ids": torch.tensor([[1, 1]]), "max_new_tokens": 3, "taken": "one column"}
    yield inputs | {"asked": "the positions read so far"}, str(model.lengths)
    model = Adding().train()
    states = [
        [model.training, torch.is_grad_enabled()] for _ in m.generate_cached(model, torch.tensor([[1]]), 2, 9)
    ]
    inputs = {"ids": torch.tensor([[1]]), "max_new_tokens": 2, "model.training": True}
    yield inputs | {"asked": "training, and gradients, after each column"}, str(states)
