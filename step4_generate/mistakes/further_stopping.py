"""4.9b, a batch of prompts: known mistakes with the ends of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from torch import Tensor

from coursekit.probe import mistake
from step4_generate.further_solution import greedy, pad_left, reading
from step4_generate.mistakes.further_batches import refuse, take

Prompts = Sequence[Sequence[int]]
Choice = Callable[[Tensor], Tensor]
Step = Callable[[list[list[int]], list[bool], list[int]], bool]


def run(model: Any, prompts: Prompts, max_new_tokens: int, choose: Choice, end_step: Step) -> list[list[int]]:
    """Generate, where `end_step(rows, is_open, tokens)` takes a column, and says whether to go on."""
    refuse(model, prompts, max_new_tokens)
    ids, padding = pad_left(prompts, 0)
    rows: list[list[int]] = [[] for _ in prompts]
    is_open, cache = [True] * len(prompts), model.new_cache()
    with reading(model):
        for _ in range(max_new_tokens):
            ids = choose(model(ids, cache=cache, padding=padding).logits[:, -1])[:, None]
            if not end_step(rows, is_open, ids.squeeze(1).tolist()):
                break
    return rows


@mistake("4.9b", called="All rows end as soon as one does")
def all_end_with_the_first(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You stop as soon as one row has ended: the others are cut off in the middle."""

    def end_step(rows: list[list[int]], is_open: list[bool], tokens: list[int]) -> bool:
        take(rows, is_open, tokens, stop_ids)
        return all(is_open)

    return run(model, prompts, max_new_tokens, choose, end_step)


@mistake("4.9b", called="A row that has ended goes on with what comes after its stop id")
def rows_go_on(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You leave the stop id out, but the row goes on after it while it waits for the others. A row that has
    ended takes nothing any more.
    """

    def end_step(rows: list[list[int]], is_open: list[bool], tokens: list[int]) -> bool:
        for row, token in enumerate(tokens):
            if token in stop_ids:
                is_open[row] = False
            else:
                rows[row].append(token)
        return any(is_open)

    return run(model, prompts, max_new_tokens, choose, end_step)


@mistake("4.9b", called="The stop id is part of what is returned")
def stop_id_kept(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You return the stop id with the row. It says that the row has ended, and belongs to no answer."""

    def end_step(rows: list[list[int]], is_open: list[bool], tokens: list[int]) -> bool:
        for row, token in enumerate(tokens):
            if is_open[row]:
                rows[row].append(token)
            is_open[row] = is_open[row] and token not in stop_ids
        return any(is_open)

    return run(model, prompts, max_new_tokens, choose, end_step)


@mistake("4.9b", called="Nothing ends before max_new_tokens; rows are cut afterwards")
def goes_on_to_the_end(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You ask the model `max_new_tokens` times, although all rows have ended: the rows are right, and the
    work is for nothing.
    """

    def end_step(rows: list[list[int]], is_open: list[bool], tokens: list[int]) -> bool:
        take(rows, is_open, tokens, stop_ids)
        return True

    return run(model, prompts, max_new_tokens, choose, end_step)


@mistake("4.9b", called="Only one of the stop ids ends a row")
def first_stop_only(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You look for one of the stop ids alone. Any of them ends a row."""
    one = {min(stop_ids)}

    def end_step(rows: list[list[int]], is_open: list[bool], tokens: list[int]) -> bool:
        take(rows, is_open, tokens, one)
        return any(is_open)

    return run(model, prompts, max_new_tokens, choose, end_step)


@mistake("4.9b", called="A stop id in the prompt ends a row before it begins")
def prompt_ends_it(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You look for stop ids in the prompts, too: a question that ends with one would have no answer."""
    has_ended = [any(token in stop_ids for token in prompt) for prompt in prompts]

    def end_step(rows: list[list[int]], is_open: list[bool], tokens: list[int]) -> bool:
        is_open[:] = [one and not ended for one, ended in zip(is_open, has_ended, strict=True)]
        take(rows, is_open, tokens, stop_ids)
        return any(is_open)

    return run(model, prompts, max_new_tokens, choose, end_step)


@mistake("4.9b", called="The prompts are returned with the new ids")
def with_prompts(
    model: Any, prompts: Prompts, max_new_tokens: int, stop_ids: Collection[int], choose: Choice = greedy
) -> list[list[int]]:
    """You return prompts and new ids. What is asked for are the new ones alone."""

    def end_step(rows: list[list[int]], is_open: list[bool], tokens: list[int]) -> bool:
        take(rows, is_open, tokens, stop_ids)
        return any(is_open)

    rows = run(model, prompts, max_new_tokens, choose, end_step)
    return [[*prompt, *row] for prompt, row in zip(prompts, rows, strict=True)]
