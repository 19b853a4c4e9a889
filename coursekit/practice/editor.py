"""Open a file at a line in the editor that the learner uses."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# How editors are told the line, by the name of their program; any other gets the file alone.
_AT_LINE = {
    ("code", "code-insiders", "codium", "cursor", "windsurf"): ("--goto", "{file}:{line}"),
    ("vi", "vim", "nvim", "view", "gvim", "nano", "pico", "emacs", "emacsclient", "joe", "kak", "gedit"): (
        "+{line}",
        "{file}",
    ),
    ("subl", "hx", "helix", "zed", "micro", "mate"): ("{file}:{line}",),
    ("pycharm", "idea", "charm", "kate"): ("--line", "{line}", "{file}"),
}
# Editors that take the terminal for themselves.
_IN_TERMINAL = {"vi", "vim", "nvim", "view", "nano", "pico", "joe", "kak", "hx", "helix", "micro", "ed"}
_IN_TERMINAL |= {"emacs", "emacsclient", "mcedit", "ne", "tilde"}


class NoEditor(Exception):
    """No editor is known, or it cannot be started; the message says what to do."""


@dataclass(frozen=True)
class Editor:
    """A program that edits files. `takes_terminal` means that nothing else may use the terminal meanwhile."""

    command: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(self.command[0]).name.removesuffix(".exe").removesuffix(".cmd")

    @property
    def takes_terminal(self) -> bool:
        has_window = self.name == "emacsclient" and bool({"-n", "--no-wait"} & set(self.command))
        return self.name in _IN_TERMINAL and not has_window

    def arguments(self, file: Path, line: int) -> list[str]:
        """Return the command that opens the file at the line."""
        form: Sequence[str] = next((f for names, f in _AT_LINE.items() if self.name in names), ("{file}",))
        given = [word for word in self.command if word not in ("-g", "--goto")]
        return [*given, *(word.format(file=file, line=line) for word in form)]

    def open(self, file: Path, line: int) -> None:
        """Open the file; wait for the end of an editor that takes the terminal. Raises NoEditor."""
        arguments = self.arguments(file, line)
        try:
            if self.takes_terminal:
                subprocess.run(arguments, check=False)
            else:
                quiet = subprocess.DEVNULL
                subprocess.Popen(arguments, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        except OSError as error:
            raise NoEditor(f"{self.name} cannot be started: {error.strerror or error}") from None


def find_editor(environment: Mapping[str, str] = os.environ) -> Editor:
    """Return the learner's editor: VISUAL, else EDITOR, else VS Code. Raises NoEditor, saying what to set."""
    for variable in ("VISUAL", "EDITOR"):
        words = shlex.split(environment.get(variable, ""), posix=os.name != "nt")
        if words:
            program = shutil.which(words[0], path=environment.get("PATH"))
            if program is None:
                raise NoEditor(f"{variable} must name a program that there is, got {words[0]!r}")
            return Editor((program, *words[1:]))
    program = shutil.which("code", path=environment.get("PATH"))
    if program is None:
        raise NoEditor("which editor? Put its name into VISUAL before you start watch: export VISUAL=code")
    return Editor((program,))
