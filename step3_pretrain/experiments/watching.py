"""What a model has learned so far, against storyworld's law: form, choice and recall; and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor

from coursekit.corpora import storyworld
from coursekit.corpora.storyworld import Excess
from step3_pretrain.experiments import small

KINDS = ("form", "choice", "recall")
STEPS, LOOKS, LOOKED_AT, BATCH, RATE = 600, 12, 24, 12, 4e-3
# Long enough for every story under a vocabulary of 512.
CONTEXT = 384


@torch.no_grad()
def surprises(model: Any, ids: Sequence[int], end_of_text: int) -> Tensor:
    """Return the surprise in nats at each token of a document and at its end, (len(ids) + 1).

    Raises ValueError for a document that the model cannot read at once.
    """
    size = model.args.max_seq_len
    if len(ids) + 1 > size:
        raise ValueError(
            f"a document must fit into the context of {size} tokens with its end, got {len(ids)}"
        )
    whole = torch.tensor([[end_of_text, *ids, end_of_text]], device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    logits = model(whole[:, :-1]).logits[0].double()
    model.train(was_training)
    found: Tensor = -logits.log_softmax(dim=-1).gather(1, whole[0, 1:, None])[:, 0]
    return found.cpu()


def parts(
    model: Any, tokenizer: Any, encode: Callable[[str], list[int]], texts: Sequence[str], end_of_text: int
) -> Excess:
    """Return what the model loses to the law over whole documents, split into form, choice and recall."""
    return reduce(add, (_excess(model, tokenizer, encode(text), text, end_of_text) for text in texts))


def _excess(model: Any, tokenizer: Any, ids: list[int], text: str, end_of_text: int) -> Excess:
    sizes = [*(len(tokenizer.vocab[i]) for i in ids), 0]
    return storyworld.split(text, zip(sizes, surprises(model, ids, end_of_text).tolist()))


def learn_and_look(module: Any, lesson: small.Lesson) -> tuple[list[int], list[Excess]]:
    """Train a decoder of three layers that reads whole stories, and split its loss at `LOOKS` moments.

    The moments come close together at first. Returns the steps and what was found at each of them.
    """
    total = small.steps(STEPS)
    moments = {max(1, round(total * ((i + 1) / LOOKS) ** 2)) for i in range(LOOKS)}
    model = small.decoder(len(lesson.tokenizer), n_layers=3, max_seq_len=CONTEXT)
    encode = small.encoder(lesson.tokenizer)
    optimizer = module.AdamW(model.parameters(), RATE)
    args = module.TrainingArgs(
        steps=total, batch_size=BATCH, block_size=CONTEXT, learning_rate=RATE, warmup=min(20, total - 1)
    )
    steps, looks = [], []
    losses = module.train_on_documents(model, optimizer, lesson.documents, lesson.end_of_text, args)
    for step, _ in enumerate(losses, start=1):
        if step in moments:
            steps.append(step)
            texts = lesson.held_out[:LOOKED_AT]
            looks.append(parts(model, lesson.tokenizer, encode, texts, lesson.end_of_text))
    return steps, looks


@torch.no_grad()
def write(model: Any, tokenizer: Any, end_of_text: int, count: int, seed: int = 0) -> list[str]:
    """Return `count` documents that the model writes, each drawn token by token by its own probabilities.

    A document ends where the model says so, or where its context is full.
    """
    device = next(model.parameters()).device
    chance = torch.Generator().manual_seed(seed)
    was_training = model.training
    model.eval()
    ids, cache = torch.full((count, 1), end_of_text, device=device), model.new_cache()
    written: list[list[int]] = [[] for _ in range(count)]
    is_open = [True] * count
    for _ in range(model.args.max_seq_len - 1):
        law = model(ids, cache=cache).logits[:, -1].double().softmax(dim=-1).cpu()
        drawn = torch.multinomial(law, 1, generator=chance)
        for row, token in enumerate(drawn[:, 0].tolist()):
            is_open[row] = is_open[row] and token != end_of_text
            if is_open[row]:
                written[row].append(token)
        if not any(is_open):
            break
        ids = drawn.to(device)
    model.train(was_training)
    return [tokenizer.decode(tokens) for tokens in written]


def judged(texts: Sequence[str]) -> dict[str, float | None]:
    """Return which share of the texts is grammatical, which of those is true to its own facts, and which of
    their answers are right; None where there is nothing to judge.
    """
    readings = [storyworld.read(text) for text in texts]
    whole = [reading for reading in readings if reading.is_grammatical]
    answers = [answer.is_right for reading in whole for answer in reading.answers]
    return {
        "grammatical": len(whole) / len(readings),
        "true to their own facts": _share([reading.is_true for reading in whole]),
        "answers right": _share(answers),
    }


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None
