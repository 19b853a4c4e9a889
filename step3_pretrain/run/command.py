"""`course run inspect RUN`: what a run has learned, as a page with curves, samples and a model card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from coursekit.corpora import MissingCorpus
from coursekit.loading import CannotLoad
from step3_pretrain.trainer.errors import CannotTrain

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look at a run.")
Run = Annotated[Path, typer.Argument(help="The folder of a run.")]


@app.callback()
def _group() -> None:
    """Keep `inspect` a command of its own, though it is the only one."""


@app.command()
def inspect(
    run: Run,
    answers: Annotated[int, typer.Option(help="How many questions to ask (storyworld).")] = 200,
    samples: Annotated[int, typer.Option(help="How many texts to let it write.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the texts it writes.")] = 0,
) -> None:
    """Write REPORT.md, MODEL_CARD.md and curves.png into the folder of a run, and say what they say."""
    from step3_pretrain.run.inspecting import inspected

    print(inspected(run, answers, samples, seed))


def main() -> int:
    """Do what the command line says: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    # typer names one way of typing a command wrong, BadParameter; what it derives from is all of them.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        return int(app(prog_name="course run", standalone_mode=False) or 0)
    except usage_error as error:
        print(getattr(error, "format_message", error.__str__)(), file=sys.stderr)
        return 2
    except (CannotTrain, CannotLoad, MissingCorpus, NotImplementedError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
