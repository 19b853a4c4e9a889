"""The finale in a terminal: train the GPT in model_exercise.py, compare it, let it write, keep the run."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from coursekit.budget import Budget
from coursekit.corpora import MissingCorpus
from coursekit.loading import CannotLoad, load
from coursekit.registry import find_step
from coursekit.whose import whose
from step2_model import finale, model_solution
from step2_model.finale.device import HELP, NAMES, device_named
from step2_model.finale.saving import FOLDER

LEARNERS = Path(model_solution.__file__).with_name("model_exercise.py")


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
        device = device_named(chosen.device)
    except ValueError as error:
        parser.error(str(error))
    try:
        _finale(model_solution if chosen.solution else _learners(), chosen, budget, device)
    except (CannotRun, CannotLoad, MissingCorpus) as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever the learner's code raises
        print(_in_words(error), file=sys.stderr)
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
    add("--solution", action="store_true", help="train the reference alone")
    add("--device", choices=NAMES, default="auto", help=HELP)
    add("--prompt", default="def ", help="what the text begins with (%(default)r)")
    add("--out", type=Path, default=FOLDER, help="folder of the run that is kept (%(default)s)")
    return parser


def _learners() -> ModuleType:
    """Return the learner's file as saved, the reference standing in for what has not passed."""
    if not LEARNERS.exists():
        raise CannotRun(
            "step2_model/model_exercise.py is missing: `course reset step2` puts a fresh one there. "
            "To train the reference: --solution."
        )
    return load(LEARNERS, find_step("step2_model"))


def _finale(module: ModuleType, chosen: argparse.Namespace, budget: Budget, device: str) -> None:
    run = finale.prepare(module, seed=chosen.seed, budget=budget, device=device)
    print(run, whose(module, *finale.PARTS), sep="\n", flush=True)
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


def _in_words(error: Exception) -> str:
    """Return what the learner's code raised, with the line it happened in, and the next step; no frame
    of ours.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) == LEARNERS]
    where = f" in line {own[-1].lineno} ({own[-1].name}) of {LEARNERS.name}" if own else ""
    return f"Your GPT stopped with {type(error).__name__}{where}: {error}\nNext: course check step2_model"


if __name__ == "__main__":
    raise SystemExit(main())
