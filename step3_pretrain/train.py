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
from typing import Any

import typer

from coursekit.corpora import MissingCorpus
from coursekit.loading import CannotLoad
from coursekit.registry import COURSE_ROOT
from step3_pretrain.trainer.arguments import ARGUMENTS, taking
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options

app = typer.Typer(add_completion=False)
INTERRUPTED = 130


@app.command(help=__doc__.partition("\n\n")[0])
@taking(ARGUMENTS)
def train(**asked: Any) -> int:
    """Do what the options say; those that are not given are None."""
    asked["changes"] = changes(asked.pop("change"))
    output, resume, dry, quiet = (asked.pop(name) for name in ("output", "resume", "dry_run", "quiet"))
    given = {name: value for name, value in asked.items() if value is not None}
    return start(given, output, resume, bool(dry), bool(quiet))


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
