"""`python start.py demo`: the reference GPT learns for a minute on this machine, then writes.

The finale's own path with a smaller budget: nothing of yours is needed, and nothing is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Sequence

import torch

from coursekit.budget import Budget
from coursekit.corpora import MissingCorpus
from coursekit.widgets.loss_bar import LossBar
from step2_model import finale, model_solution
from step2_model.finale import training
from step2_model.finale.device import HELP, NAMES, device_named
from step2_model.finale.writing import as_text, sample

SECONDS = 60.0
PROMPT = "def "
LENGTH = 600
SMOOTH = 50
HELD_OUT_BYTES = 30_000
# The best after a minute of those tried, on files of the training side that were kept out of it: fewer
# features than in the finale, for more steps, and lower rates.
SHAPE = {"n_embd": 96}
RATES = (0.03, 0.01)


class Minute(LossBar):
    """Follows the training in one line: the loss over the last steps, and how long it will go on."""

    def __init__(self) -> None:
        super().__init__({})
        self.bits: list[float] = []

    @property
    def mean(self) -> float:
        """Bits per byte over the last SMOOTH steps: the loss of a single step is noisy."""
        last = self.bits[-SMOOTH:]
        return sum(last) / len(last) if last else math.nan

    def add(self, x: float, y: float, fraction: float, text: str) -> None:
        """Show the loss after `x` seconds, of which `fraction` of the budget is used up."""
        self.bits.append(y)
        nats, left = self.mean * math.log(2), x / fraction - x
        told = f"{left:.0f} s left, loss {nats:.2f} nats, {self.mean:.2f} bits per byte"
        super().add(x, y, fraction, told)

    def finish(self, text: str) -> None:
        """Take the bar away."""
        self.bar.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write, and say what this machine did; return 0, 1 where there is no text to learn from, 2 for
    wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog="course demo",
        description="Train the reference GPT for a minute on this machine, then let it write.",
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="train this long (%(default)g)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the batches and the text")
    parser.add_argument("--device", choices=NAMES, default="auto", help=HELP)
    chosen = parser.parse_args(arguments)
    try:
        budget = Budget(chosen.seconds, held_out_bytes=HELD_OUT_BYTES).within_environment()
        where = device_named(chosen.device)
        run = finale.prepare(model_solution, seed=chosen.seed, budget=budget, device=where, shape=SHAPE)
        run.rates = RATES
    except MissingCorpus as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:
        parser.error(str(error))
    try:
        learn(run)
    except ValueError as error:
        print(f"The training ended: {error}. Try another --seed.", file=sys.stderr)
        return 1
    write(run, chosen.seed)
    print("\nEvery function of this model will be yours. Next: python start.py")
    return 0


def learn(run: finale.Run) -> None:
    """Train with one line that moves, and say what was learned and how fast. Ctrl-C ends it early."""
    size = sum(parameter.numel() for parameter in run.model.parameters())
    view = Minute()
    with contextlib.suppress(KeyboardInterrupt):
        print(
            f"A GPT with {size:,} parameters reads the source of Python's standard library, "
            f"{len(run.before) / 1e6:.1f} MB, one byte after another.\n"
            "Guessing among 256 bytes costs 8 bits a byte. Ctrl-C ends the training early.",
            flush=True,
        )
        finale.train(run, lambda levels: view)
    view.finish("")
    if not run.history:
        print("It was ended before its first step. Now it writes, guessing:\n", flush=True)
        return
    last, bits = run.history[-1], finale.measure(run)[run.name]
    speed = last.step * training.BATCH * run.config.block_size / last.seconds
    print(
        f"It has learned for {last.seconds:.0f} s, {last.step:,} steps, at {speed:,.0f} bytes a second.\n"
        f"A byte of files that it has not read costs it {bits:.2f} bits. Now it writes:\n",
        flush=True,
    )


def write(run: finale.Run, seed: int) -> None:
    """Print a text that the model continues, each character as it comes. Ctrl-C ends it."""
    count, start = 0, time.perf_counter()
    stream = sample(run.model, PROMPT.encode(), LENGTH, torch.Generator().manual_seed(seed))
    print(PROMPT, end="", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        for piece in as_text(stream):
            print(piece, end="", flush=True)
            count += len(piece)
    seconds = time.perf_counter() - start
    print(f"\n\nThis machine wrote {count / seconds:,.0f} characters per second.", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
