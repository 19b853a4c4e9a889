"""A model that can speak: it learns storyworld within a minute or comes from a run, and has its tokenizer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coursekit.corpora import storyworld
from coursekit.widgets import Table, loss_view
from step3_pretrain.experiments import small
from step3_pretrain.experiments.finale import whose_chain
from step3_pretrain.experiments.live import bits_per_nat
from step3_pretrain.further_solution import Muon, muon_groups
from step3_pretrain.run.loading import load_run
from step3_pretrain.trainer.plan import LOWEST

STORIES, VOCAB_SIZE, CONTEXT = 10_000, 1_024, 256
STEPS, BATCH, WARMUP = 1_500, 12, 20
# Of the matrices, which Muon moves, and of all else; without weight decay, as in the guide's five minutes.
MATRIX_RATE, RATE = 0.01, 3e-3
SHAPE: dict[str, Any] = {
    "d_model": 96,
    "n_layers": 4,
    "n_heads": 4,
    "n_kv_heads": 4,
    "attention": "gqa",
    "intermediate_size": 264,
    "max_seq_len": CONTEXT,
    "tie_embeddings": False,
}


@dataclass
class Speaker:
    """A model and the tokenizer that it was trained with; `losses` are those of its training here, if any."""

    model: nn.Module
    tokenizer: Any
    end_of_text: int
    special_tokens: tuple[str, ...]
    losses: list[float] = field(default_factory=list)

    def ids(self, text: str = "") -> Tensor:
        """Return the ids (1, T) of a text, behind the end of another one: so that it begins here."""
        return torch.tensor([[self.end_of_text, *self.tokenizer.encode(text, self.special_tokens)]])

    def text(self, ids: Tensor | Iterable[int]) -> str:
        """Return the text of ids (T) or (1, T), up to the end of text that the model itself has set."""
        row = torch.as_tensor(ids).flatten().tolist() if isinstance(ids, Tensor) else list(ids)
        row = row[1:] if row[:1] == [self.end_of_text] else row
        return str(self.tokenizer.decode(itertools.takewhile(lambda token: token != self.end_of_text, row)))

    @property
    def names(self) -> list[str]:
        """How each token of the vocabulary reads, white space and half characters made visible."""
        return [shown(token) for token in self.tokenizer.vocab]


def shown(token: bytes) -> str:
    """Return the text of a token with a mark for what cannot be seen, such as a space."""
    return token.decode("utf-8", errors="replace").replace(" ", "␣").replace("\n", "↵")


def from_run(trained: Any, path: str | Path) -> Speaker:
    """Return the model of a run folder and its tokenizer. Raises ValueError for what is no run of stories."""
    model, _, tokenizer = load_run(path)
    missing = [name for name in trained.SPECIAL_TOKENS if name not in tokenizer.special_tokens]
    if missing:
        raise ValueError(f"a run must have been trained on stories, with the token {missing[0]}, got {path}")
    end_of_text = tokenizer.special_tokens[trained.END_OF_TEXT]
    return Speaker(model, tokenizer, end_of_text, trained.SPECIAL_TOKENS)


def prepare(trained: Any, num_stories: int = STORIES, seed: int = 0) -> tuple[Speaker, small.Lesson]:
    """Return a speaker that has learned nothing yet, of `trained`'s own parts, and stories to learn from.

    `trained` is what `learner("step3")` returns, or step 3's solution.
    """
    lesson = small.prepare(trained, num_stories, num_held_out=1, vocab_size=VOCAB_SIZE, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = trained.Transformer(trained.ModelArgs(vocab_size=len(lesson.tokenizer), **SHAPE))
        trained.spread_embeddings(model)
    return Speaker(model, lesson.tokenizer, lesson.end_of_text, trained.SPECIAL_TOKENS), lesson


def learn(trained: Any, *, seed: int = 0, view: Callable[[dict[str, float]], Any] = loss_view) -> Speaker:
    """Return a speaker that has learned stories for a minute, with the loop of `trained` and Muon (3.12).

    Stop ends it sooner and keeps what is learned; COURSE_BUDGET cuts its steps.
    """
    speaker, lesson = prepare(trained, seed=seed)
    total, begin = small.steps(STEPS), time.perf_counter()
    losses = steps_of(trained, speaker, lesson, total)
    per_byte, told, ended = bits_per_nat(lesson), "nothing yet", "stopped"
    curve = view({"the floor": storyworld.floor(400).bits_per_byte})
    try:
        for step, loss in enumerate(losses, start=1):
            speaker.losses.append(loss)
            told = f"step {step} of {total}: {per_byte * loss:.2f} bits per byte"
            curve.add(time.perf_counter() - begin, per_byte * loss, step / total, told)
            if curve.stopped:
                break
        else:
            ended = "done"
    except KeyboardInterrupt:
        ended = "interrupted"
    curve.finish(f"Training ended ({ended}): {told}")
    speaker.model.eval()
    return speaker


def steps_of(trained: Any, speaker: Speaker, lesson: small.Lesson, total: int) -> Iterator[float]:
    """Take so many steps with the functions of `trained`, the rates down to 0 at the end; yield each loss."""
    optimizer = Muon(muon_groups(speaker.model, MATRIX_RATE, RATE, weight_decay=0.0))
    peaks = [group["lr"] for group in optimizer.param_groups]
    for step in range(total):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = trained.learning_rate(step, peak, min(WARMUP, total - 1), total, LOWEST)
        rows = (lesson.documents, lesson.end_of_text, CONTEXT, BATCH, 0, step)
        ids, labels = trained.sample_documents(*rows)
        yield trained.training_step(speaker.model, optimizer, ids, 1.0, labels).item()


def told(speaker: Speaker, trained: Any) -> Table:
    """Return the size of a speaker and of its vocabulary, and whose code it learned with."""
    size = sum(parameter.numel() for parameter in speaker.model.parameters())
    learned = f"in {len(speaker.losses)} steps" if speaker.losses else "in a run"
    rows = [("decoder", f"{size:,} parameters"), ("vocabulary", f"{len(speaker.names):,} tokens")]
    return Table("A model that speaks", [*rows, ("learned", learned)], whose_chain(trained))


def held_out(count: int, seed: int = 0) -> list[str]:
    """Return held-out stories, the first of a seed."""
    return list(itertools.islice(storyworld.held_out_stories(seed), count))
