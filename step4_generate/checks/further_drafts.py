"""Probes of a small model that drafts for a large one (4.12b)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from coursekit.probe import at_most, cases, check, law
from step3_pretrain.checks.observe import Generators
from step4_generate.checks.echo import Echo, draw_echo, ending, table_model
from step4_generate.checks.further_accepting import DRAWS, seeded
from step4_generate.checks.further_batches import told


@check("4.12b")
def generate_speculative(m: Any, rng: Any) -> Any:
    generator = seeded(rng)
    model, draft = draw_echo(rng, V=9, length=30), draw_echo(rng, V=9, length=25)
    ids = rng.integers(0, 9, 1, 5)
    cold = m.SamplingArgs(temperature=0.0)
    for count in (1, 2, 6):
        text = m.generate_speculative(model, draft, ids, count, 3, cold, generator)
        yield f"temperature 0, 3 drafts, {count} new tokens: what the model alone would say", text
    for drafts in (1, 2, 5, 20):
        text = m.generate_speculative(model, draft, ids, 15, drafts, cold, generator)
        yield f"15 new tokens in rounds of {drafts} drafts", text
    helpful = near(model, rng)
    for drafts in (1, 3, 4):
        text = m.generate_speculative(model, helpful, ids[:, :1], 17, drafts, cold, generator)
        yield f"a draft model that is often right, {drafts} drafts", text
    itself = m.generate_speculative(model, twin(model), ids, 16, 3, cold, generator)
    yield "a draft model that is always right", itself
    yield "no new tokens are wanted", m.generate_speculative(model, draft, ids, 0, 3, cold, generator)
    yield from asking(m, rng, generator, ids)
    yield from laws_of_text(m, rng, generator)
    yield from around(m, rng, model, draft, ids)


def near(model: Echo, rng: Any) -> Echo:
    """Return a model that mostly says what the other says."""
    drawn = rng.normal(*model.table.shape, std=0.5)
    return Echo(model.table.detach() + drawn, model.places.detach()).eval()


def twin(model: Echo) -> Echo:
    """Return an equal model, which counts for itself."""
    return Echo(model.table.detach(), model.places.detach()).eval()


def asking(m: Any, rng: Any, generator: torch.Generator, ids: torch.Tensor) -> Any:
    """Yield how often the two models are asked, and how much they read."""
    model = draw_echo(rng, V=9, length=70)
    draft, cold = twin(model), m.SamplingArgs(temperature=0.0)
    m.generate_speculative(model, draft, ids, 63, 20, cold, generator)
    # The prompt may be read in a call of its own.
    said = "the model is asked once for 21 tokens where all 20 drafts of each round are right: calls"
    yield at_most(said, len(model.calls), 3 + 1)
    yield at_most("the draft model is asked once for each draft: calls", len(draft.calls), 60 + 4)
    model.calls.clear()
    draft.calls.clear()
    m.generate_speculative(model, draft, ids, 63, 1, cold, generator)
    yield at_most("rounds of one draft: the model reads each token once: tokens", model.positions_read(), 68)
    yield at_most("and so does the draft model: tokens", draft.positions_read(), 68)
    wrong = Echo(-model.table.detach(), -model.places.detach()).eval()
    model.calls.clear()
    m.generate_speculative(model, wrong, ids, 6, 3, cold, generator)
    # The prompt and 3 drafts; then twice the token before and 3 drafts; then 2, then 1 and then none of them.
    yield at_most(
        "drafts are all wrong: tokens the model reads", model.positions_read(), 8 + 4 + 4 + 3 + 2 + 1
    )
    yield (
        "the modes of the models while they are asked: (trains, tracks)",
        [sorted({*model.modes, *wrong.modes})],
    )


def laws_of_text(m: Any, rng: Any, generator: torch.Generator) -> Any:
    """Yield texts of two new tokens, often enough to see their law."""
    table = torch.tensor([[0.3, 0.0, -0.9], [-0.3, 0.0, 0.6], [0.0, 0.6, 0.0]])
    other = torch.tensor([[0.0, 0.6, 0.0], [0.6, 0.0, -0.3], [-0.3, 0.0, 0.9]])
    model, draft = table_model(table), table_model(other)
    start, warm = torch.tensor([[0]]), m.SamplingArgs(temperature=0.5)
    p = (table / 0.5).softmax(dim=-1)
    pairs = []
    for _ in range(DRAWS // 3):
        text = m.generate_speculative(model, draft, start, 2, 1, warm, generator)
        pairs.append(int(text[0, 1]) * 3 + int(text[0, 2]))
    told = "at temperature 0.5 the texts have the law of the model alone"
    yield law(told, pairs, (p[0][:, None] * p).flatten())
    chance = torch.tensor([0.4, 0.4, 0.2])
    same = table_model(0.5 * chance.log().expand(3, 3))
    first = first_tokens(m, same, table_model(same.table.detach()), warm, generator)
    yield law("drafts of an equal model: the first token", first, chance)
    # As cold as this the draft model says nearly always 0; the model says 0 and 1, and hardly ever 2.
    icy = m.SamplingArgs(temperature=0.02)
    target, sharp = (torch.tensor([row]).expand(3, 3) for row in ([0.0, 0.0124, -0.5], [0.1, 0.0, 0.0]))
    first = first_tokens(m, table_model(target), table_model(sharp), icy, generator)
    yield law("drafts at temperature 0.02: the first token", first, (target[0] / 0.02).softmax(dim=-1))
    lone = m.SamplingArgs(temperature=3.0, top_k=1)
    text = m.generate_speculative(model, draft, start, 9, 2, lone, generator)
    yield "what top-k cuts off never comes", text


def first_tokens(m: Any, model: Echo, draft: Echo, args: Any, generator: torch.Generator) -> list[int]:
    """Return the first new tokens of many texts, each drafted."""
    start = torch.tensor([[0]])
    texts = [m.generate_speculative(model, draft, start, 2, 1, args, generator) for _ in range(DRAWS // 4)]
    return [int(text[0, 1]) for text in texts]


def around(m: Any, rng: Any, model: Echo, draft: Echo, ids: torch.Tensor) -> Any:
    """Yield the modes afterwards, where the chance comes from, and what is refused."""
    model.train()
    warm, seed = m.SamplingArgs(temperature=0.8, top_p=0.9), rng.integer(0, 2**31)
    generators, texts = Generators(), []
    for _ in range(2):
        generator = torch.Generator().manual_seed(seed)
        texts.append(m.generate_speculative(model, draft, ids, 12, 3, warm, generator).tolist())
    yield "equal generators give equal texts", texts[0] == texts[1]
    yield "global generators that are used", generators.moved()
    yield "each model is in the mode in which it was before", [model.training, draft.training]
    small = torch.zeros(1, 10, dtype=torch.int64)
    cold = m.SamplingArgs(temperature=0.0)
    write = partial(m.generate_speculative, model, draft, small)
    tries = [ending(partial(write, n, 3, cold)) for n in (15, 16)]
    yield "10 and 15 tokens fit into 25 positions of the draft model, 16 do not", tries


@cases("4.12b")
def small_texts(m: Any) -> Any:
    """Outputs are all the texts that come and, of one call, the shapes of the ids that the model reads."""
    sure, other = 3 * torch.eye(3).roll(1, dims=1), 3 * torch.eye(3).roll((1, 1), dims=(0, 1))
    even = torch.zeros(2, 2)
    cold, cut = {"temperature": 0.0}, {"temperature": 1.0, "top_k": 1}
    for table, drafting, count, drafts, settings, calls in (
        (sure, sure, 1, 1, cold, 1),
        (sure, sure, 2, 1, cold, 1),
        (sure, other, 2, 1, cold, 1),
        (sure, other, 3, 2, cold, 1),
        (sure, sure, 4, 2, cold, 1),
        (sure, other, 5, 2, cold, 1),
        (sure, sure, 4, 2, cut, 20),
        (even, even, 2, 1, {"temperature": 1.0}, 100),
    ):
        model, draft = table_model(table), table_model(drafting)
        inputs = {"draft_table": drafting, "ids": torch.tensor([[0]]), "max_new_tokens": count}
        inputs |= {"num_drafts": drafts, "args": str(settings), "calls": calls}
        generator, texts = torch.Generator().manual_seed(0), set()
        for _ in range(calls):
            args = torch.tensor([[0]]), count, drafts, m.SamplingArgs(**settings), generator
            texts.add(tuple(m.generate_speculative(model, draft, *args)[0].tolist()))
        shapes = [list(shape) for shape in model.calls] if calls == 1 else []
        yield {**told(model), **inputs}, (sorted(texts), shapes)
