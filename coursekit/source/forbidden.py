"""Find uses of a forbidden function inside a body, under whatever name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from coursekit.source.spans import definitions, syntax_tree

# What the short names mean where a file does not say.
_USUAL = {"F": "torch.nn.functional", "nn": "torch.nn", "np": "numpy"}


def forbidden_calls(
    text: str, target: str, forbidden: Collection[str], known: Collection[str] = ()
) -> list[tuple[str, int]]:
    """Return (forbidden name, line) for each use inside the target's body, in order of lines.

    A forbidden name with dots ("F.cross_entropy", "torch.nn.functional.cross_entropy") means that function
    under any alias: another import, an assignment, `getattr`, the function handed on without being called. A
    bare name ("sort") means any function or method of this name. Functions of the file that the body uses are
    followed, but for those in `known` (other exercises, given code). A text that does not compile has no
    calls.
    """
    tree = syntax_tree(text)
    if tree is None:
        return []
    nodes = dict(_named(tree.body, ""))
    if target not in nodes:
        return []
    aliases = _aliases(tree)
    wanted = {name: _full(name, _USUAL) for name in forbidden}
    owner = target.rpartition(".")[0]
    found: set[tuple[str, int]] = set()
    todo, seen = [target], {target, *known}
    while todo:
        node = nodes[todo.pop()]
        local = aliases | _aliases(node)
        for path, line in _uses(node, local):
            found |= {(name, line) for name, full in wanted.items() if _is(path, name, full)}
            helper = path.replace("self.", f"{owner}.", 1) if path.startswith("self.") else path
            if helper in nodes and helper not in seen:
                seen.add(helper)
                todo.append(helper)
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def _named(body: list[ast.stmt], owner: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the functions and methods that the statements define, with their dotted names."""
    for node in definitions(body):
        if isinstance(node, ast.ClassDef):
            yield from _named(node.body, f"{owner}{node.name}.")
        else:
            yield f"{owner}{node.name}", node


def _is(path: str, name: str, full: str) -> bool:
    """Return whether a dotted path that was used is the forbidden one."""
    if "." not in name:
        return path.rpartition(".")[2] == name
    return path == full


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Return what the names that are imported or assigned in the tree stand for, as dotted paths."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif (
            isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ):
            path = _path(node.value)
            if path is not None and path != node.targets[0].id:
                names[node.targets[0].id] = path
    return names


def _path(node: ast.AST) -> str | None:
    """Return the dotted path of an expression like `torch.nn.functional.gelu` or `getattr(F, "gelu")`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_path(node.value) or '?'}.{node.attr}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        match node.args:
            case [base, ast.Constant(value=str(attribute)), *_]:
                return f"{_path(base) or '?'}.{attribute}"
    return None


def _full(path: str, names: dict[str, str]) -> str:
    """Return the path with its first name replaced by what it stands for, as often as that goes."""
    for _ in range(10):  # assignments may go in a circle
        first, dot, rest = path.partition(".")
        if first not in names:
            break
        path = names[first] + dot + rest
    return path


def _uses(node: ast.AST, names: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Yield (dotted path, line) of every name and attribute that the body reads."""
    body = getattr(node, "body", [])
    for part in (inner for statement in body for inner in ast.walk(statement)):
        path = _path(part)
        if path is not None and isinstance(getattr(part, "ctx", ast.Load()), ast.Load):
            yield _full(path, _USUAL | names), part.lineno  # type: ignore[attr-defined]
