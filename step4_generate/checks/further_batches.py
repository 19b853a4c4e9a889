"""Probes of prompts of unequal lengths: laying them side by side (4.9a), and continuing them (4.9b)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

from coursekit.probe import at_most, cases, check
from step4_generate.checks.echo import Echo, draw_echo, ending, table_model


@check("4.9a")
def pad_left(m: Any, rng: Any) -> Any:
    prompts = [rng.integers(0, 50, length).tolist() for length in (3, 7, 1, 5)]
    yield "ids and padding: fillers at the left, as many as a prompt is shorter", m.pad_left(prompts, 0)
    yield "another filler", m.pad_left(prompts, 49)
    yield "the longest comes first, and twice", m.pad_left([prompts[1], prompts[1], prompts[2]], 3)
    yield "prompts of one length need no padding", m.pad_left([prompts[0], prompts[0][::-1]], 0)
    yield "one prompt alone", m.pad_left(prompts[1:2], 0)
    fillers = [[7, 1, 7], [7], [1, 7, 7, 7]]
    yield "the filler's id is a token of the prompts, too", m.pad_left(fillers, 7)
    yield "tuples are prompts as well", m.pad_left([tuple(prompt) for prompt in prompts], 0)
    m.pad_left(prompts, 0)
    yield "the prompts are left as they were", prompts


@cases("4.9a")
def small_pads(m: Any) -> Any:
    """Outputs are what is returned, and the prompts afterwards."""
    for prompts, filler in (
        ([[5]], 0),
        ([[5, 6]], 0),
        ([[5, 6], [7]], 0),
        ([[7], [5, 6]], 9),
        ([[0], [1, 2, 0]], 0),
        ([[1], [1, 2, 3], [4, 5]], 0),
    ):
        given = [list(prompt) for prompt in prompts]
        yield {"prompts": prompts, "filler": filler}, (m.pad_left(given, filler), given)


class Noted:
    """Chooses the most probable token, and keeps the logits that it was shown, one (B, V) for each step."""

    def __init__(self) -> None:
        self.logits: list[Any] = []

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        self.logits.append(logits.detach().clone())
        return logits.argmax(dim=-1)


def chain(rng: Any, V: int = 12) -> tuple[Echo, list[int]]:
    """Return a model that always says the tokens in one circle, and the circle."""
    circle = torch.randperm(V, generator=torch.Generator().manual_seed(rng.integer(0, 2**31)))
    table = rng.normal(V, V)
    table[circle, circle.roll(-1)] += 12
    return table_model(table, 70), circle.tolist()


@check("4.9b")
def generate_batch(m: Any, rng: Any) -> Any:
    torch.manual_seed(rng.integer(0, 2**31))
    model = draw_echo(rng, V=13, length=20)
    prompts = [rng.integers(0, 13, length).tolist() for length in (6, 2, 9, 4)]
    never = [13]
    yield "one prompt: its new ids, without the prompt", m.generate_batch(model, prompts[:1], 6, never)
    equal_lengths = [prompts[0], prompts[0][::-1], prompts[2][:6]]
    yield "prompts of one length", m.generate_batch(model, equal_lengths, 6, never)
    for name, chosen in (("two lengths", prompts[:2]), ("four lengths", prompts)):
        noted = Noted()
        rows = m.generate_batch(model, chosen, 5, never, noted)
        yield f"{name}: each row as its prompt alone would be continued", rows
        yield f"{name}: the logits from which the first tokens are chosen", noted.logits[0]
        yield f"{name}: the logits of all later steps", noted.logits[1:]
    yield "the rows in another order", m.generate_batch(model, prompts[::-1], 5, never)
    worst = m.generate_batch(model, prompts, 5, never, lambda logits: logits.argmin(dim=-1))
    yield "what is chosen is the business of `choose`", worst
    yield from stopping(m, rng)
    yield from asking(m, rng, prompts)


def stopping(m: Any, rng: Any) -> Any:
    """Yield when rows end."""
    model, circle = chain(rng)
    starts = [[circle[2], circle[0]], [circle[3]], [circle[9], circle[8], circle[1]], [circle[6]]]
    stop = circle[5]
    rows = m.generate_batch(model, starts, 9, [stop])
    yield "rows that end at different times: each up to its stop id, and without it", rows
    yield "a row that has no stop id ends with max_new_tokens", m.generate_batch(model, starts, 3, [stop])
    yield "two stop ids: whichever comes first", m.generate_batch(model, starts, 9, {stop, circle[8]})
    yield "the first new id is a stop id: nothing is new", m.generate_batch(model, [[circle[4]]], 9, [stop])
    inside = [[stop, circle[0]], [circle[0], stop, stop, circle[2]]]
    yield "a stop id in a prompt ends nothing", m.generate_batch(model, inside, 9, [stop])
    yield "no new tokens are wanted", m.generate_batch(model, starts, 0, [stop])
    model.calls.clear()
    m.generate_batch(model, starts[:3], 60, [stop])
    yield at_most("when all rows have ended, the model is not asked any more: calls", len(model.calls), 5)
    model.calls.clear()
    m.generate_batch(model, starts, 4, [stop])
    yield at_most("nor after max_new_tokens: calls", len(model.calls), 4)


def asking(m: Any, rng: Any, prompts: Sequence[Sequence[int]]) -> Any:
    """Yield how the model is asked."""
    model = draw_echo(rng, V=13, length=60)
    m.generate_batch(model, [[1, 2], [3]], 50, [13])
    read = 2 * (2 + 49)
    yield at_most("each token is read once: tokens that the model reads", model.positions_read(), read)
    model = draw_echo(rng, V=13, length=20)
    m.generate_batch(model, prompts, 6, [13])
    yield "it is asked in evaluation mode, without gradients: (trains, tracks)", sorted(set(model.modes))
    model.train()
    model.modes.clear()
    m.generate_batch(model, prompts, 3, [13])
    yield (
        "a model that was training: (trains, tracks), and the mode afterwards",
        [
            *sorted(set(model.modes)),
            model.training,
        ],
    )
    model.calls.clear()
    refused = [
        ending(lambda given=given: m.generate_batch(model, given, 8, [13]))  # type: ignore[misc]
        for given in ([list(range(13))], [[1, 2], []], [[1], list(range(12))])
    ]
    yield "too long or empty prompts are refused; 12 and 8 fit into 20", refused
    yield "and not before the model is asked: rows of its calls", [shape[0] for shape in model.calls]


def told(model: Echo) -> dict[str, Any]:
    """Return how a small case tells of a model that looks at the last token and its position alone."""
    assert model.training
    assert model.decay == 0
    inputs: dict[str, Any] = {"table": model.table.detach().clone()}
    inputs["model"] = "row i of the table holds the logits of what follows token i"
    if model.places.any():
        inputs |= {"places": model.places.detach().clone(), "and": "row p of places is added at position p"}
    return inputs | {"mode": "training: it would drop every second logit"}


def shifts() -> torch.Tensor:
    """Return what four tokens say whose next one is one further on."""
    return 3 * torch.eye(4).roll(1, dims=1)


@cases("4.9b")
def small_batches(m: Any) -> Any:
    """Outputs are the rows, and the shapes of the ids that the model was asked to read."""
    places = torch.zeros(4, 4)
    places[[0, 1, 2], [2, 3, 0]] = 5.0
    tries: tuple[tuple[list[list[int]], int, Collection[int], bool], ...] = (
        ([[0]], 1, [3], False),
        ([[0]], 3, [3], False),
        ([[2]], 4, [3], False),
        ([[0], [1]], 4, [3], False),
        ([[2], [1]], 4, [3, 1], False),
        ([[1, 0], [2]], 4, [0], False),
        ([[3, 0], [1]], 4, [3, 2], False),
        ([[1, 0], [2]], 2, [], True),
    )
    for prompts, count, stops, is_placed in tries:
        inputs = {"prompts": prompts, "max_new_tokens": count, "stop_ids": list(stops)}
        model = Echo(shifts(), places if is_placed else torch.zeros(12, 4), decay=0.0)
        rows = m.generate_batch(model, prompts, count, stops)
        yield {**told(model), **inputs}, (rows, [list(shape) for shape in model.calls])
    model = table_model(shifts())
    rows = m.generate_batch(model, [[0], [1]], 2, [], lambda logits: 3 - logits.argmax(dim=-1))
    extra = {"choose": "3 less the most probable token"}
    inputs = {"prompts": [[0], [1]], "max_new_tokens": 2, "stop_ids": []}
    yield {**told(model), **inputs, **extra}, (rows, [list(shape) for shape in model.calls])
