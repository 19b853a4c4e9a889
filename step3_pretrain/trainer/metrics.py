"""What is seen of a run on its way: a line of JSON for each step, and the same for TensorBoard."""

from __future__ import annotations

import json
from typing import Any, TextIO

from step3_pretrain.run.folder import EVENTS, METRICS, SAMPLES, RunFolder

# Names that TensorBoard groups by what stands before the slash.
GROUPS = {
    "loss": "train/loss",
    "aux_loss": "train/balance_loss",
    "lr": "train/learning_rate",
    "norm": "train/gradient_norm",
    "tokens_per_second": "speed/tokens_per_second",
    "bits_per_byte": "held_out/bits_per_byte",
}


class Metrics:
    """Appends to `metrics.jsonl` and `samples.jsonl`; a line is with the system before the next step.

    `step` counts the steps that are done, and what a run saw after `start` is taken away: it comes again.
    """

    def __init__(self, run: RunFolder, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        for name in (METRICS, SAMPLES):
            run.cut(name, start)
        self.metrics, self.samples = (_appending(run, name) for name in (METRICS, SAMPLES))
        self.board = SummaryWriter(str(run.path / EVENTS), purge_step=start + 1)

    def add(self, step: int, seen: dict[str, Any]) -> None:
        """Keep what was seen after `step` steps."""
        _write(self.metrics, {"step": step, **seen})
        for name, value in seen.items():
            if name in GROUPS and value is not None:
                self.board.add_scalar(GROUPS[name], value, step)
        for layer, shares in enumerate(seen.get("load", ())):
            named = {f"expert {expert}": share for expert, share in enumerate(shares)}
            for name, share in named.items():
                self.board.add_scalar(f"load of layer {layer}/{name}", share, step)

    def add_samples(self, step: int, texts: list[str]) -> None:
        """Keep texts that the model wrote."""
        _write(self.samples, {"step": step, "samples": texts})
        for number, text in enumerate(texts):
            self.board.add_text(f"sample {number}", text, step)

    def close(self) -> None:
        """Close all files."""
        self.metrics.close()
        self.samples.close()
        self.board.close()


class Unseen:
    """Stands for the metrics in a process that is not the first: it keeps nothing."""

    def add(self, step: int, seen: dict[str, Any]) -> None:
        """Keep nothing."""

    def add_samples(self, step: int, texts: list[str]) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """There is nothing to close."""


def _appending(run: RunFolder, name: str) -> TextIO:
    return open(run.path / name, "a", encoding="utf-8")


def _write(file: TextIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()
