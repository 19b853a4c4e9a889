"""The finale in a terminal: train the GPT in model_exercise.py, compare it, let it write, keep the run."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch

from coursekit.budget import Budget
from coursekit.corpora import MissingCorpus
from step2_model import finale

LEARNERS, REFERENCE = "step2_model.model_exercise", "step2_model.model_solution"
STUB = re.compile(r"exercise (\S+)")


class CannotRun(Exception):
    """What keeps the finale from running; the message is one sentence that says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the finale and return the exit status: 0 done, 1 the learner's file cannot do it yet, 2 wrong
    usage.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        budget = Budget(chosen.seconds, chosen.steps, finale.BUDGET.held_out_bytes).within_environment()
        device = _device(chosen.device)
    except ValueError as error:
        parser.error(str(error))
    name = REFERENCE if chosen.solution else LEARNERS
    try:
        _finale(_load(name), chosen, budget, device)
    except (CannotRun, MissingCorpus) as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever the learner's code raises
        print(_in_words(error, name), file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="course finale",
        description="Train your GPT on Python's standard library, measure it against gzip, let it write.",
    )
    add = parser.add_argument
    most = finale.BUDGET
    add("--seconds", type=float, default=most.seconds, help="train this long at most (%(default)s)")
    add("--steps", type=int, default=most.steps, help="train this many steps at most (%(default)s)")
    add("--seed", type=int, default=0, help="of the weights, the batches and the text written (%(default)s)")
    add("--solution", action="store_true", help="train the reference in place of your GPT")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="where to compute")
    add("--prompt", default="def ", help="what the text begins with (%(default)r)")
    add("--out", type=Path, default=finale.FOLDER, help="folder of the run that is kept (%(default)s)")
    return parser


def _device(name: str) -> str:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, is_there in there.items() if is_there)
    if not there[name]:
        has = ", ".join(device for device, is_there in there.items() if is_there)
        raise ValueError(f"--device must be one that this machine has ({has}), got {name}")
    return name


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise CannotRun(
            "step2_model/model_exercise.py is missing: `course dev build` writes it anew. "
            "To train the reference: --solution."
        ) from None
    except SyntaxError as error:
        raise CannotRun(
            f"step2_model/model_exercise.py cannot be read: {error.msg} in line {error.lineno}. "
            "Mend that line, or train the reference with --solution."
        ) from None


def _finale(module: ModuleType, chosen: argparse.Namespace, budget: Budget, device: str) -> None:
    run = finale.prepare(module, seed=chosen.seed, budget=budget, device=device)
    print(run, flush=True)
    finale.train(run)
    print(f"Measuring on {len(run.sample)} held-out files ...", flush=True)
    print(finale.compare(run), end="\n\n", flush=True)
    finale.write(run, chosen.prompt, seed=chosen.seed)
    try:
        folder = finale.save(run, chosen.out)
    except OSError as error:
        raise CannotRun(f"The run could not be kept: {error}. Name another folder with --out.") from None
    print(
        f"\nKept in {folder}, in place of an earlier run: weights, configuration and the loss of every step."
    )


def _in_words(error: Exception, name: str) -> str:
    """Return what the learner's code raised, with the line it happened in, and the next step; no frame
    of ours.
    """
    unfinished = STUB.search(str(error)) if isinstance(error, NotImplementedError) else None
    if unfinished:
        number = unfinished.group(1)
        return (
            f"The finale trains your own GPT, and exercise {number} is not written yet. Finish it in "
            f"step2_model/model_exercise.py, or put the solution in with `course solve {number}` "
            "(marked as not earned). To see the reference train: --solution."
        )
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).stem in name]
    where = f" in line {own[-1].lineno} ({own[-1].name}) of {Path(own[-1].filename).name}" if own else ""
    return f"Your GPT stopped with {type(error).__name__}{where}: {error}\nNext: course check step2_model"
