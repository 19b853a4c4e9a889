"""A small run for every section: some stories, a tokenizer, a decoder that learns within seconds."""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.budget import Budget
from coursekit.corpora import TextFile, baselines, storyworld
from step2_model.model_solution import ModelArgs, Transformer

BLOCK, BATCH = 64, 8


@dataclass(frozen=True)
class Lesson:
    """Stories to learn from and stories that were held out, as text and as ids."""

    tokenizer: Any
    train: list[str]
    held_out: list[str]
    documents: list[list[int]]
    held_out_documents: list[list[int]]
    stream: Tensor
    end_of_text: int

    @property
    def num_bytes(self) -> int:
        """The length of the held-out stories, in bytes."""
        return sum(len(text.encode()) for text in self.held_out)


def prepare(
    module: Any, num_stories: int = 1_000, num_held_out: int = 60, vocab_size: int = 512, seed: int = 0
) -> Lesson:
    """Draw stories, train `module.Tokenizer` on them, and pack them with `module.pack`.

    No held-out story stands among those to learn from: storyworld draws them from two sides.
    """
    train = list(itertools.islice(storyworld.stories(seed), num_stories))
    held_out = list(itertools.islice(storyworld.held_out_stories(seed), num_held_out))
    tokenizer = module.Tokenizer.train(train, vocab_size, module.SPECIAL_TOKENS)
    encode = encoder(tokenizer)
    documents, others = [encode(text) for text in train], [encode(text) for text in held_out]
    end_of_text = tokenizer.special_tokens[module.END_OF_TEXT]
    return Lesson(
        tokenizer, train, held_out, documents, others, module.pack(documents, end_of_text), end_of_text
    )


def encoder(tokenizer: Any) -> Callable[[str], list[int]]:
    """Return a function that encodes as the tokenizer does, its special tokens too, each word only once.

    Words are encoded by themselves, so that what was found for one can be kept.
    """
    split_words = sys.modules[type(tokenizer).__module__].split_words
    special = dict(tokenizer.special_tokens)
    pattern = "(" + "|".join(map(re.escape, sorted(special, key=len, reverse=True))) + ")"
    kept: dict[str, list[int]] = {}

    def encode(text: str) -> list[int]:
        ids: list[int] = []
        for piece in re.split(pattern, text):
            if piece in special:
                ids.append(special[piece])
                continue
            for word in split_words(piece):
                if word not in kept:
                    kept[word] = tokenizer.encode_ordinary(word)
                ids += kept[word]
        return ids

    return encode


def decoder(vocab_size: int, seed: int = 0, **changes: Any) -> Transformer:
    """Return a new decoder of step 2's reference, small enough to learn within seconds."""
    sizes: dict[str, Any] = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "attention": "gqa"}
    sizes |= {"intermediate_size": 128, "max_seq_len": BLOCK, "tie_embeddings": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Transformer(ModelArgs(vocab_size=vocab_size, **(sizes | changes)))


def steps(count: int) -> int:
    """Return how many steps a cell may take: `count`, or fewer where COURSE_BUDGET says so."""
    return Budget(steps=count).within_environment().steps


def learn(
    module: Any,
    lesson: Lesson,
    count: int,
    *,
    rate: float = 3e-3,
    warmup: int = 0,
    seed: int = 0,
    model: nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    constant: bool = False,
) -> tuple[nn.Module, list[float]]:
    """Train a small decoder with the loop of `module`, and return it and its losses in nats.

    `constant` keeps one rate; else it follows the module's schedule, and gradients are clipped.
    """
    model = decoder(len(lesson.tokenizer), seed) if model is None else model
    optimizer = torch.optim.AdamW(model.parameters(), rate) if optimizer is None else optimizer
    total = steps(count)
    if not constant:
        args = module.TrainingArgs(
            steps=total, batch_size=BATCH, block_size=BLOCK, learning_rate=rate, warmup=warmup, seed=seed
        )
        return model, list(module.train(model, optimizer, lesson.stream, args))
    losses = []
    for step in range(total):
        ids = module.sample_blocks(lesson.stream, BLOCK, BATCH, seed, step)
        losses.append(module.training_step(model, optimizer, ids).item())
    return model, losses


def bits(module: Any, model: nn.Module, lesson: Lesson) -> float:
    """Return the bits per byte of the model on the held-out stories, with `module.evaluate`."""
    rows = module.document_batches(lesson.held_out_documents, lesson.end_of_text, context_of(model))
    return float(module.evaluate(model, rows, lesson.num_bytes))


def context_of(model: Any) -> int:
    """Return how many tokens the model reads at once."""
    return int(model.args.max_seq_len)


def sweep(module: Any, lesson: Lesson, rates: Sequence[float], count: int) -> dict[float, list[float]]:
    """Train the same decoder on the same batches once with each rate, and return the losses of each."""
    return {rate: learn(module, lesson, count, rate=rate, constant=True)[1] for rate in rates}


def mean_of_last(losses: Sequence[float], count: int = 10) -> float:
    """Return the mean of the last losses."""
    last = losses[-count:]
    return sum(last) / len(last)


def floor_nats(lesson: Lesson) -> float:
    """Return the law's own surprise at the held-out stories, in nats per token, their ends included."""
    count = sum(len(document) + 1 for document in lesson.held_out_documents)
    return -sum(storyworld.log_prob(text) for text in lesson.held_out) / count


def known_levels(lesson: Lesson) -> dict[str, float]:
    """Return what the held-out stories cost in bits per byte by the law itself, and by gzip."""
    files = [TextFile(str(number), text.encode()) for number, text in enumerate(lesson.held_out)]
    nats = -sum(storyworld.log_prob(text) for text in lesson.held_out)
    return {
        "the floor": nats / math.log(2) / lesson.num_bytes,
        "gzip -9, all stories in one": baselines.gzip_bits(files),
    }


def unigram_entropy(stream: Tensor) -> float:
    """Return the surprise in nats per token of a model that knows how frequent each token is, no more."""
    share = torch.bincount(stream).double() / len(stream)
    share = share[share > 0]
    return float(-(share * share.log()).sum())


def padded_share(lengths: Sequence[int], batch_size: int) -> float:
    """Return which share of all places is padding if each document is a row and a batch is as long as its
    longest.
    """
    places = used = 0
    for group in batched(lengths, batch_size):
        places += max(group) * len(group)
        used += sum(group)
    return 1 - used / places


def batched(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield the items in groups of `size`, the last one perhaps smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
