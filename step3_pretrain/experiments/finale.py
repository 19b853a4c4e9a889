"""The finale of step 3: your tokenizer, your decoder and your loop learn storyworld, against its exact floor.

In a notebook: `run = prepare(mine)`, then `train(run)`, `compare(run)`, `parts(run)`, `samples(run)`.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from coursekit import loading
from coursekit.budget import Budget
from coursekit.corpora import TextFile, baselines, storyworld
from coursekit.corpora.storyworld import Excess
from coursekit.widgets import Table, loss_view
from step3_pretrain.experiments import figures, small, watching
from step3_pretrain.trainer.plan import LOWEST

BUDGET = Budget(seconds=300, steps=20_000, held_out_bytes=60_000)
STORIES, VOCAB_SIZE, BLOCK, BATCH, RATE = 20_000, 1_024, 256, 16, 2e-3
# The schedule counts in thousandths of the budget, so that it follows clock and steps alike.
UNITS, WARMUP, LOOKS, WATCHED = 1_000, 20, 12, 40
SHAPE: dict[str, Any] = {
    "d_model": 128,
    "n_layers": 4,
    "n_heads": 4,
    "n_kv_heads": 4,
    "kv_lora_rank": 64,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "intermediate_size": 352,
    "tie_embeddings": False,
}


@dataclass
class Run:
    """One finale: text on both sides, the tokenizer, the model, and what training has shown so far."""

    module: Any
    tokenizer: Any
    encode: Callable[[str], list[int]]
    documents: list[list[int]]
    end_of_text: int
    held_out: list[str]
    model: nn.Module
    seed: int
    budget: Budget
    device: str
    bytes_per_token: float
    losses: list[float] = field(default_factory=list)
    looks: list[tuple[int, Excess]] = field(default_factory=list)
    ended: str = "not trained"

    @property
    def num_bytes(self) -> int:
        """The length of the held-out stories in bytes."""
        return sum(len(text.encode()) for text in self.held_out)

    @property
    def num_tokens(self) -> int:
        """How many tokens there are to learn from, an end behind each story."""
        return sum(len(document) + 1 for document in self.documents)

    @property
    def floor(self) -> float:
        """The bits per byte of the law itself on these held-out stories: exact, since it is computed."""
        nats = -sum(storyworld.log_prob(text) for text in self.held_out)
        return nats / math.log(2) / self.num_bytes

    def summary(self) -> Table:
        """Return the sizes of text, vocabulary and model, and whose code will run."""
        size = sum(parameter.numel() for parameter in self.model.parameters())
        rows = [
            ("to learn from", f"{len(self.documents):,} stories, {self.num_tokens:,} tokens"),
            ("held out", f"{len(self.held_out):,} stories, {self.num_bytes:,} bytes"),
            ("vocabulary", f"{len(self.tokenizer):,} tokens"),
            ("decoder", f"{size:,} parameters"),
            ("the floor", f"{self.floor:.4f} bits per byte"),
        ]
        return Table("Stories, a tokenizer, a decoder", rows, whose_chain(self.module))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self.summary()._repr_mimebundle_()

    def __str__(self) -> str:
        return str(self.summary())


def whose_chain(module: Any) -> list[str]:
    """Return one sentence for each file that the module runs: how many of its parts are the learner's."""
    loaded = loading.files.get(getattr(module, "__name__", ""))
    names = [*(loaded.others if loaded else ()), module.__name__]
    parts = [getattr(sys.modules.get(name), "__parts__", None) for name in names]
    return [str(found).splitlines()[0] for found in parts if found is not None]


def prepare(
    module: Any,
    *,
    seed: int = 0,
    budget: Budget = BUDGET,
    device: str = "cpu",
    num_stories: int = STORIES,
    **changes: Any,
) -> Run:
    """Draw stories, train `module.Tokenizer` on some, encode all, and build `module.Transformer`.

    `changes` are those of `ModelArgs`. COURSE_BUDGET cuts the budget, and with few steps the stories.
    """
    budget = budget.within_environment()
    num_stories = max(50, min(num_stories, budget.steps * BATCH * 2))
    texts = list(itertools.islice(storyworld.stories(seed), num_stories))
    held_out = held_out_of(budget.held_out_bytes, seed)
    tokenizer = module.Tokenizer.train(texts[:4_000], VOCAB_SIZE, module.SPECIAL_TOKENS)
    encode = small.encoder(tokenizer)
    end_of_text = tokenizer.special_tokens[module.END_OF_TEXT]
    documents = [encode(text) for text in texts]
    num_tokens = sum(len(document) + 1 for document in documents)
    bytes_per_token = sum(len(text.encode()) for text in texts) / num_tokens
    args = module.ModelArgs(**(SHAPE | {"vocab_size": len(tokenizer), "max_seq_len": BLOCK} | changes))
    model = build(module, args, seed, device)
    parts = (module, tokenizer, encode, documents, end_of_text, held_out, model, seed, budget, device)
    return Run(*parts, bytes_per_token)


