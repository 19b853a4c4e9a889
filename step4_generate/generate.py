"""Let a model write: `python -m step4_generate.generate RUN`, or `course generate RUN`.

RUN is the folder of a run or of an exported model. Without a prompt you type one after the other. Your own
code writes; what is not written yet ends in its own sentence. `--solution` takes the reference.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from step4_generate.talk.arguments import finished, model_of, settings_of, taking
from step4_generate.talk.completion import Completion
from step4_generate.talk.errors import CannotWrite, checked_text
from step4_generate.talk.prompts import keep, read_pipe, read_prompts, show
from step4_generate.talk.terminal import converse

app = typer.Typer(add_completion=False)
PROMPTS: dict[str, Any] = {
    "prompt": Annotated[
        list[str] | None,
        typer.Option("--prompt", "--prompts", help="A text to go on with; may be given again."),
    ],
    "file": Annotated[
        Path | None, typer.Option(help="Prompts, one a line, or as JSON lines in a .jsonl file.")
    ],
    "output": Annotated[Path | None, typer.Option(help="Write a line of JSON for each prompt into a file.")],
}


@app.command(help=__doc__.partition("\n\n")[0])
@taking(PROMPTS)
def generate(**asked: Any) -> int:
    """Do what the options say; those that are not given are None."""
    settings = settings_of(asked)
    prompts = prompts_of(asked)
    if asked["output"] is not None and prompts is None:
        raise CannotWrite("--output needs prompts: --prompt TEXT, --file FILE, or a pipe")
    completion = Completion(model_of(asked), settings)
    if prompts is None:
        print("Type the beginning of a text; /help says what else.", file=sys.stderr)
        return converse(completion)
    if asked["output"] is not None:
        keep(completion, prompts, asked["output"])
        print(f"{len(prompts):,} texts in {asked['output']}", file=sys.stderr)
    else:
        show(completion, prompts)
    return 0


def prompts_of(asked: dict[str, Any]) -> list[str] | None:
    """Return the prompts of the command line, a file or a pipe; None where they are typed."""
    if asked["prompt"] and asked["file"] is not None:
        raise CannotWrite(f"prompts must come from --prompt or from --file, got both: {asked['file']}")
    if asked["prompt"]:
        return [checked_text(prompt) for prompt in asked["prompt"]]
    if asked["file"] is not None:
        return read_prompts(asked["file"])
    return None if sys.stdin.isatty() else [read_pipe()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    return finished(app, "course generate", arguments)


if __name__ == "__main__":
    raise SystemExit(main())
