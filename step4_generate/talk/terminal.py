"""A talk in a terminal: lines with a history go in, text streams out; Ctrl-C stops the text, not the talk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol

from coursekit.registry import COURSE_ROOT
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.settings import Settings
from step4_generate.talk.writer import Writer

# Where the lines of earlier talks are kept; COURSE_HISTORY names another file.
HISTORY = Path(os.environ.get("COURSE_HISTORY") or COURSE_ROOT / ".course" / "history")
KEPT = 500
HELP = """\
  /set NAME VALUE  change a setting, as in /set temperature 0.7; off takes it back
  /show            the settings
  /reset           {reset}
  /help            this
  /quit            end, as Ctrl-D does
Ctrl-C stops the text and nothing else."""


class Talk(Protocol):
    """What a terminal talks to."""

    writer: Writer

    @property
    def mark(self) -> str:
        """What stands in front of the line to type."""

    @property
    def commands(self) -> dict[str, str]:
        """What its own commands do; `reset` is among them."""

    def reply(self, line: str) -> Generator[str]:
        """Yield what follows a line, piece by piece."""

    def after(self) -> str:
        """Return what is to be said beneath the newest reply."""

    def do(self, name: str, rest: str) -> str:
        """Carry out one of its own commands and return what is to be said."""


def converse(talk: Talk) -> int:
    """Talk until Ctrl-D or /quit; return the exit status."""
    with history(HISTORY):
        while True:
            try:
                line = input(talk.mark)
            except EOFError:
                print()
                return 0
            except UnicodeDecodeError:
                print("a line must be UTF-8")
                continue
            except KeyboardInterrupt:
                print("\nCtrl-D or /quit ends the talk.")
                continue
            if line.strip() == "/quit":
                return 0
            answer(talk, line)


def answer(talk: Talk, line: str) -> None:
    """Carry out a command, or stream what follows a line; what cannot be done is one sentence."""
    try:
        if line.startswith("/"):
            print(command(talk, line))
            return
        try:
            # Closed at Ctrl-C, too: so the talk keeps what was shown.
            with contextlib.closing(talk.reply(line)) as pieces:
                for piece in pieces:
                    print(shown(piece), end="", flush=True)
            print()
        except KeyboardInterrupt:
            print(" [stopped]")
        if said := talk.after():
            print(said)
    except CannotWrite as error:
        print(error)


def shown(text: str) -> str:
    """Return a text of which a terminal can obey nothing: control characters are escaped."""
    return "".join(each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text)


def command(talk: Talk, line: str) -> str:
    """Carry out what a line that begins with a slash says, and return what is to be said."""
    name, _, rest = line[1:].strip().partition(" ")
    own = talk.commands
    if name == "show":
        return str(talk.writer.settings)
    if name == "help":
        more = [f"  /{each:<16}{what}" for each, what in own.items() if each != "reset"]
        return "\n".join([*more, HELP.format(reset=own["reset"])])
    if name == "set":
        return changed(talk.writer, rest)
    if name in own:
        return talk.do(name, rest.strip())
    names = ", ".join(f"/{each}" for each in (*own, "set", "show", "help", "quit"))
    raise CannotWrite(f"a command must be one of {names}, got /{name}")


def changed(writer: Writer, words: str) -> str:
    """Change a setting of a writer and return what it is now."""
    name, _, value = words.strip().partition(" ")
    if not name or not value:
        raise CannotWrite(f"/set must have a name and a value, as in /set temperature 0.7, got {words!r}")
    old: Settings = writer.settings
    writer.settings = old.changed(name, value)
    if writer.settings.seed != old.seed or name == "seed":
        writer.restart()
    name = name.replace("-", "_")
    return next(line for line in str(writer.settings).splitlines() if line.split()[0] == name)


@contextlib.contextmanager
def history(path: Path) -> Iterator[None]:
    """Let the arrow keys bring back earlier lines, those of earlier talks too, where the system can."""
    try:
        import readline
    except ImportError:
        yield
        return
    # A history that cannot be read or written is no reason not to talk.
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(KEPT)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)
