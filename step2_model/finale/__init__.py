"""The finale of step 2: your GPT reads Python's standard library, is measured against gzip, and writes.

In a notebook: `run = prepare(mine)`, then `train(run)`, `compare(run)`, `write(run, "def ")`. In a terminal:
`course finale`, which is `python -m step2_model.finale`. Training is given here; step 3 teaches it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import nn

from coursekit.budget import Budget
from coursekit.corpora import Corpus, TextFile, baselines, join
from coursekit.corpora.python import python_library
from coursekit.whose import named
from coursekit.widgets import Table, loss_view
from step2_model.finale import training
from step2_model.finale.saving import save
from step2_model.finale.scoring import as_ids, bits_per_byte, looks_ahead
from step2_model.finale.writing import as_text, sample

__all__ = [
    "BUDGET",
    "GZIP",
    "SHAPE",
    "Run",
    "compare",
    "evidence",
    "measure",
    "prepare",
    "save",
    "train",
    "write",
]
BUDGET = Budget(seconds=180, steps=6_000, held_out_bytes=400_000)
SHAPE = {"vocab_size": 256, "block_size": 128, "n_layer": 2, "n_head": 2, "n_embd": 128}
PARTS = ("2.1", "2.2", "2.3", "2.4")
GZIP = "gzip -9, one stream"


@dataclass
class Run:
    """One finale: the text on both sides of the split, the model, and what training it has shown so far."""

    module: ModuleType
    corpus: Corpus
    sample: tuple[TextFile, ...]
    baselines: dict[str, float]
    config: Any
    model: nn.Module
    seed: int
    budget: Budget
    device: str
    history: list[training.Step] = field(default_factory=list)
    ended: str = "not trained"
    rates: tuple[float, float] = training.RATES
    levels: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the model is called, which says how much of it is the learner's."""
        return named(self.module, "GPT", *PARTS)

    @property
    def before(self) -> bytes:
        """The training text: what the first held-out byte has as its past."""
        return join(self.corpus.train)

    def summary(self) -> Table:
        """Return how much text stands on each side, what the sample is, and the model's size."""
        train, held_out = join(self.corpus.train), join(self.corpus.held_out)
        rows = [
            ("to train on", f"{len(train):,} bytes in {len(self.corpus.train)} files"),
            ("held out", f"{len(held_out):,} bytes in {len(self.corpus.held_out)} files"),
            ("of these measured on", f"{len(join(self.sample)):,} bytes in {len(self.sample)} files"),
            (self.name, f"{sum(p.numel() for p in self.model.parameters()):,} parameters"),
        ]
        notes = [f"Measured on: {', '.join(file.name for file in self.sample)}"]
        return Table("The source of Python's standard library, split by file", rows, notes)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self.summary()._repr_mimebundle_()

    def __str__(self) -> str:
        return str(self.summary())


def prepare(
    module: ModuleType,
    *,
    seed: int = 0,
    budget: Budget = BUDGET,
    device: str = "cpu",
    shape: dict[str, int] | None = None,
    corpus: Corpus | None = None,
) -> Run:
    """Read and split the text, compute what a model has to beat, and build `module.GPT`; no exercise is
    called.

    `module` is the learner's file as loaded, or the reference. The environment variable COURSE_BUDGET cuts
    the budget (coursekit/budget.py). Raises MissingCorpus where this Python came without its sources.
    """
    budget = budget.within_environment()
    corpus = python_library() if corpus is None else corpus
    files = corpus.sample(budget.held_out_bytes)
    train, text = join(corpus.train), join(files)
    levels = {
        GZIP: baselines.gzip_bits(files),
        "gzip -9, file by file": baselines.gzip_bits_by_file(files),
        "bigram": baselines.bigram_bits(text, train, before=train),
        "unigram": baselines.unigram_bits(text, train),
    }
    config = module.GPTConfig(**(SHAPE | (shape or {})))
    model = _build(module, config, seed, device)
    return Run(module, corpus, files, levels, config, model, seed, budget, device)


