"""The learner's file as a module, fresh from what is saved, or one sentence on why it cannot be."""

from __future__ import annotations

import importlib.util
import itertools
import linecache
import sys
import traceback
from pathlib import Path
from types import ModuleType

from coursekit.registry import COURSE_ROOT
from coursekit.source import read_source

_numbers = itertools.count(1)


class InOneSentence(Exception):
    """An exception that notebooks show as its message alone, without the course's own frames."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class CannotLoad(InOneSentence):
    """The learner's file cannot be run as it is saved; the message says why and in which line."""


def load(path: Path) -> ModuleType:
    """Run the file as it is saved now, under a module name of its own, and return the module.

    Earlier modules and objects made from them stay as they are. Raises CannotLoad for a syntax error, an
    encoding fault and whatever the file raises while it runs; never an older version in its place.
    """
    try:
        text, fault = read_source(path)
    except OSError as error:
        raise CannotLoad(f"{path} cannot be read: {error.strerror or error}") from None
    if fault:
        raise CannotLoad(fault)
    try:
        code = compile(text, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise CannotLoad(_syntax_sentence(path, error)) from None
    if str(COURSE_ROOT) not in sys.path:
        sys.path.append(str(COURSE_ROOT))
    name = f"{path.stem}_{next(_numbers)}"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module
    linecache.checkcache(str(path))
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the file raises is told
        del sys.modules[name]
        raise CannotLoad(_raised_sentence(path, error)) from None
    return module


def _syntax_sentence(path: Path, error: SyntaxError | ValueError) -> str:
    """Return where Python stopped reading, with the line and a caret below the place."""
    if not isinstance(error, SyntaxError) or not error.lineno:
        return f"{path.name} cannot be read by Python: {error}"
    told = f"{path.name} cannot be read by Python, line {error.lineno}: {error.msg}"
    if not error.text:
        return told
    line = error.text.rstrip()
    indent = len(line) - len(line.lstrip())
    column = max((error.offset or 1) - 1 - indent, 0)
    return (
        f"{told}\n    {line.lstrip()}\n    {' ' * column}^\nMend it, save the file, and run this cell again."
    )


def _raised_sentence(path: Path, error: BaseException) -> str:
    """Return what the file raised while it ran, with the learner's own frames."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f" in line {frames[-1].lineno}" if frames else ""
    reason = str(error) or "no message"
    told = f"{path.name} stops{where} when it is loaded, with {type(error).__name__}: {reason}"
    lines = [f"    {path.name}, line {frame.lineno}: {frame.line}" for frame in frames]
    return "\n".join([told, *lines, "Mend it, save the file, and run this cell again."])
