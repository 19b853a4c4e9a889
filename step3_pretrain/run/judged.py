"""What a model of `storyworld` has learned, told by the parser: its samples, its answers, where it loses."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch

from coursekit.corpora.sources import documents
from coursekit.corpora.storyworld import END, Excess, Question, floor, questions, read, split
from step3_pretrain.trainer.samples import continuations
from step3_pretrain.trainer.tokenizers import Encoder

AT_ONCE = 32
# The distances of asked facts, parted into so many groups of equal size.
GROUPS = 4


def judged_samples(texts: Sequence[str]) -> dict[str, float]:
    """Return the share of texts that are grammatical stories, and of these, of those true to their facts."""
    readings = [read(text) for text in texts]
    good = [reading for reading in readings if reading.is_grammatical]
    return {
        "grammatical": len(good) / len(readings),
        "true": sum(reading.is_true for reading in good) / len(good) if good else 0.0,
        "broken_off": sum(reading.is_partial for reading in readings) / len(readings),
    }


def judged_answers(model: Any, encoder: Encoder, end_of_text: int, num: int, seed: int = 0) -> dict[str, Any]:
    """Ask a model about held-out stories; return the share of right answers, in all and by the distance of
    the asked fact in bytes.
    """
    asked = list(questions(num, seed))
    prompts = [[end_of_text, *encoder(question.prompt)] for question in asked]
    room = model.args.max_seq_len
    fitting = [(q, prompt) for q, prompt in zip(asked, prompts, strict=True) if len(prompt) < room]
    stop = encoder.tokenizer.special_tokens.get(END, end_of_text)
    right: list[bool] = []
    for at in range(0, len(fitting), AT_ONCE):
        some = fitting[at : at + AT_ONCE]
        generator = torch.Generator().manual_seed(seed)
        replies = continuations(model, [prompt for _, prompt in some], stop, generator, temperature=0)
        for (question, _), ids in zip(some, replies, strict=True):
            right.append(question.is_right(encoder.tokenizer.decode(ids)))
    return {
        "asked": len(fitting),
        "right": sum(right) / len(right) if right else 0.0,
        "by_distance": by_distance([q for q, _ in fitting], right),
    }


def by_distance(asked: Sequence[Question], right: Sequence[bool]) -> list[dict[str, float]]:
    """Return the share of right answers for groups of equal size, from near facts to far ones."""
    pairs = sorted(zip((question.distance for question in asked), right, strict=True))
    size = -(-len(pairs) // GROUPS)
    found = []
    for at in range(0, len(pairs), max(1, size)):
        group = pairs[at : at + size]
        found.append(
            {
                "nearest": group[0][0],
                "farthest": group[-1][0],
                "asked": len(group),
                "right": statistics.fmean(is_right for _, is_right in group),
            }
        )
    return found


@torch.no_grad()
def judged_loss(model: Any, encoder: Encoder, end_of_text: int, num: int) -> Excess:
    """Return what a model loses to the floor on held-out stories, by form, choice and recall."""
    whole = Excess()
    model.eval()
    device = next(model.parameters()).device
    for text in islice(documents("storyworld", "held_out"), num):
        ids = [end_of_text, *encoder(text), end_of_text]
        if len(ids) > model.args.max_seq_len:
            continue
        logits = model(torch.tensor([ids[:-1]], device=device)).logits[0].double().log_softmax(dim=-1).cpu()
        surprise = -logits[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
        sizes = [*(len(encoder.tokenizer.vocab[token]) for token in ids[1:-1]), 0]
        whole += split(text, zip(sizes, surprise.tolist(), strict=True))
    return whole


def exact_floor() -> dict[str, float]:
    """Return the loss in bits per byte that no model beats, and its standard error."""
    found = floor()
    return {"bits_per_byte": found.bits_per_byte, "standard_error": found.standard_error}
