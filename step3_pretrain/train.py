"""Train a language model: `python -m step3_pretrain.train`, or `course train`.

Your own code computes: tokenizer, model, optimizer, loop. What is not written yet ends the run in one
sentence; `--solution` trains the reference.
"""

from __future__ import annotations

import ast
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from coursekit.corpora import MissingCorpus
from coursekit.corpora.sources import NAMES
from coursekit.loading import CannotLoad
from coursekit.registry import COURSE_ROOT
from step3_pretrain.trainer.errors import CannotTrain
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

app = typer.Typer(add_completion=False)
INTERRUPTED = 130
USUAL = Options()


def _choice(name: str, among: Sequence[str], what: str) -> Any:
    return typer.Option(f"--{name}", help=f"{what}: {', '.join(among)}.")


def _number(name: str, what: str) -> Any:
    usual = getattr(USUAL, name.replace("-", "_"))
    return typer.Option(f"--{name}", help=what if usual is None else f"{what} ({usual})")


@app.command(help=__doc__.partition("\n\n")[0])
def train(
    preset: Annotated[str | None, _choice("preset", PRESETS, "The model's configuration")] = None,
    corpus: Annotated[str | None, _choice("corpus", NAMES, "What to train on")] = None,
    tokenizer: Annotated[
        str | None, _choice("tokenizer", ("own", "bytes", "DIR", "NAME"), "own: trained on the corpus")
    ] = None,
    vocab_size: Annotated[int | None, _number("vocab-size", "Tokens of --tokenizer own.")] = None,
    max_documents: Annotated[int | None, _number("max-documents", "Documents to train on at most.")] = None,
    steps: Annotated[int | None, _number("steps", "How many steps to train.")] = None,
    epochs: Annotated[float | None, _number("epochs", "How many times as many tokens as there are.")] = None,
    minutes: Annotated[float | None, _number("minutes", "How long to train; no two runs are equal.")] = None,
    batch_size: Annotated[int | None, _number("batch-size", "Rows of a batch.")] = None,
    block_size: Annotated[int | None, _number("block-size", "Tokens of a row, the model's context.")] = None,
    rows: Annotated[str | None, _choice("rows", ROWS, "Blocks of the stream, or a document each")] = None,
    accumulate: Annotated[int | None, _number("accumulate", "Parts in which a batch is computed.")] = None,
    optimizer: Annotated[str | None, _choice("optimizer", OPTIMIZERS, "What changes the weights")] = None,
    lr: Annotated[float | None, _number("lr", "Peak learning rate; with muon that of the matrices.")] = None,
    other_lr: Annotated[float | None, _number("other-lr", "With muon, the peak of all else.")] = None,
    schedule: Annotated[str | None, _choice("schedule", SCHEDULES, "Of the learning rate")] = None,
    warmup: Annotated[int | None, _number("warmup", "Steps in which the rate goes up.")] = None,
    max_norm: Annotated[float | None, _number("max-norm", "Limit on the gradients' length.")] = None,
    weight_decay: Annotated[float | None, _number("weight-decay", "Decay of the weights.")] = None,
    dropout: Annotated[float | None, _number("dropout", "Share of features dropped in training.")] = None,
    attention: Annotated[str | None, _choice("attention", ATTENTION, "In place of the preset's")] = None,
    moe: Annotated[bool | None, typer.Option("--moe/--dense", help="With experts.")] = None,
    balance: Annotated[float | None, _number("balance", "Coefficient of the balance loss.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Any field of the model, as in n_layers=6; again.")
    ] = None,
    seed: Annotated[int | None, _number("seed", "Of weights, batches and samples.")] = None,
    device: Annotated[str | None, _choice("device", ("auto", "cpu", "cuda", "mps"), "Where")] = None,
    dtype: Annotated[str | None, _choice("dtype", DTYPES, "Of products; auto measures")] = None,
    compile_: Annotated[bool | None, typer.Option("--compile/--eager", help="torch.compile.")] = None,
    parallel: Annotated[
        str | None, _choice("parallel", PARALLEL, "Of several processes, by torchrun")
    ] = None,
    eval_every: Annotated[int | None, _number("eval-every", "Steps; without it ten times a run.")] = None,
    eval_bytes: Annotated[int | None, _number("eval-bytes", "Held-out bytes to measure on.")] = None,
    samples: Annotated[int | None, _number("samples", "Texts to write at each evaluation.")] = None,
    save_every: Annotated[int | None, _number("save-every", "Steps; without it ten times a run.")] = None,
    keep: Annotated[int | None, _number("keep", "Checkpoints to keep.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the run; runs/... without it.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing on the way.")] = False,
    solution: Annotated[bool | None, typer.Option("--solution", help="Train the reference.")] = None,
) -> int:
    asked = dict(locals())
    asked |= {"compile": asked.pop("compile_"), "changes": changes(asked.pop("change"))}
    for name in ("output", "resume", "dry_run", "quiet"):
        del asked[name]
    given = {name: value for name, value in asked.items() if value is not None}
    return start(given, output, resume, dry_run, quiet)


def changes(pairs: Sequence[str] | None) -> dict[str, Any] | None:
    """Return the fields that --set names, with their values as Python writes them."""
    if not pairs:
        return None
    found = {}
    for pair in pairs:
        name, is_there, text = pair.partition("=")
        if not is_there:
            raise CannotTrain(f"--set must be NAME=VALUE, as in n_layers=6, got {pair!r}")
        try:
            found[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[name] = text
    return found


def start(given: dict[str, Any], output: Path | None, resume: Path | None, dry: bool, quiet: bool) -> int:
    """Begin or go on with a run, or say what it would cost; return the exit status."""
    from step3_pretrain.parallel.world import joined
    from step3_pretrain.trainer.setup import new_run, resumed
    from step3_pretrain.trainer.view import View

    if resume is not None and output is not None:
        raise CannotTrain(f"--resume goes on in its own folder, got --output {output} beside it")
    if dry and resume is None:
        from step3_pretrain.trainer.dry import dry_run

        print(dry_run(Options(**given), View(quiet)))
        return 0
    with joined(given.get("device", "auto")) as world:
        view = View(quiet or not world.is_first)
        if resume is not None:
            return resumed(resume, given, view, world=world).train()
        return new_run(Options(**given), output, view, world=world).train()


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    # typer names one way of typing a command wrong, BadParameter; what it derives from is all of them.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        return int(app(arguments, prog_name="course train", standalone_mode=False) or 0)
    except usage_error as error:
        print(getattr(error, "format_message", error.__str__)(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CannotTrain, CannotLoad, MissingCorpus, NotImplementedError) as error:
        print(f"{speaker()}{error}", file=sys.stderr)
        return 1
    except Exception as error:
        if (told := in_learners_code(error)) is None:
            raise
        print(f"{speaker()}{told}", file=sys.stderr)
        return 1


def speaker() -> str:
    """Return which of several processes speaks; nothing for the first, or for one alone."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f"process {rank}: "


def in_learners_code(error: Exception) -> str | None:
    """Return what the learner's code raised and where, without a frame of ours; None where it is ours."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.endswith("_exercise.py")]
    if not own:
        return None
    path = Path(own[-1].filename)
    name = path.relative_to(COURSE_ROOT) if path.is_relative_to(COURSE_ROOT) else path
    lines = "\n".join(f"    line {frame.lineno}, {frame.name}: {frame.line}" for frame in own)
    return (
        f"{name} stopped with {type(error).__name__}: {error}\n{lines}\nNext: course check {path.parent.name}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
