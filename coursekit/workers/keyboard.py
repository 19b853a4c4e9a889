"""No keyboard in a check: whatever asks for one ends with its name, and nothing waits."""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class WantsKeyboard(Exception):
    """The code under judgment asks for a keyboard; its text is what asks, "breakpoint()" say."""


def take_away(text: str) -> None:
    """Let `breakpoint`, `input`, the debugger and standard input raise WantsKeyboard in this process.

    The debugger is imported only where the text to be run names it.
    """
    builtins.input = _asks("input()")
    sys.breakpointhook = _asks("breakpoint()")
    sys.stdin = _NoInput()
    if "pdb" in text:
        import pdb

        pdb.set_trace = _asks("pdb.set_trace()")
        pdb.Pdb.set_trace = _asks("set_trace()")  # type: ignore[method-assign]


def _asks(what: str) -> Callable[..., NoReturn]:
    def ask(*_: Any, **__: Any) -> NoReturn:
        raise WantsKeyboard(what)

    return ask


class _NoInput(io.TextIOBase):
    """Standard input from which nothing can be read."""

    def read(self, size: int | None = -1) -> NoReturn:
        raise WantsKeyboard("sys.stdin.read()")

    def readline(self, size: int = -1) -> NoReturn:  # type: ignore[override]
        raise WantsKeyboard("sys.stdin.readline()")

    def readlines(self, hint: int = -1) -> NoReturn:
        raise WantsKeyboard("sys.stdin.readlines()")

    def __next__(self) -> NoReturn:
        raise WantsKeyboard("sys.stdin")

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return 0
