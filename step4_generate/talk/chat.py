"""Talk with a model: `python -m step4_generate.talk.chat RUN`, or `course chat RUN`.

It answers questions about a story, and the parser says whether the answer is right. A model that has seen no
dialogue can only go on with texts; it says so. `--solution` takes the reference.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from step4_generate.talk.arguments import finished, model_of, settings_of, taking
from step4_generate.talk.chatting import Chatting
from step4_generate.talk.completion import Completion
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.prompts import piped_lines
from step4_generate.talk.terminal import Talk, answer, converse

app = typer.Typer(add_completion=False)
STORY: dict[str, Any] = {
    "story": Annotated[
        str | None, typer.Option(help="The story to ask about; without it one that no training has seen.")
    ],
}


@app.command(help=__doc__.partition("\n\n")[0])
@taking(STORY)
def chat(**asked: Any) -> int:
    """Do what the options say; those that are not given are None."""
    # The most probable answer is the one to judge; a text that is only completed needs chance.
    opened = model_of(asked)
    talk: Talk
    if opened.has_dialogue:
        talk = Chatting(opened, settings_of(asked, temperature=0.0), asked["story"])
        print(talk.greeting)
    elif asked["story"] is not None:
        raise CannotWrite(f"--story needs a model that was trained on dialogues, got {opened.path}")
    else:
        print("This model has seen no dialogue: it can only go on with what you type.", file=sys.stderr)
        talk = Completion(opened, settings_of(asked))
    print("Ctrl-D ends; /help says what else there is.", file=sys.stderr)
    if sys.stdin.isatty():
        return converse(talk)
    for line in piped_lines():
        print(f"{talk.mark}{line}")
        answer(talk, line)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says: 0 done, 1 not possible, 2 wrong usage, 130 after Ctrl-C."""
    return finished(app, "course chat", arguments)


if __name__ == "__main__":
    raise SystemExit(main())
