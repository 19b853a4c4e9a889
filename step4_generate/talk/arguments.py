"""The options of all programs that write, and how such a program ends."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from coursekit.loading import CannotLoad
from step1_tokenizer.published import NotThere
from step3_pretrain.train import in_learners_code
from step3_pretrain.trainer.errors import CannotTrain
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.opening import Opened, open_folder
from step4_generate.talk.settings import Settings

INTERRUPTED = 130
RUN = Annotated[
    Path, typer.Argument(help="The folder of a run, or of an exported model.", show_default=False)
]


def _option(name: str, what: str) -> Any:
    usual = getattr(Settings(), name.replace("-", "_"))
    return typer.Option(f"--{name}", help=f"{what} ({'off' if usual is None else usual})")


HOW: dict[str, Any] = {
    "max_new_tokens": Annotated[int | None, _option("max-new-tokens", "Most tokens to write.")],
    "temperature": Annotated[
        float | None, typer.Option(help="0: always the most probable token; 1: as the model has it.")
    ],
    "top_k": Annotated[int | None, _option("top-k", "Keep so many of the most probable tokens.")],
    "top_p": Annotated[float | None, _option("top-p", "Keep the most probable that reach this together.")],
    "min_p": Annotated[float | None, _option("min-p", "Keep those of this share of the most probable.")],
    "repetition_penalty": Annotated[
        float | None, _option("repetition-penalty", "Divides logits of tokens that were there before.")
    ],
    "frequency_penalty": Annotated[
        float | None, _option("frequency-penalty", "Taken off a logit for each time it was written.")
    ],
    "presence_penalty": Annotated[
        float | None, _option("presence-penalty", "Taken off the logits of all that was written.")
    ],
    "stop": Annotated[list[str] | None, typer.Option(help="Stop before this text; may be given again.")],
    "seed": Annotated[int | None, _option("seed", "Of what is drawn.")],
}
WHERE: dict[str, Any] = {
    "device": Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps (auto).")],
    "solution": Annotated[bool | None, typer.Option("--solution", help="Use the reference, not your code.")],
}


def taking(own: Mapping[str, Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a function RUN, options of its own and those of all programs: None where nothing is said."""
    options = {**own, **HOW, **WHERE}

    def give(function: Callable[..., int]) -> Callable[..., int]:
        kind = inspect.Parameter.KEYWORD_ONLY
        run = inspect.Parameter("run", kind, annotation=RUN)
        each = [inspect.Parameter(n, kind, default=None, annotation=a) for n, a in options.items()]
        function.__signature__ = inspect.Signature([run, *each])  # type: ignore[attr-defined]
        function.__annotations__ = {"run": RUN, **options}
        return function

    return give


def settings_of(asked: Mapping[str, Any], **usual: Any) -> Settings:
    """Return the settings that a command line asks for. Raises CannotWrite for what cannot be."""
    given = {name: asked[name] for name in HOW if asked[name] is not None}
    if "stop" in given:
        given["stop"] = tuple(given["stop"])
    return Settings(**(usual | given))


def model_of(asked: Mapping[str, Any]) -> Opened:
    """Return the model that a command line names, and say on standard error what it is and whose."""
    try:
        opened = open_folder(asked["run"], bool(asked["solution"]), asked["device"] or "auto")
    except (ValueError, OSError) as error:
        if in_learners_code(error):
            raise
        raise CannotWrite(str(error)) from None
    print(opened, file=sys.stderr)
    return opened


def finished(app: typer.Typer, name: str, arguments: Sequence[str] | None) -> int:
    """Run a program and return its status: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    # typer names one way of typing a command wrong, BadParameter; what it derives from is all of them.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        return int(app(arguments, prog_name=name, standalone_mode=False) or 0)
    except usage_error as error:
        print(getattr(error, "format_message", error.__str__)(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has gone: nothing can be said there, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CannotWrite, CannotTrain, CannotLoad, NotThere, NotImplementedError) as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        if (told := in_learners_code(error)) is None:
            raise
        print(told, file=sys.stderr)
        return 1
