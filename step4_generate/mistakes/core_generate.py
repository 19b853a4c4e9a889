"""4.1, greedy generation: known mistakes and accepted variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.model_solution import greedy, reading


def seen_last(ids: Tensor, window: int) -> Tensor:
    """Return what the model should read."""
    return ids[:, -window:]


def last(logits: Tensor) -> Tensor:
    """Return the most probable token after the last position."""
    return greedy(logits[:, -1])


def grown(
    model: Any,
    ids: Tensor,
    count: int,
    window: int,
    see: Callable[[Tensor, int], Tensor] = seen_last,
    choose: Callable[[Tensor], Tensor] = last,
) -> Tensor:
    """Return the ids with `count` more, seen by `see` and chosen by `choose`."""
    for _ in range(count):
        with reading(model):
            logits = model(see(ids, window)).logits
        ids = torch.cat([ids, choose(logits).unsqueeze(1)], dim=1)
    return ids


@mistake("4.1")
def cut_at_the_wrong_end(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your window is cut at the wrong end: the model reads the first tokens of the text instead of the last.
    From where the window is full, it reads the same in every step, and says the same.
    """
    return grown(model, ids, max_new_tokens, window, see=lambda ids, window: ids[:, :window])


@mistake("4.1")
def no_window(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your model reads the whole text, however long. Beyond its context it has no positions and stops with an
    error: only the last `window` tokens are its to read.
    """
    return grown(model, ids, max_new_tokens, window, see=lambda ids, window: ids)


@mistake("4.1")
def window_one_short(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your window is one token short: the model could read `window` tokens, and reads one less."""
    return grown(model, ids, max_new_tokens, window, see=lambda ids, window: ids[:, -max(1, window - 1) :])


@mistake("4.1")
def newest_token_alone(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your model reads only the newest token. Without a cache it knows nothing of those before."""
    return grown(model, ids, max_new_tokens, window, see=lambda ids, window: ids[:, -1:])


@mistake("4.1")
def newest_token_left_out(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your model does not read the newest token: it is asked what comes after the one before, which it has
    said already.
    """

    def see(ids: Tensor, window: int) -> Tensor:
        return ids[:, :-1][:, -window:] if ids.shape[1] > 1 else ids

    return grown(model, ids, max_new_tokens, window, see=see)


@mistake("4.1")
def prompt_again_and_again(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your model reads the prompt in every step, and never what it has said: the text does not grow for it,
    so that it says the same token again and again.
    """
    length = ids.shape[1]
    return grown(model, ids, max_new_tokens, window, see=lambda ids, window: ids[:, :length][:, -window:])


@mistake("4.1")
def first_position(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your tokens are chosen after the first position of what the model reads. Each position has logits for
    the token behind it; the one that is not there yet comes after the last.
    """
    return grown(model, ids, max_new_tokens, window, choose=lambda logits: greedy(logits[:, 0]))


@mistake("4.1")
def least_probable(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your tokens are the least probable ones."""
    return grown(model, ids, max_new_tokens, window, choose=lambda logits: logits[:, -1].argmin(dim=-1))


@mistake("4.1")
def first_row_for_all(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your tokens are those of the first row, for every row of the batch. Each row is a text of its own."""
    return grown(
        model, ids, max_new_tokens, window, choose=lambda logits: last(logits)[:1].expand(len(logits))
    )


@mistake("4.1")
def drawn(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your tokens are drawn. Chance comes in the next section: greedy generation always says what is most
    probable.
    """

    def choose(logits: Tensor) -> Tensor:
        return torch.multinomial(logits[:, -1].softmax(dim=-1), 1).squeeze(1)

    return grown(model, ids, max_new_tokens, window, choose=choose)


@mistake("4.1")
def only_what_is_new(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your function returns the new tokens alone. The text begins with the ids that were passed."""
    return grown(model, ids, max_new_tokens, window)[:, ids.shape[1] :]


@mistake("4.1")
def beginning_lost(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your text loses its beginning once it is longer than the window. The window is what the model reads;
    the text keeps all its tokens.
    """
    for _ in range(max_new_tokens):
        ids = ids[:, -window:]
        ids = grown(model, ids, 1, window)
    return ids


@mistake("4.1")
def put_in_front(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your new tokens are put in front of the text."""
    for _ in range(max_new_tokens):
        ids = grown(model, ids, 1, window).roll(1, dims=1)
    return ids


@mistake("4.1")
def one_token_too_many(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your text has one token too many."""
    return grown(model, ids, max_new_tokens + 1, window)


@mistake("4.1")
def up_to_a_length(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your text ends when it has `max_new_tokens` tokens in all. That many are to be new, behind a prompt of
    any length.
    """
    return grown(model, ids, max_new_tokens - ids.shape[1], window)


@mistake("4.1")
def in_training_mode(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your model reads in the mode in which it comes. In training, dropout takes parts of it out at every
    step: the text is worse than it could be, and another each time.
    """
    with torch.no_grad():
        for _ in range(max_new_tokens):
            ids = torch.cat([ids, last(model(ids[:, -window:]).logits).unsqueeze(1)], dim=1)
    return ids


@mistake("4.1")
def left_in_evaluation(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your function leaves the model in evaluation mode. Training would go on without dropout, and nothing
    would say so.
    """
    model.eval()
    return grown(model, ids, max_new_tokens, window)


@mistake("4.1")
def with_gradients(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your model tracks gradients while it reads. Nobody asks for them, and what is kept for them is several
    times as much as the model itself needs.
    """
    was_training = model.training
    model.eval()
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, last(model(ids[:, -window:]).logits).unsqueeze(1)], dim=1)
    model.train(was_training)
    return ids


@mistake("4.1")
def model_asked_twice(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Your model is asked twice for each token: once before the loop's work, or for a look at the logits, and
    once more. Nearly all time of generation is the model's.
    """
    for _ in range(max_new_tokens):
        with reading(model):
            model(seen_last(ids, window))
        ids = grown(model, ids, 1, window)
    return ids


@variant("4.1")
def into_a_text_made_before(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """The whole text is made at once and filled in."""
    T = ids.shape[1]
    text = torch.cat([ids, ids.new_zeros(len(ids), max_new_tokens)], dim=1)
    was_training = model.training
    model.train(False)
    with torch.inference_mode():
        for end in range(T, T + max_new_tokens):
            logits = model(text[:, max(0, end - window) : end]).logits
            text[:, end] = logits[:, -1, :].max(dim=-1).indices
    model.train(was_training)
    return text


@variant("4.1")
@torch.no_grad()
def columns_in_a_list(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """Columns in a list, put side by side for each reading."""
    was_training = model.training
    model.eval()
    try:
        columns = list(ids.unbind(dim=1))
        for _ in range(max_new_tokens):
            read = torch.stack(columns[-window:], dim=1)
            columns.append(model(read).logits[:, -1].topk(1).indices.flatten())
        return torch.stack(columns, dim=1)
    finally:
        model.train(was_training)


@variant("4.1")
def through_the_cache(model: Any, ids: Tensor, max_new_tokens: int, window: int) -> Tensor:
    """With a cache as long as the window is not full."""
    cache, new = model.new_cache(), ids[:, -window:]
    for _ in range(max_new_tokens):
        with reading(model):
            chosen = greedy(model(new, cache=cache).logits[:, -1])
        ids = torch.cat((ids, chosen[:, None]), 1)
        new = chosen[:, None]
        if ids.shape[1] > window:
            cache, new = model.new_cache(), ids[:, -window:]
    return ids
