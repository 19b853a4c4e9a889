"""Small trainings on stories, for the further chapter: one loop, into which a part can be put."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.budget import Budget
from coursekit.corpora.storyworld import stories
from step1_tokenizer.model_solution import Tokenizer
from step2_model.model_solution import ModelArgs, Transformer
from step3_pretrain.model_solution import (
    END_OF_TEXT,
    SPECIAL_TOKENS,
    clip_gradients,
    document_batches,
    evaluate,
    pack,
    sample_blocks,
)

BLOCK, BATCH = 64, 8
HELD_OUT = 48
PEAK_NORM, WARMUP = 1.0, 10


@dataclass(frozen=True)
class Text:
    """Stories as ids: one stream to learn from, and whole documents to be measured on."""

    tokenizer: Tokenizer
    stream: Tensor
    held_out: tuple[tuple[int, ...], ...]
    held_out_bytes: int

    @property
    def end_of_text(self) -> int:
        """The id that ends a document."""
        return self.tokenizer.special_tokens[END_OF_TEXT]

    def blocks(self, step: int, *, size: int = BLOCK, batch: int = BATCH, seed: int = 0) -> Tensor:
        """Return the batch of a step, (batch, size)."""
        return sample_blocks(self.stream, size, batch, seed, step)


@lru_cache(maxsize=1)
def text(num_stories: int = 1_200, vocab_size: int = 512) -> Text:
    """Return so many stories of seed 0, in the tokens of a tokenizer trained on a part of them, and
    `HELD_OUT` stories of seed 1 that are not among them.
    """
    told = list(islice(stories(0), num_stories))
    tokenizer = Tokenizer.train(told[:300], vocab_size, SPECIAL_TOKENS)
    documents = [tokenizer.encode(story, SPECIAL_TOKENS) for story in told]
    others = list(islice((story for story in stories(1) if story not in set(told)), HELD_OUT))
    return Text(
        tokenizer,
        pack(documents, tokenizer.special_tokens[END_OF_TEXT]),
        tuple(tuple(tokenizer.encode(story, SPECIAL_TOKENS)) for story in others),
        sum(len(story.encode()) for story in others),
    )


def small_args(**changes: Any) -> ModelArgs:
    """Return the configuration of the chapter's model: 2 layers of width 64, grouped attention."""
    sizes: dict[str, Any] = {"d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "attention": "gqa"}
    sizes |= {"intermediate_size": 160, "vocab_size": len(text().tokenizer), "max_seq_len": 512}
    return ModelArgs(**(sizes | {"tie_embeddings": True} | changes))


def small_model(seed: int = 0, kind: type[Transformer] = Transformer, **changes: Any) -> Transformer:
    """Return that model, or one of its kind, with weights drawn from the seed."""
    torch.manual_seed(seed)
    return kind(small_args(**changes))


def budgeted(steps: int) -> int:
    """Return how many steps may be taken: `steps`, or fewer where COURSE_BUDGET says so."""
    return Budget(steps=steps).within_environment().steps


def loss_of(model: Any, ids: Tensor) -> Tensor:
    """Return the loss of predicting every next token of the ids."""
    loss: Tensor = model(ids, labels=ids).loss
    return loss


def warmed(step: int) -> float:
    """Return the share of a learning rate that step has in a run that stays level after its warm-up."""
    return min(1.0, (step + 1) / WARMUP)


def falling(steps: int) -> Callable[[int], float]:
    """Return the shares of a run that, after the warm-up, falls in a straight line to 0."""
    return lambda step: warmed(step) * (1 - step / steps)


def learn(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: Iterable[int],
    rate: Callable[[int], float] = warmed,
    *,
    seed: int = 0,
    size: int = BLOCK,
    loss_of: Callable[[Any, Tensor], Tensor] = loss_of,
    after: Callable[[], None] = lambda: None,
) -> list[float]:
    """Take these steps, and return the loss before each.

    `rate(step)` is the share of each group's own learning rate; `after` is called behind every step.
    """
    losses = []
    model.train()
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate(step)
        optimizer.zero_grad()
        loss = loss_of(model, text().blocks(step, size=size, seed=seed))
        loss.backward()
        clip_gradients(model.parameters(), PEAK_NORM)
        optimizer.step()
        after()
        losses.append(loss.item())
    return losses


def bits_per_byte(model: nn.Module, size: int = 512) -> float:
    """Return what the model spends on each byte of the held-out stories, each of them read by itself."""
    batches = document_batches(text().held_out, text().end_of_text, size)
    return evaluate(model, batches, text().held_out_bytes)
