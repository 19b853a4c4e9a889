"""One sentence before a cell that uses what an earlier state of the learner's file computes.

`learner()` loads the file anew at each call; what was built from an earlier load keeps its old code. Before a
cell runs, the names that it reads are looked up, and what they hold is traced to the load it came from.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from types import ModuleType
from typing import Any

from coursekit.loading import Loaded, files
from coursekit.mine import passed_since
from coursekit.practice import progress

WITHIN = 50
_MARK = "_course_looks_for_old_objects"


def watch_cells(tell: Callable[[str], None]) -> None:
    """From the next cell on, tell what is old in it before it runs; once per notebook, nothing elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or getattr(shell, _MARK, False):
        return

    def look(info: Any) -> None:
        # A fault here is the course's: it must not show up in, or stop, a cell of the learner's.
        try:
            for sentence in old_in(shell.transform_cell(info.raw_cell), shell.user_ns):
                tell(sentence)
        except Exception:  # noqa: BLE001
            pass

    shell.events.register("pre_run_cell", look)
    setattr(shell, _MARK, True)


def old_in(cell: str, names: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each load that the cell's names lead to and that is no longer what is saved."""
    try:
        tree = ast.parse(cell)
    except (SyntaxError, ValueError):
        return []
    told: dict[str, str] = {}
    for name in dict.fromkeys(_read_names(tree.body)):
        if name in names and not name.startswith("_"):
            for module in _loads_of(names[name]):
                reason = _why_old(files[module], is_module=isinstance(names[name], ModuleType))
                if reason:
                    told.setdefault(reason, f"`{name}` {reason}")
    return list(told.values())


def _why_old(loaded: Loaded, is_module: bool) -> str:
    """Return what has happened since the load, as the end of a sentence; nothing where it is still good."""
    again = "Run the cell that builds it again" if not is_module else "Load it again: mine = learner()"
    built = "was loaded" if is_module else "was built"
    file = loaded.path.name
    for each in (loaded, *(files[name] for name in loaded.others if name in files)):
        try:
            stat = each.path.stat()
        except OSError:
            return f"{built} from {each.path.name} as saved {_at(each.saved)}; the file is gone since."
        if stat.st_mtime != each.saved and _sha256(each) != each.sha256:
            what = "the file has changed since" if each is loaded else f"{each.path.name} has changed since"
            return f"{built} from {file} as saved {_at(each.saved)}; {what}. {again}."
    if loaded.parts is not None and loaded.parts.stood_in:
        ids = passed_since(loaded.parts, progress.load(loaded.step.root))
        if ids:
            return f"{built} before {', '.join(ids)} passed: the reference stands in there. {again}."
    return ""


def _sha256(loaded: Loaded) -> str:
    return hashlib.sha256(loaded.path.read_bytes()).hexdigest()


def _at(saved: float) -> str:
    """Return "at 14:03" for a time of today, with the date for any other."""
    time = datetime.fromtimestamp(saved)
    return f"at {time:%H:%M}" if time.date() == datetime.now().date() else f"on {time:%Y-%m-%d at %H:%M}"


def _loads_of(value: Any) -> Iterator[str]:
    """Yield the names of the loads that a value, or what it holds directly, comes from."""
    found = set()
    for each in (value, *islice(_held(value), WITHIN)):
        for module in _modules_of(each):
            if module in files and module not in found:
                found.add(module)
                yield module


def _modules_of(value: Any) -> Iterable[str]:
    """Return the modules that a value is, is defined in, or has its class (and the classes above) from."""
    if isinstance(value, ModuleType):
        return (value.__name__,)
    if isinstance(value, type):
        return [str(base.__dict__.get("__module__")) for base in value.__mro__]
    function = getattr(value, "__func__", value) if callable(value) else value
    own = vars(function).get("__module__") if hasattr(function, "__dict__") else None
    code_module = getattr(function, "__globals__", {}).get("__name__") if callable(value) else None
    return [str(own), str(code_module), *(str(b.__dict__.get("__module__")) for b in type(value).__mro__)]


def _held(value: Any) -> Iterator[Any]:
    """Yield what a list, a dictionary or an object holds; nothing for modules, classes and arrays."""
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif not isinstance(value, ModuleType | type) and isinstance(getattr(value, "__dict__", None), dict):
        yield from vars(value).values()


def _read_names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that the statements read before they bind them, in order."""
    bound: set[str] = set()
    for statement in body:
        inner = [s for part in ("body", "orelse", "finalbody") for s in getattr(statement, part, [])]
        inner += [s for handler in getattr(statement, "handlers", []) for s in handler.body]
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = []
        blocks = {id(part) for part in [*inner, *getattr(statement, "handlers", [])]}
        heads = [node for node in ast.iter_child_nodes(statement) if id(node) not in blocks]
        nodes = [node for head in heads for node in ast.walk(head)]
        hidden = bound | _own_names(nodes)
        loaded = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        yield from (name for name in loaded if name not in hidden)
        bound |= _stored(nodes)
        yield from (name for name in _read_names(inner) if name not in bound)
        bound |= _stored(node for each in inner for node in ast.walk(each))


def _own_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that functions, lambdas and comprehensions bind for themselves."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    targets = [node.target for node in nodes if isinstance(node, ast.comprehension)]
    inside = [inner for node in nodes if isinstance(node, functions) for inner in ast.walk(node)]
    arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return arguments | _stored(inside) | _stored(n for target in targets for n in ast.walk(target))


def _stored(nodes: Iterable[ast.AST]) -> set[str]:
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