def held_out_of(num_bytes: int, seed: int) -> list[str]:
    """Return whole held-out stories of a seed, of at least so many bytes together."""
    found: list[str] = []
    for text in storyworld.held_out_stories(seed):
        found.append(text)
        num_bytes -= len(text.encode())
        if num_bytes <= 0:
            break
    return found


def build(module: Any, args: Any, seed: int, device: str) -> nn.Module:
    """Return a new decoder of this seed; other random numbers go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = module.Transformer(args)
        module.spread_embeddings(model)
    return model.to(device)


def steps_of(run: Run) -> Iterator[tuple[float, float]]:
    """Take steps until the budget is used up; yield each loss in nats and the share of the budget used."""
    optimizer = run.module.AdamW(run.model.parameters(), RATE)
    begin, used, step = time.perf_counter(), 0.0, 0
    while used < 1:
        rate = run.module.learning_rate(int(used * UNITS), RATE, WARMUP, UNITS, LOWEST)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = run.module.sample_documents(run.documents, run.end_of_text, BLOCK, BATCH, run.seed, step)
        ids, labels = (each.to(run.device) for each in rows)
        loss = run.module.training_step(run.model, optimizer, ids, 1.0, labels).item()
        step += 1
        used = run.budget.used(time.perf_counter() - begin, step)
        yield loss, used


def train(run: Run, view: Callable[[dict[str, float]], Any] = loss_view) -> None:
    """Train a new decoder until the budget is used up, or until Stop or an interrupt; the model is kept.

    At `LOOKS` moments the loss on some held-out stories is split into form, choice and recall.
    """
    run.model = build(run.module, run.model.args, run.seed, run.device)
    run.losses, run.looks, run.ended = [], [], "stopped"
    curve, begin = view({"floor": run.floor}), time.perf_counter()
    look(run)
    try:
        for loss, used in steps_of(run):
            run.losses.append(loss)
            bits = loss / math.log(2) / run.bytes_per_token
            told = f"step {len(run.losses)}: {bits:.2f} bits per byte, {run.looks[-1][1].share:.0%} above"
            curve.add(time.perf_counter() - begin, bits, used, told + " the floor when last measured")
            # Looks come close together at first, where much happens.
            if used >= (len(run.looks) / LOOKS) ** 2:
                look(run)
            if curve.stopped:
                break
        else:
            run.ended = "budget used up"
    except KeyboardInterrupt:
        run.ended = "interrupted"
    look(run)
    curve.finish(f"Training ended ({run.ended}) after {len(run.losses)} steps. The model is kept.")


def look(run: Run) -> None:
    """Measure what the model loses to the law on some held-out stories, and keep it with the step."""
    texts = run.held_out[:WATCHED]
    found = watching.parts(run.model, run.tokenizer, run.encode, texts, run.end_of_text)
    run.looks.append((len(run.losses), found))


def parts(run: Run) -> Figure:
    """Draw what the model lost to the law at each look, as a share of the floor: form, choice, recall."""
    curves = {
        kind: [100 * getattr(found, kind) / found.floor for _, found in run.looks] for kind in watching.KINDS
    }
    steps = [step for step, _ in run.looks]
    return figures.over(steps, curves, "step", "above the floor, % of it", log="y")


def measure(run: Run) -> dict[str, float]:
    """Return bits per byte on the held-out stories: the model's, the floor's and gzip's."""
    documents = [run.encode(text) for text in run.held_out]
    rows = run.module.document_batches(documents, run.end_of_text, BLOCK)
    rows = ((ids.to(run.device), labels.to(run.device)) for ids, labels in rows)
    files = [TextFile(str(i), text.encode()) for i, text in enumerate(run.held_out)]
    return {
        "the decoder": run.module.evaluate(run.model, rows, run.num_bytes),
        "the floor": run.floor,
        "gzip -9, all stories in one": baselines.gzip_bits(files),
    }


def compare(run: Run) -> Table:
    """Return the table of `measure`, the best first, and where the rest above the floor lies."""
    levels = measure(run)
    rows = [(name, f"{bits:.4f}") for name, bits in sorted(levels.items(), key=lambda row: row[1])]
    notes = [f"The decoder is {levels['the decoder'] / levels['the floor'] - 1:.1%} above the floor."]
    if run.looks:
        found = run.looks[-1][1]
        shares = ", ".join(f"{kind} {getattr(found, kind) / found.floor:.1%}" for kind in watching.KINDS)
        notes.append(f"On the {WATCHED} stories that were watched: {shares}.")
        notes.append(f"A recalled fact costs {found.nats_per_recall:.2f} nats.")
    return Table(f"Bits per byte on {run.num_bytes:,} held-out bytes", rows, notes)


def samples(run: Run, count: int = 32, shown: int = 3, seed: int = 0) -> Table:
    """Let the model write; print some documents, and return what storyworld's reader says of all of them."""
    texts = watching.write(run.model, run.tokenizer, run.end_of_text, count, seed)
    for text in texts[:shown]:
        print(text)
    found = watching.judged(texts)
    rows = [(name, "none" if share is None else f"{share:.0%}") for name, share in found.items()]
    return Table(f"Of {count} documents that the decoder wrote", rows)
