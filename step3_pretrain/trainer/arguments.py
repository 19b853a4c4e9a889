"""The options of the training script, as the command line shows them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from coursekit.corpora.sources import NAMES
from step3_pretrain.trainer.options import (
    ATTENTION,
    DTYPES,
    OPTIMIZERS,
    PARALLEL,
    PRESETS,
    ROWS,
    SCHEDULES,
    Options,
)

USUAL = Options()


def _choice(name: str, among: Sequence[str], what: str) -> Any:
    return typer.Option(f"--{name}", help=f"{what}: {', '.join(among)}.")


def _number(name: str, what: str) -> Any:
    usual = getattr(USUAL, name.replace("-", "_"))
    return typer.Option(f"--{name}", help=what if usual is None else f"{what} ({usual})")


def taking(arguments: Mapping[str, Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a function these options, all of them None where the command line says nothing."""

    def give(function: Callable[..., int]) -> Callable[..., int]:
        kind = inspect.Parameter.KEYWORD_ONLY
        each = [inspect.Parameter(n, kind, default=None, annotation=a) for n, a in arguments.items()]
        function.__signature__ = inspect.Signature(each)  # type: ignore[attr-defined]
        function.__annotations__ = dict(arguments)
        return function

    return give


ARGUMENTS: dict[str, Any] = {
    "preset": Annotated[str | None, _choice("preset", PRESETS, "The model's configuration, its head untied")],
    "corpus": Annotated[str | None, _choice("corpus", NAMES, "What to train on")],
    "tokenizer": Annotated[
        str | None, _choice("tokenizer", ("own", "bytes", "DIR", "NAME"), "own: trained on the corpus")
    ],
    "vocab_size": Annotated[int | None, _number("vocab-size", "Tokens of --tokenizer own.")],
    "max_documents": Annotated[int | None, _number("max-documents", "Documents to train on at most.")],
    "steps": Annotated[int | None, _number("steps", "How many steps to train.")],
    "epochs": Annotated[float | None, _number("epochs", "How many times as many tokens as there are.")],
    "minutes": Annotated[float | None, _number("minutes", "How long to train; no two runs are equal.")],
    "batch_size": Annotated[int | None, _number("batch-size", "Rows of a batch.")],
    "block_size": Annotated[int | None, _number("block-size", "Tokens of a row, the model's context.")],
    "rows": Annotated[str | None, _choice("rows", ROWS, "Blocks of the stream, or a document each")],
    "accumulate": Annotated[int | None, _number("accumulate", "Parts in which a batch is computed.")],
    "optimizer": Annotated[str | None, _choice("optimizer", OPTIMIZERS, "What changes the weights")],
    "lr": Annotated[float | None, _number("lr", "Peak learning rate; with muon that of the matrices.")],
    "other_lr": Annotated[float | None, _number("other-lr", "With muon, the peak of all else.")],
    "schedule": Annotated[str | None, _choice("schedule", SCHEDULES, "Of the learning rate")],
    "warmup": Annotated[int | None, _number("warmup", "Steps in which the rate goes up.")],
    "max_norm": Annotated[float | None, _number("max-norm", "Limit on the gradients' length.")],
    "weight_decay": Annotated[float | None, _number("weight-decay", "Decay of the weights.")],
    "dropout": Annotated[float | None, _number("dropout", "Share of features dropped in training.")],
    "attention": Annotated[str | None, _choice("attention", ATTENTION, "In place of the preset's")],
    "moe": Annotated[bool | None, typer.Option("--moe/--dense", help="With experts.")],
    "balance": Annotated[float | None, _number("balance", "Coefficient of the balance loss.")],
    "change": Annotated[
        list[str] | None, typer.Option("--set", help="Any field of the model, as in n_layers=6; again.")
    ],
    "seed": Annotated[int | None, _number("seed", "Of weights, batches and samples.")],
    "device": Annotated[str | None, _choice("device", ("auto", "cpu", "cuda", "mps"), "Where")],
    "dtype": Annotated[str | None, _choice("dtype", DTYPES, "Of products; auto measures")],
    "compile": Annotated[bool | None, typer.Option("--compile/--eager", help="torch.compile.")],
    "parallel": Annotated[str | None, _choice("parallel", PARALLEL, "Of several processes, by torchrun")],
    "eval_every": Annotated[int | None, _number("eval-every", "Steps; without it ten times a run.")],
    "eval_bytes": Annotated[int | None, _number("eval-bytes", "Held-out bytes to measure on.")],
    "samples": Annotated[int | None, _number("samples", "Texts to write at each evaluation.")],
    "save_every": Annotated[int | None, _number("save-every", "Steps; without it ten times a run.")],
    "keep": Annotated[int | None, _number("keep", "Checkpoints to keep.")],
    "output": Annotated[Path | None, typer.Option(help="Folder of the run; runs/... without it.")],
    "resume": Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")],
    "dry_run": Annotated[bool | None, typer.Option("--dry-run", help="Say what it would cost, and stop.")],
    "quiet": Annotated[bool | None, typer.Option("--quiet", help="Say nothing on the way.")],
    "solution": Annotated[bool | None, typer.Option("--solution", help="Train the reference.")],
}
