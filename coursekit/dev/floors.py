"""The four floors: who may import whom. Imports run downward only, from step to lower step to coursekit, in
no circle.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_STEP = re.compile(r"^step(\d+)_\w+")
_NAMED_STEP = re.compile(r"\bstep\d+_[a-z]+\b")


def floor_faults(root: Path) -> Iterator[str]:
    """Yield a sentence for each import that runs upward, each step that coursekit names, and each circle."""
    graph: dict[str, set[str]] = {}
    for path in python_files(root):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        where = path.relative_to(root).as_posix()
        for name, line in imported(tree, module_name(path, root), path.name == "__init__.py"):
            reason = upward_reason(where, name)
            if reason is not None:
                yield f"{where}:{line} must import downward only, got {name}: {reason}"
        if where.startswith("coursekit/"):
            for name, line in _named_steps(tree):
                yield f"{where}:{line} must name no step, got {name!r}"
        own = module_name(path, root)
        top = ast.Module([node for node in tree.body if not isinstance(node, ast.If)], [])
        graph[own] = {name for name, _ in imported(top, own, path.name == "__init__.py", at_top=True)}
    yield from _circles(graph)


def python_files(root: Path) -> list[Path]:
    """Return the course's Python files: coursekit, the steps, and what starts them; no tests."""
    return sorted([*root.glob("coursekit/**/*.py"), *root.glob("step*/**/*.py"), *root.glob("*.py")])


def module_name(path: Path, root: Path) -> str:
    """Return the name under which a file is imported."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def upward_reason(where: str, name: str) -> str | None:
    """Return why a file may not import a module, or None if it may."""
    own, other = _STEP.match(where), _STEP.match(name)
    if where.startswith("coursekit/") and other:
        return "coursekit knows no step"
    if own and other and int(own[1]) < int(other[1]):
        return "a step imports lower steps only"
    if where.endswith("_solution.py") and name.split(".")[0] == "coursekit":
        return "a solution can be taken away without coursekit"
    if re.search(r"/checks(/|\.py$)", where) and name.endswith("_solution"):
        return "checks know no solution"
    if where.endswith("_solution.py") and name.endswith("_exercise"):
        return "a solution rests on solutions"
    return None


def imported(tree: ast.AST, own: str, is_package: bool, at_top: bool = False) -> Iterator[tuple[str, int]]:
    """Yield (module, line) of everything a file imports, by statement or by a constant name handed to
    `import_module`.

    `from a import b` means a.b and a: b may be a module. With `at_top`, only what is imported when the file
    is.
    """
    for node in _unnested(tree) if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = own.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, *([base] if base else [])])
            yield base, node.lineno
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, node.lineno


def _unnested(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when the file is imported: nothing inside functions."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _unnested(node)


def _named_steps(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the step folders that strings name; docstrings may, as examples."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from ((name, node.lineno) for name in _NAMED_STEP.findall(node.value))


def _circles(graph: dict[str, set[str]]) -> Iterator[str]:
    """Yield a sentence for each circle of imports that run when a file is imported, once."""
    edges = {
        own: sorted(name for name in names if name in graph and name != own) for own, names in graph.items()
    }
    done: set[str] = set()
    for start in sorted(edges):
        trail: list[str] = []
        yield from _visit(start, edges, trail, done)


def _visit(name: str, edges: dict[str, list[str]], trail: list[str], done: set[str]) -> Iterator[str]:
    if name in trail:
        yield f"imports must go in no circle, got {' -> '.join([*trail[trail.index(name) :], name])}"
        return
    if name in done:
        return
    trail.append(name)
    for other in edges[name]:
        yield from _visit(other, edges, trail, done)
    trail.pop()
    done.add(name)
