"""A program in a terminal of its own, typed to as a person does: lines, arrow keys, Ctrl-C, Ctrl-D."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"
# Seconds until a test gives up, and until it presses a key again.
PATIENCE, AGAIN = 120, 5
# Makes the terminal the one from which Ctrl-C comes, then becomes the program.
BEGIN = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Terminal:
    """A running `python -m MODULE ...`; `said` is all that it has shown so far."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        # Not on every system: only a test that is not skipped there gets here.
        import pty
        import termios

        self.own, theirs = pty.openpty()
        # What is typed is not shown twice, so that tests read what the program says.
        settings = termios.tcgetattr(theirs)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, settings)
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN, "-m", *arguments],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "dumb", **(env or {})},
        )
        os.close(theirs)
        self.said = ""
        self.read_to = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.own)

    def type(self, text: str) -> None:
        """Type a text; a line ends with a line break of its own."""
        os.write(self.own, text.encode())

    def interrupt(self, pattern: str) -> str:
        """Press Ctrl-C, again while nothing comes, and return what it says up to what fits the pattern.

        Python does not hear a Ctrl-C that falls between its prompt and its reading, until a key is pressed.
        """
        for _ in range(PATIENCE // AGAIN):
            self.type(CTRL_C)
            with contextlib.suppress(AssertionError):
                return self.until(pattern, AGAIN)
        raise AssertionError(f"Ctrl-C was not answered by {pattern!r}, but {self.said[self.read_to :]!r}")

    def until(self, pattern: str, patience: float = PATIENCE) -> str:
        """Return what it says next, up to and with what fits the pattern."""
        end = time.monotonic() + patience
        while not (found := re.compile(pattern).search(self.said, self.read_to)):
            if not self._read(end):
                raise AssertionError(f"{pattern!r} was not said, but {self.said[self.read_to :]!r}")
        told = self.said[self.read_to : found.end()]
        self.read_to = found.end()
        return told

    def status(self) -> int:
        """Return the exit status, once it has ended."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, end: float) -> bool:
        """Take what is said now; False when nothing can come any more."""
        if not select.select([self.own], [], [], max(0.0, end - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.own, 65_536)
        except OSError:
            # Linux says so when the other side has closed.
            return False
        self.said += data.decode("utf-8", errors="replace").replace("\r\n", "\n")
        return bool(data)
