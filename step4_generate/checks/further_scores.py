"""Probes of how probable a text is (4.10), and of the search for a probable one (4.11)."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from coursekit.probe import at_most, cases, check, equal
from step4_generate.checks.echo import Echo, draw_echo, ending, table_model
from step4_generate.checks.further_batches import told


@check("4.10")
def scores(m: Any, rng: Any) -> Any:
    model = draw_echo(rng, V=9, length=12, decay=0.8, scale=1.0)
    ids = rng.integers(0, 9, 41)
    yield "a text that fits into the window: log-probabilities in nats", m.score(model, ids[:7], 12, 5)
    yield "it fills the window", m.score(model, ids[:12], 12, 5)
    yield (
        "two tokens have one score, and one token has none",
        [m.score(model, ids[:n], 12, 5) for n in (2, 1)],
    )
    yield "a text that is longer than the window, with a stride of 5", m.score(model, ids[:30], 12, 5)
    for window, stride in ((12, 1), (12, 11), (7, 3), (2, 1)):
        yield f"windows of {window}, a stride of {stride}", m.score(model, ids, window, stride)
    ends = [m.score(model, ids[:n], 8, 4) for n in (8, 9, 11, 12, 13)]
    yield "windows of 8, a stride of 4: texts of 8, 9, 11, 12 and 13 tokens", ends
    model.calls.clear()
    m.score(model, ids, 12, 5)
    # Windows begin at 0, 5, ..., 25 and 30, where 11 tokens are left.
    yield at_most("the windows and no more: tokens that the model reads", model.positions_read(), 6 * 12 + 11)
    model.train()
    model.modes.clear()
    m.score(model, ids, 12, 5)
    yield (
        "evaluation mode, no gradients: (trains, tracks), and the mode afterwards",
        [
            *sorted(set(model.modes)),
            model.training,
        ],
    )
    strides = [ending(lambda s=s: m.score(model, ids, 12, s)) for s in (0, 12, 13)]  # type: ignore[misc]
    yield "a stride of 0, of the window, or beyond is refused", strides
    nats = -rng.uniform(0.1, 6.0, 9)
    yield "perplexity: exp of the mean surprise", m.perplexity(nats)
    yield "a guess among 50: 50", m.perplexity(torch.full((7,), 1 / 50).log())
    yield "a single score", m.perplexity(nats[:1])
    yield "no score is refused", ending(lambda: m.perplexity(nats[:0]))


@cases("4.10")
def small_scores(m: Any) -> Any:
    """Outputs are the scores, and their perplexity."""
    table = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, -2.0], [0.0, 1.0, 1.0]])
    places = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    for ids, window, stride in (
        ([0, 1], 4, 2),
        ([1, 0], 4, 2),
        ([1, 2, 0], 4, 2),
        ([0, 1, 2, 1], 4, 2),
        ([0, 1, 2, 1, 0], 4, 2),
        ([0, 1, 2, 1, 0, 2], 3, 1),
    ):
        model = Echo(table, places[:window] if len(ids) > 2 else torch.zeros(window, 3), decay=0.0)
        found = m.score(model, torch.tensor(ids), window, stride)
        inputs = {"ids": torch.tensor(ids), "window": window, "stride": stride}
        yield {**told(model), **inputs}, (found, m.perplexity(found))


# Where a score is near 0, rounding of the logits is large beside it.
DEEP = 1.5e-4


def beams_of(found: Any) -> Any:
    """Return the ids of all beams, and their scores, whatever they are made of; anything else as it is."""
    try:
        ids = [[int(token) for token in beam.ids] for beam in found]
        return ids, torch.tensor([float(beam.score) for beam in found])
    except (AttributeError, TypeError):
        return found


END = 4


def garden_path() -> Echo:
    """Return a model whose best first token leads nowhere: 1 is likeliest, but only 2 has a sure next one."""
    table = torch.full((6, 6), -4.0)
    table[0, 1], table[0, 2] = 2.0, 1.5
    table[1] = torch.arange(6) / 10
    table[2, 3] = table[3, 5] = table[5, 3] = 4.0
    table[:, END] = -40.0
    return table_model(table, 20)


@check("4.11")
def beam_search(m: Any, rng: Any) -> Any:
    torch.manual_seed(rng.integer(0, 2**31))
    # A token that never comes: nothing ends.
    never = 7
    model = draw_echo(rng, V=8, length=20)
    with torch.no_grad():
        model.places[:, never] -= 100
    prompts = [rng.integers(0, 7, length) for length in (1, 3, 5)]
    one = [m.beam_search(model, prompt, 1, 5, never) for prompt in prompts]
    yield equal("one beam: the most probable tokens, one by one", [beams_of(found) for found in one], DEEP)
    start = torch.tensor([0])
    two = m.beam_search(garden_path(), start, 2, 4, END)
    yield equal("two beams find what is better in the end", beams_of(two), DEEP)
    for count, length in ((3, 1), (3, 4), (5, 6)):
        found = [beams_of(m.beam_search(model, prompt, count, length, never)) for prompt in prompts]
        yield equal(f"{count} beams of {length} tokens, best first", found, DEEP)
    wide = beams_of(m.beam_search(model, prompts[0], 20, 2, never))
    yield equal("more beams than there are tokens", wide, DEEP)
    sums = [beams_of(m.beam_search(model, prompts[1], 3, 4, never, p)) for p in (0.0, 0.5, 2.0)]
    yield equal("the sum is divided by length ** length_penalty", sums, DEEP)
    yield from ending_beams(m, rng)
    yield from asking(m, rng, model, prompts, never)


def ending_beams(m: Any, rng: Any) -> Any:
    """Yield what is found where texts end."""
    models = [draw_echo(rng, V=7, length=20, scale=1.5) for _ in range(6)]
    prompt = rng.integers(0, 7, 2)
    for count, penalty in ((2, 1.0), (3, 1.0), (3, 0.0), (3, 2.5), (4, -0.5)):
        found = [beams_of(m.beam_search(model, prompt, count, 6, END, penalty)) for model in models]
        yield equal(
            f"beams that end, and beams that do not: {count} beams, length_penalty {penalty}", found, DEEP
        )
    for bonus, said in ((3.0, "ends soon"), (-1.5, "hardly ever ends")):
        hurried = draw_echo(rng, V=7, length=20, scale=1.5)
        with torch.no_grad():
            hurried.places[:, END] += bonus
        found = [beams_of(m.beam_search(hurried, prompt, 3, 8, END, p)) for p in (0.0, 1.0, 3.0)]
        yield equal(f"a model that {said}", found, DEEP)


def asking(m: Any, rng: Any, model: Echo, prompts: Any, never: int) -> Any:
    """Yield how the model is asked, and how often."""
    model.calls.clear()
    m.beam_search(model, prompts[2], 24, 6, never)
    yield at_most("all open beams are one batch: calls for 6 tokens", len(model.calls), 6)
    quick = table_model(rng.normal(7, 7, std=0.1), 40)
    with torch.no_grad():
        quick.table[:, END] += 9
    m.beam_search(quick, prompts[0], 1, 30, END)
    yield at_most("nothing can win any more: calls, where the end is nearly sure", len(quick.calls), 1)
    model.train()
    model.modes.clear()
    m.beam_search(model, prompts[0], 2, 3, never)
    modes = [*sorted(set(model.modes)), model.training]
    yield "evaluation mode, no gradients: (trains, tracks), and the mode afterwards", modes


@cases("4.11")
def small_beams(m: Any) -> Any:
    """Outputs are the beams (ids and scores), and how often the model was asked."""
    tables = (
        [[0.0, 2.0, 0.5], [0.25, 0.75, 2.0], [0.0, 1.0, 0.5]],
        [[0.0, 2.0, 1.5], [0.0, 0.25, 0.5], [-4.0, 4.0, -3.0]],
    )
    for table, (count, length, penalty) in itertools.product(
        tables, ((1, 1, 1.0), (1, 2, 0.0), (2, 1, 1.0), (2, 2, 0.0), (2, 3, 1.0), (1, 5, 1.0))
    ):
        model = table_model(torch.tensor(table))
        inputs = {"ids": torch.tensor([0]), "num_beams": count, "max_new_tokens": length}
        inputs |= {"end_of_text": 2, "length_penalty": penalty}
        found = m.beam_search(model, torch.tensor([0]), count, length, 2, penalty)
        yield {**told(model), **inputs}, (beams_of(found), len(model.calls))
