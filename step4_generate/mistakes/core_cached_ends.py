"""4.5, generation with a cache: known mistakes with what is chosen and handed out, and accepted variants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step4_generate.mistakes.core_cached import OLD, Choose, columns, read_next
from step4_generate.model_solution import greedy, reading


@mistake("4.5")
def choose_ignored(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your tokens are always the most probable ones: `choose` is not asked."""
    return columns(model, ids, max_new_tokens, window, greedy)


@mistake("4.5")
def reads_its_own_choice(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads the most probable token next, whatever `choose` has chosen: it continues another text
    than the one that is handed out.
    """
    chosen: list[Tensor] = []

    def both(logits: Tensor) -> Tensor:
        chosen.append(choose(logits))
        return greedy(logits)

    for _ in columns(model, ids, max_new_tokens, window, both):
        yield chosen[-1]


@mistake("4.5")
def chosen_after_every_position(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your `choose` gets the logits of every position, (B, T, V), instead of the last one's, (B, V)."""
    cache, new = model.new_cache(), ids[:, -window:]
    for _ in range(max_new_tokens):
        with reading(model):
            logits = model(new, cache=cache).logits
        column = choose(logits)[:, -1]
        yield column
        ids = torch.cat([ids, column.unsqueeze(1)], dim=1)
        found, new = read_next(model, ids, window)
        cache = cache if found is OLD else found


@mistake("4.5")
def all_at_the_end(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your columns come all at once, when the last is chosen. Whoever reads along would wait for the whole
    text: yield each in the loop.
    """
    yield from list(columns(model, ids, max_new_tokens, window, choose))


@mistake("4.5")
def read_before_it_is_handed_out(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your columns are each handed out one step late: the model has read them by then. The reader waits for a
    step that is not theirs, and the last step is for nothing.
    """
    run = columns(model, ids, max_new_tokens + 1, window, choose)
    column = next(run)
    for _ in range(max_new_tokens):
        after = next(run)
        yield column
        column = after


@mistake("4.5")
def read_in_vain(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads the last token as well, after which nothing is chosen."""
    run = columns(model, ids, max_new_tokens + 1, window, choose)
    for _ in range(max_new_tokens):
        yield next(run)
    next(run)


@mistake("4.5")
def prompt_handed_out(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your columns begin with those of the prompt. Only what is new is handed out."""
    yield from ids.unbind(dim=1)
    yield from columns(model, ids, max_new_tokens, window, choose)


@mistake("4.5")
def as_columns_of_a_matrix(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your columns are (B, 1). One token of each row is (B,), as `choose` returns it."""
    for column in columns(model, ids, max_new_tokens, window, choose):
        yield column.unsqueeze(1)


@mistake("4.5")
def in_training_mode(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model reads in the mode in which it comes. In training, dropout takes parts of it out, and what
    the cache holds was computed without them.
    """
    cache: Any = model.new_cache()
    new = ids[:, -window:]
    for _ in range(max_new_tokens):
        with torch.no_grad():
            logits = model(new, cache=cache).logits[:, -1]
        column = choose(logits)
        yield column
        ids = torch.cat([ids, column.unsqueeze(1)], dim=1)
        found, new = read_next(model, ids, window)
        cache = cache if found is OLD else found


@mistake("4.5")
def with_gradients(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your model tracks gradients while it reads. Nobody asks for them, and what is kept for them grows with
    every token.
    """
    cache: Any = model.new_cache()
    new, was_training = ids[:, -window:], model.training
    for _ in range(max_new_tokens):
        model.train(False)
        logits = model(new, cache=cache).logits[:, -1].detach()
        model.train(was_training)
        column = choose(logits)
        yield column
        ids = torch.cat([ids, column.unsqueeze(1)], dim=1)
        found, new = read_next(model, ids, window)
        cache = cache if found is OLD else found


@mistake("4.5")
def handed_out_inside(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your columns are handed out inside of `reading`. A generator stands still there while its caller works:
    the model is in evaluation mode then, and nothing the caller computes has gradients.
    """
    with reading(model):
        yield from columns(model, ids, max_new_tokens, window, choose)


@mistake("4.5")
def left_in_evaluation(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Your function leaves the model in evaluation mode. Training would go on without dropout, and nothing
    would say so.
    """
    model.train(False)
    yield from columns(model, ids, max_new_tokens, window, choose)


@variant("4.5")
def by_lengths(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Only the window is kept of the text; a new cache for each window that is read afresh."""
    text = ids[:, -window:]
    cache, new = model.new_cache(), text
    while max_new_tokens > 0:
        max_new_tokens -= 1
        with reading(model):
            output = model(new, cache=cache)
        column = choose(output.logits[:, -1, :])
        yield column
        new = column.view(-1, 1)
        text = torch.cat((text, new), 1)
        if text.shape[1] > window:
            text = text[:, 1:]
            cache, new = model.new_cache(), text


@variant("4.5")
def by_class(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """Two loops: one with the cache, and one without."""
    with_cache = max(0, min(max_new_tokens, window - ids.shape[1] + 1))
    cache, text, read = model.new_cache(), ids, 0
    for i in range(max_new_tokens):
        with reading(model):
            if i < with_cache:
                logits = model(text[:, read:], cache=cache).logits
                read = text.shape[1]
            else:
                logits = model(text[:, -window:]).logits
        column = choose(logits[:, -1])
        yield column
        text = torch.cat([text, column[:, None]], dim=1)


@variant("4.5")
def by_an_iterator(
    model: Any, ids: Tensor, max_new_tokens: int, window: int, choose: Choose = greedy
) -> Iterator[Tensor]:
    """The mode set by hand for each step; a step is a function of its own."""
    state: dict[str, Any] = {"ids": ids, "cache": model.new_cache(), "read": max(0, ids.shape[1] - window)}

    def step() -> Tensor:
        was_training, text = model.training, state["ids"]
        model.eval()
        with torch.no_grad():
            logits = model(text[:, state["read"] :], cache=state["cache"]).logits[:, -1]
        model.train(was_training)
        column = choose(logits)
        state.update(ids=torch.cat([text, column.unsqueeze(1)], dim=1), read=text.shape[1])
        if text.shape[1] + 1 > window:
            state.update(cache=None, read=text.shape[1] + 1 - window)
        return column

    for _ in range(max_new_tokens):
        yield step()
