"""The learner's text as a module: run it under the course's name, and tell its errors in its own lines."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any

from coursekit.judging.runs import Raised
from coursekit.judging.tell import describe
from coursekit.judging.wire import freeze

MAX_RETURNS = 60
MAX_FRAMES = 6
MAX_TEXT = 2_000


class Source:
    """One text to be imported under a name, with the line of the learner's file behind each of its lines."""

    def __init__(self, text: str, filename: str, lines: Sequence[int | None] | None) -> None:
        self.text = text
        self.filename = filename
        self.lines = lines

    def learner_line(self, line: int) -> int | None:
        """Return the line in the learner's file, or None where the text is the course's own."""
        if self.lines is None:
            return line
        return self.lines[line - 1] if 0 < line <= len(self.lines) else None


class SourceFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Import modules from texts in memory, before anything on disk is looked at."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in self.sources:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=self.sources[name].filename)

    def get_source(self, fullname: str) -> str:
        return self.sources[fullname].text

    def get_code(self, fullname: str) -> CodeType:
        source = self.sources[fullname]
        return compile(source.text, source.filename, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        source = self.sources[module.__name__]
        module.__file__ = source.filename
        lines = source.text.splitlines(keepends=True)
        linecache.cache[source.filename] = (len(source.text), None, lines, source.filename)
        exec(self.get_code(module.__name__), module.__dict__)


def install(sources: Mapping[str, Source]) -> None:
    """Make the sources importable in this process."""
    sys.meta_path.insert(0, SourceFinder(sources))
    for name in sources:
        sys.modules.pop(name, None)


@contextlib.contextmanager
def imported_from(sources: Mapping[str, Source]) -> Iterator[None]:
    """Let imports find the sources while the block runs; what was imported before stands as it did."""
    before = {name: sys.modules.pop(name, None) for name in sources}
    finder = SourceFinder(sources)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def record_returns(module: ModuleType, targets: Sequence[str]) -> list[str]:
    """Note what each target returns, call by call, in the list that comes back."""
    notes: list[str] = []
    for target in targets:
        owner_name, _, name = target.rpartition(".")
        owner = getattr(module, owner_name, None) if owner_name else module
        function = getattr(owner, name, None)
        if owner is not None and inspect.isfunction(function):
            setattr(owner, name, _recorded(function, notes))
    return notes


def _recorded(function: Any, notes: list[str]) -> Any:
    is_method = "." in function.__qualname__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            value = function(*args, **kwargs)
        except Exception as error:
            if not getattr(error, "__notes__", None):
                error.add_note(_called_with(function, args, kwargs, is_method))
            raise
        if len(notes) < MAX_RETURNS:
            notes.append(f"{function.__name__} returned {describe(freeze(value))}")
        return value

    return call


def _called_with(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], is_method: bool) -> str:
    """Return what a call that raised was made with: each argument by name, in a few words."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return f"{function.__qualname__} was called with other arguments than it takes"
    told = [f"{name} = {describe(freeze(value))}" for name, value in list(given.items())[is_method:]]
    return f"{function.__qualname__} was called with {', '.join(told) or 'no arguments'}"


def tell_exception(error: BaseException, sources: Mapping[str, Source], stage: str) -> Raised:
    """Return an exception as data: its type and text, and the learner's own frames in the learner's own
    lines.

    The last source is the text on trial; `line` is one of its lines.
    """
    files = {source.filename: source for source in sources.values()}
    main = next(reversed(files), "")
    if isinstance(error, SyntaxError) and error.filename in files:
        return _tell_syntax(error, files[error.filename], stage)
    told: list[str] = []
    line = None
    innermost_is_learner = False
    for filename, number, function in _frames(error.__traceback__):
        source = files.get(filename)
        innermost_is_learner = source is not None
        if source is None:
            continue
        own = source.learner_line(number)
        # In a milestone the innermost frame may stand in the file of a step below, with other lines.
        line = own if own is not None and filename == main else line
        place = "given by the course" if own is None else f"line {own}"
        told.append(f"{_told_name(filename, main)}, {place}, in {function}")
        if text := linecache.getline(filename, number).strip():
            told.append(f"    {text}")
    shown = told[-2 * MAX_FRAMES :]
    text = say(error)
    shown.append(f"{type(error).__name__}: {text}" if text else type(error).__name__)
    shown += [str(note)[:MAX_TEXT] for note in getattr(error, "__notes__", ())[:MAX_FRAMES]]
    # What fails while the text is loaded is the learner's, even where no line of theirs has run.
    in_learner = stage == "module" or (bool(told) and (innermost_is_learner or line is not None))
    return Raised(type(error).__name__, text, "\n".join(shown), line, in_learner, stage)


def _told_name(filename: str, main: str) -> str:
    """Return a file's name, with its folder for one that is called like the text on trial."""
    *_, folder, name = ["", *filename.replace("\\", "/").split("/")]
    is_twin = filename != main and name == main.replace("\\", "/").rpartition("/")[2]
    return f"{folder}/{name}" if is_twin else name


def say(error: BaseException) -> str:
    """Return the text of an exception, cut to MAX_TEXT characters that can be printed; an exception may hold
    any.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the learner's own __str__
        return "(its text cannot be read: its own __str__ raises)"
    text = text.encode("utf-8", errors="backslashreplace").decode("utf-8")
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def _frames(traceback: TracebackType | None) -> list[tuple[str, int, str]]:
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return found


def _own_syntax(source: Source) -> tuple[SyntaxError, int] | None:
    """Return the syntax error in the learner's lines alone, and its line in their file, if there is one."""
    lines = source.text.splitlines(keepends=True)
    own = [(text, number) for text, number in zip(lines, source.lines or ()) if number is not None]
    error = _syntax_error(textwrap.dedent("".join(text for text, _ in own)))
    return (error, own[min(error.lineno or 1, len(own)) - 1][1]) if error and own else None


def _syntax_error(text: str) -> SyntaxError | None:
    """Return the syntax error of a text, with its own line and column.

    Under the name of a file that is there, Python would take both from that file, whose lines are others.
    """
    try:
        compile(text, "<text>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error
    return None


def _tell_syntax(error: SyntaxError, source: Source, stage: str) -> Raised:
    error = _syntax_error(source.text) or error
    line = source.learner_line(error.lineno or 1)
    if line is None:
        # A string or bracket left open is noticed in a line of the course: look at the learner's alone.
        error, line = _own_syntax(source) or (error, None)
    shown = [f"{source.filename.rpartition('/')[2]}, line {line}"]
    if error.text:
        shown.append(f"    {error.text.strip()}")
        indent = len(error.text) - len(error.text.lstrip())
        shown.append("    " + " " * max(0, (error.offset or 1) - 1 - indent) + "^")
    shown.append(f"{type(error).__name__}: {error.msg}")
    return Raised(type(error).__name__, str(error.msg), "\n".join(shown), line, True, stage)
