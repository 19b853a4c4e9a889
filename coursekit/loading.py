"""The learner's file as a module, fresh from what is saved, or one sentence on why it cannot be."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import itertools
import linecache
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from coursekit import registry
from coursekit.mine import Mine, Parts, parts_of
from coursekit.registry import COURSE_ROOT, Step
from coursekit.source import find_spans, read_source
from coursekit.source.spans import syntax_tree
from coursekit.standin import code_of

_numbers = itertools.count(1)
_EXERCISE = re.compile(r"(\w+)\.(model|further)_exercise")
AGAIN = "Mend it, save the file, and run this cell again."


class InOneSentence(Exception):
    """An exception that notebooks show as its message alone, without the course's own frames."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class CannotLoad(InOneSentence):
    """The learner's file cannot be run as it is saved; the message says why and in which line."""


@dataclass
class Loaded:
    """One file as it was loaded: when it was saved and what it held then; `others` are the names under which
    the learner's files that it imports were loaded.
    """

    step: Step
    trio: str
    path: Path
    stand_in: bool
    saved: float = 0.0
    sha256: str = ""
    parts: Parts | None = None
    others: tuple[str, ...] = ()


# By the names of their modules.
files: dict[str, Loaded] = {}
_open: list[Path] = []


def load(path: Path, step: Step, trio: str = "model", *, stand_in: bool = True) -> Mine:
    """Run the file as it is saved now, under a module name of its own, and return the module.

    Where a part is not the learner's yet the reference stands in, also in other exercise files that the
    file imports. Earlier modules and objects made from them stay as they are. Raises CannotLoad for a syntax
    error, an encoding fault and whatever the file raises while it runs; never an older version in its place.
    """
    if str(COURSE_ROOT) not in sys.path:
        sys.path.append(str(COURSE_ROOT))
    loaded = Loaded(step, trio, path, stand_in)
    text = _text_of(loaded)
    tree = syntax_tree(text)
    if tree is None:
        raise CannotLoad(_syntax_sentence(loaded, text))
    loaded.parts = parts_of(step, trio, path, text, stand_in)
    module = Mine(f"{path.stem}_{next(_numbers)}")
    module.__dict__.update(__file__=str(path), __parts__=loaded.parts)
    sys.modules[module.__name__] = module
    _open.append(path)
    linecache.checkcache(str(path))
    try:
        found = [(name, where) for name, where in _imports(loaded, tree) if where[0] not in _open]
        others = {name: load(*where, stand_in=stand_in) for name, where in found}
        loaded.others = tuple(other.__name__ for other in others.values())
        with _imported_as(others):
            exec(code_of(loaded.parts, trio, text), module.__dict__)
    except BaseException as error:
        del sys.modules[module.__name__]
        if isinstance(error, Exception | SystemExit):
            raise CannotLoad(_raised_sentence(path, error)) from None
        raise
    finally:
        _open.pop()
    # IPython's autoreload patches whatever changed in a file into older modules, whether it passed or not,
    # and fails aloud where the file cannot run. It leaves compiled files alone; `inspect` finds their source.
    module.__file__ = f"{path}c"
    files[module.__name__] = loaded
    return module


def _text_of(loaded: Loaded) -> str:
    """Return what is saved, and note when it was. Raises CannotLoad where it cannot be read."""
    try:
        loaded.saved = loaded.path.stat().st_mtime
        loaded.sha256 = hashlib.sha256(loaded.path.read_bytes()).hexdigest()
        text, fault = read_source(loaded.path)
    except OSError as error:
        is_own = loaded.path == loaded.step.trio_files(loaded.trio)[0]
        way = (
            f". Save it again, or course reset {loaded.step.folder} puts a fresh one there" if is_own else ""
        )
        raise CannotLoad(f"{loaded.path} cannot be read: {error.strerror or error}{way}.") from None
    if fault:
        raise CannotLoad(fault)
    return text


def _imports(loaded: Loaded, tree: ast.Module) -> Iterator[tuple[str, tuple[Path, Step, str]]]:
    """Yield the learner's files that this one imports as it is loaded: the name, then what `load` needs.

    A file of the same step stands beside this one, those of other steps in their own folders.
    """
    steps = {step.folder: step for step in registry.load_course()}
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    for name in sorted(names):
        found = _EXERCISE.fullmatch(name)
        if found is None or found[1] not in steps:
            continue
        step, trio = steps[found[1]], found[2]
        beside = loaded.path.parent / f"{trio}_exercise.py"
        own = step.trio_files(trio)[0]
        path = beside if step == loaded.step and beside.exists() else own
        if path != loaded.path:
            yield name, (path, step, trio)


@contextlib.contextmanager
def _imported_as(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Let imports of these names find these modules while the block runs."""
    old = {name: sys.modules.get(name) for name in modules}
    packages = {name: sys.modules.get(name.rpartition(".")[0]) for name in modules}
    attributes = {name: vars(p).get(name.rpartition(".")[2]) for name, p in packages.items() if p is not None}
    sys.modules.update(modules)
    for name in attributes:
        setattr(packages[name], name.rpartition(".")[2], modules[name])
    try:
        yield
    finally:
        for name, module in old.items():
            _put(sys.modules, name, module)
        for name, attribute in attributes.items():
            _put(vars(packages[name]), name.rpartition(".")[2], attribute)


def _put(names: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        names.pop(name, None)
    else:
        names[name] = value


def _syntax_sentence(loaded: Loaded, text: str) -> str:
    """Return where Python stopped reading, with the exercise, the line and a caret below the place."""
    name = loaded.path.name
    try:
        compile(text, str(loaded.path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as caught:
        error: BaseException = caught
    if not isinstance(error, SyntaxError) or not error.lineno:
        return f"{name} cannot be read by Python: {error}"
    where = f"line {error.lineno}"
    template = loaded.step.trio_files(loaded.trio)[1].read_text(encoding="utf-8")
    for exercise in loaded.step.of_trio(loaded.trio):
        for target, span in find_spans(text, exercise.targets, template).items():
            if span.header <= error.lineno <= span.last:
                where += f" (in {target}, {exercise.id})"
    told = f"{name} cannot be read by Python, {where}: {error.msg}"
    if not error.text:
        return told
    line = error.text.rstrip()
    indent = len(line) - len(line.lstrip())
    column = max((error.offset or 1) - 1 - indent, 0)
    return f"{told}\n    {line.lstrip()}\n    {' ' * column}^\n{AGAIN}"


def _raised_sentence(path: Path, error: BaseException) -> str:
    """Return what the file raised while it ran, with the learner's own frames."""
    if isinstance(error, CannotLoad):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f" in line {frames[-1].lineno}" if frames else ""
    reason = str(error) or "no message"
    told = f"{path.name} stops{where} when it is loaded, with {type(error).__name__}: {reason}"
    lines = [f"    {path.name}, line {frame.lineno}: {frame.line}" for frame in frames]
    return "\n".join([told, *lines, AGAIN])
