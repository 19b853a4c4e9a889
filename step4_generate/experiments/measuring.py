"""What the core chapter measures: tails, what cuts keep, work that a cache saves, quality and diversity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from coursekit.corpora import storyworld
from step3_pretrain.experiments import small
from step4_generate.experiments.speaking import Speaker

# Stories that are written at each setting, and how many words are one piece where pieces are counted.
STORIES, WORDS = 64, 4


@torch.no_grad()
def logits_of(speaker: Speaker, text: str) -> tuple[list[str], Tensor]:
    """Return how each token of a text reads and the logits (T, V) after it; the first is the end before."""
    ids = speaker.ids(text)
    logits: Tensor = speaker.model(ids).logits[0].float()
    return ["‖", *(speaker.names[token] for token in ids[0, 1:].tolist())], logits


def after(speaker: Speaker, text: str) -> Tensor:
    """Return the logits (1, V) for what comes after a text."""
    return logits_of(speaker, text)[1][-1:]


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy in nats of softmax(logits) along the last dimension; a logit of -inf counts 0."""
    return torch.special.entr(logits.double().softmax(dim=-1)).sum(dim=-1)


def tail(speaker: Speaker, texts: Sequence[str], k: int) -> float:
    """Return which probability lies outside of the k most probable tokens, on average over all positions."""
    laws = torch.cat([logits_of(speaker, text)[1].double().softmax(dim=-1) for text in texts])
    return 1 - float(laws.topk(k, dim=-1).values.sum(dim=-1).mean())


def num_kept(cut: Tensor) -> list[int]:
    """Return how many tokens of each row are left after a cut."""
    return [int(count) for count in cut.isfinite().sum(dim=-1)]


@contextmanager
def counted(model: nn.Module) -> Iterator[list[int]]:
    """Give a list that holds, for each call of the model while the `with` lasts, how many tokens it read."""
    calls: list[int] = []

    def note(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        calls.append((args[0] if args else named["ids"]).numel())

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


def so_far(calls: Sequence[int]) -> list[int]:
    """Return how much has been read after each call."""
    return torch.tensor(calls).cumsum(dim=0).tolist()


class Judged(NamedTuple):
    """What became of the stories of one setting: the share of grammatical ones, of those true as well,
    and which share of their phrases are different ones.
    """

    grammatical: float
    sound: float
    distinct: float

    def __str__(self) -> str:
        return f"{self.grammatical:>11.0%}{self.sound:>11.0%}{self.distinct:>11.0%}"


def num_stories() -> int:
    """Return how many stories are written at each setting: fewer where COURSE_BUDGET says so."""
    return small.steps(STORIES)


def write_stories(mine: Any, speaker: Speaker, args: Any, count: int, seed: int = 0) -> list[str]:
    """Return stories that the model begins and ends itself, written side by side with `mine`'s functions."""
    generator = torch.Generator().manual_seed(seed)
    choose = partial(mine.next_token, args=args, generator=generator)
    window = mine.context_length(speaker.model)
    columns: list[Tensor] = []
    is_open = torch.ones(count, dtype=torch.bool)
    start = speaker.ids().expand(count, 1)
    for column in mine.generate_cached(speaker.model, start, window - 1, window, choose):
        columns.append(column)
        is_open &= column != speaker.end_of_text
        if not is_open.any():
            break
    return [speaker.text([speaker.end_of_text, *row]) for row in torch.stack(columns, dim=1).tolist()]


def distinct(texts: Sequence[str], size: int = WORDS) -> float:
    """Return which share of all rows of `size` neighboring words are different ones."""
    rows = [
        tuple(words[i : i + size]) for words in map(str.split, texts) for i in range(len(words) - size + 1)
    ]
    return len(set(rows)) / max(1, len(rows))


def judge(texts: Sequence[str]) -> Judged:
    """Judge stories: grammatical; grammatical and true to their own facts; and how different they are."""
    readings = [storyworld.read(text) for text in texts]
    grammatical = [reading for reading in readings if reading.is_grammatical]
    sound = sum(reading.is_true for reading in grammatical)
    return Judged(len(grammatical) / len(texts), sound / len(texts), distinct(texts))


def compare(mine: Any, speaker: Speaker, settings: Mapping[str, Any], seed: int = 0) -> dict[str, Judged]:
    """Let the model write with each of the settings, and judge what it writes."""
    count = num_stories()
    return {name: judge(write_stories(mine, speaker, args, count, seed)) for name, args in settings.items()}


def expected_without(share: float, count: int) -> float:
    """Return how likely nothing of a tail is drawn in `count` draws, if it has this share of each."""
    return math.exp(count * math.log1p(-share))
