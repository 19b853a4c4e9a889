"""4.5, generation with a cache: known mistakes with what the model reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake
from step4_generate.model_solution import greedy, reading

Choose = Callable[[Tensor], Tensor]
# From the text, its length before the newest column, and the window: a cache (None: the old one) and what
# is read next.
Next = Callable[[Any, Tensor, int], tuple[Any, Tensor]]
OLD = object()


def read_next(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
    """Return what right code reads: the newest token, or the window afresh."""
    return (None, ids[:, -window:]) if ids.shape[1] > window else (OLD, ids[:, -1:])


def columns(
    model: Any,
    ids: Tensor,
    count: int,
    window: int,
    choose: Choose,
    then: Next = read_next,
    first: Any = None,
) -> Iterator[Tensor]:
    """Yield columns; `then` says what is read after each."""
    cache = model.new_cache()
    new = ids[:, -window:] if first is None else first
    for _ in range(count):
        with reading(model):
            logits = model(new, cache=cache).logits[:, -1]
        column = choose(logits)
        yield column
        ids = torch.cat([ids, column.unsqueeze(1)], dim=1)
        found, new = then(model, ids, window)
        cache = cache if found is OLD else found


@mistake("4.5")
def no_cache(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads the whole window in every step. The text is right; the work is that of `generate`,
    hundreds of times what is needed.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return None, ids[:, -window:]

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def whole_text_into_the_cache(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads the whole text again, with the cache that holds it already: every token stands twice
    before it, at two positions.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return (None, ids[:, -window:]) if ids.shape[1] > window else (OLD, ids)

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def one_token_twice(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your cache is off by one: the model reads the last two tokens in each step, of which the cache holds
    the first already.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return (None, ids[:, -window:]) if ids.shape[1] > window else (OLD, ids[:, -2:])

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def newest_token_left_out(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model never reads the newest token: it gets the one before it once more, and continues a text in
    which that one is doubled.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return (None, ids[:, -window - 1 : -1]) if ids.shape[1] > window else (OLD, ids[:, -2:-1])

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def prompt_not_read(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads only the last token of the prompt: the cache is empty, and all that stands before is
    never read.
    """
    return columns(model, ids, max_new_tokens, window, choose, first=ids[:, -1:])


@mistake("4.5")
def last_of_the_prompt_twice(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads the prompt, and then its last token once more, as if it were new: the first token is
    chosen after a text in which that one stands twice.
    """
    cache = model.new_cache()
    with reading(model):
        model(ids[:, -window:], cache=cache)
    new, text = ids[:, -1:], ids
    for _ in range(max_new_tokens):
        with reading(model):
            logits = model(new, cache=cache).logits[:, -1]
        column = choose(logits)
        yield column
        text = torch.cat([text, column.unsqueeze(1)], dim=1)
        found, new = read_next(model, text, window)
        cache = cache if found is OLD else found


@mistake("4.5")
def cache_lost(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your cache is lost after each step: the model reads the newest token with an empty one, and knows
    nothing of the text.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return (None, ids[:, -window:]) if ids.shape[1] > window else (model.new_cache(), ids[:, -1:])

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def cache_kept_too_long(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your cache is kept when the text is longer than the window. The model then reads more than `window`
    tokens, and stops with an error where it has no positions for them.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return OLD, ids[:, -1:]

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def window_into_the_full_cache(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your cache is not emptied when the text has outgrown the window: the last `window` tokens are read
    behind those that it still holds.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return OLD, ids[:, -window:] if ids.shape[1] > window else ids[:, -1:]

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def read_afresh_too_early(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads the window afresh one step too early: where the text just fills it, the cache is still
    right, and one token is all that is new.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return (None, ids[:, -window:]) if ids.shape[1] >= window else (OLD, ids[:, -1:])

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def read_afresh_too_late(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads the window afresh one step too late: once it reads a token more than `window`."""

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return (None, ids[:, -window:]) if ids.shape[1] > window + 1 else (OLD, ids[:, -1:])

    return columns(model, ids, max_new_tokens, window, choose, then)


@mistake("4.5")
def window_at_the_wrong_end(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your window is cut at the wrong end: once it is full, the model reads the beginning of the text, the
    same in every step.
    """

    def then(model: Any, ids: Tensor, window: int) -> tuple[Any, Tensor]:
        return (None, ids[:, :window]) if ids.shape[1] > window else (OLD, ids[:, -1:])

    return columns(model, ids, max_new_tokens, window, choose, then, first=ids[:, :window])


@mistake("4.5")
def half_the_window_forgotten(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model goes on with half the window when it is full, in a new cache. That saves work, but the
    text is no longer that of `generate`: what the model could still read is forgotten.
    """
    cache: Any = model.new_cache()
    new, length = ids[:, -window:], min(ids.shape[1], window)
    for _ in range(max_new_tokens):
        with reading(model):
            logits = model(new, cache=cache).logits[:, -1]
        column = choose(logits)
        yield column
        ids = torch.cat([ids, column.unsqueeze(1)], dim=1)
        new, length = column.unsqueeze(1), length + 1
        if length > window:
            length = max(1, window // 2)
            cache, new = model.new_cache(), ids[:, -length:]