def _build(module: ModuleType, config: Any, seed: int, device: str) -> nn.Module:
    """Return a new model of this seed; the notebook's own random numbers go on as if nothing had been
    drawn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = module.GPT(config)
    return model.to(device)


def train(run: Run, view: Callable[[dict[str, float]], Any] = loss_view) -> None:
    """Train a new model until the budget is used up, or until the Stop button or an interrupt; the model is
    kept.

    An exercise that is not written yet raises its own NotImplementedError before anything is drawn.
    """
    run.model = _build(run.module, run.config, run.seed, run.device)
    probe = torch.zeros(1, 2, dtype=torch.long, device=run.device)
    run.model(probe, labels=probe)
    run.history, run.ended, run.levels = [], "stopped", {}
    curve = view({"bigram": run.baselines["bigram"], GZIP: run.baselines[GZIP]})
    steps = training.train(run.model, as_ids(run.before), run.budget, seed=run.seed, rates=run.rates)
    with contextlib.closing(steps):
        try:
            for step in steps:
                run.history.append(step)
                curve.add(step.seconds, step.bits, step.fraction, _progress(step))
                if curve.stopped:
                    break
            else:
                run.ended = "budget used up"
        except KeyboardInterrupt:
            run.ended = "interrupted"
    run.model.eval()
    last = f"{run.history[-1].step} steps in {run.history[-1].seconds:.0f} s" if run.history else "0 steps"
    curve.finish(f"Training ended ({run.ended}) after {last}. The model is kept.")


def _progress(step: training.Step) -> str:
    return f"step {step.step}, {step.seconds:.0f} s, {step.bits:.2f} bits per byte"


def measure(run: Run) -> dict[str, float]:
    """Return the bits per byte of the model and of what it has to beat, all over the same held-out bytes."""
    run.levels = {run.name: bits_per_byte(run.model, join(run.sample), run.before), **run.baselines}
    return run.levels


def compare(run: Run) -> Table:
    """Measure the model on the held-out sample and return the table, the best first."""
    levels = measure(run)
    rows = sorted(levels.items(), key=lambda row: row[1])
    size = len(join(run.sample))
    change = 1 - levels[run.name] / levels[GZIP]
    name = run.name[0].upper() + run.name[1:]
    notes = [f"{name} needs {abs(change):.1%} {'fewer' if change > 0 else 'more'} bits than gzip -9."]
    if not run.history:
        notes = [f"{name} has not been trained yet."]
    if looks_ahead(run.model):
        notes = [
            "This model's predictions change with the bytes that come after them: its number is not one of a "
            'prediction. Next: check("2.3b"), the causal mask.'
        ]
    context = run.config.block_size // 2
    title = f"Bits per byte on {size:,} held-out bytes, each from a context of at least {context} bytes"
    return Table(title, [(name, f"{bits:.3f}") for name, bits in rows], notes)


def write(run: Run, prompt: str, length: int = 400, temperature: float = 0.8, seed: int = 0) -> None:
    """Print the prompt and `length` bytes that the model adds, as they come; an interrupt ends it cleanly."""
    generator = torch.Generator().manual_seed(seed)
    stream = sample(run.model, prompt.encode("utf-8", "surrogateescape"), length, generator, temperature)
    started = False
    with contextlib.suppress(KeyboardInterrupt):
        for piece in as_text(stream):
            print(piece if started else prompt + piece, end="", flush=True)
            started = True
    print(flush=True)


def evidence(budget: Budget = BUDGET, seeds: tuple[int, ...] = (0, 1), **settings: Any) -> dict[str, Any]:
    """Train the reference with each seed and return what came out, whether each claim holds, and what the
    first of them writes.
    """
    from step2_model import model_solution

    results: list[dict[str, Any]] = []
    text: dict[str, str] = {}
    for seed in seeds:
        run = prepare(model_solution, seed=seed, budget=budget, **settings)
        train(run)
        took = {"steps": run.history[-1].step, "seconds": round(run.history[-1].seconds, 1)}
        print(compare(run), flush=True)
        levels = {name: round(bits, 4) for name, bits in run.levels.items()}
        results.append({"seed": seed, "ended": run.ended, **took, "bits_per_byte": levels})
        text = text or _written(run)
    levels_of = [result["bits_per_byte"] for result in results]
    claims = {
        "the GPT needs at least 5 % fewer bits per byte than gzip -9": all(
            levels[run.name] <= 0.95 * levels[GZIP] for levels in levels_of
        ),
        "the GPT needs fewer bits per byte than a bigram": all(
            levels[run.name] < levels["bigram"] for levels in levels_of
        ),
        "training takes at most 180 s": all(result["seconds"] <= 181 for result in results),
    }
    files = [file.name for file in run.sample]
    return {
        "seeds": list(seeds),
        "results": results,
        "claims": claims,
        "held_out_files": files,
        "written": text,
    }


def _written(run: Run, prompt: str = "def ", length: int = 600) -> dict[str, str]:
    """Return what the trained model writes after the prompt, in whole lines, and how it came about."""
    stream = sample(run.model, prompt.encode(), length, torch.Generator().manual_seed(0))
    text = prompt + "".join(as_text(stream))
    text = text.rpartition("\n")[0] or text
    size, last = sum(p.numel() for p in run.model.parameters()), run.history[-1]
    told = (
        f"Written by the reference GPT of this step, {size:,} parameters, one byte at a time, after "
        f"{last.step:,} steps of training in {last.seconds:.0f} s; first draw of seed 0, temperature 0.8."
    )
    return {"text": text, "told": told}
