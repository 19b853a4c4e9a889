"""What the house style says about sizes: files, functions, lines, notebook cells."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, FUNCTION_LINES, LINE_LENGTH, CELL_LINES, GRADED_CELLS = 250, 40, 110, 15, 25
# As long as their step needs: what a learner reads from top to bottom, and the stub made of it. Tests may be
# long too.
WHOLE = ("_solution.py", "_exercise.py")


def size_faults(root: Path) -> Iterator[str]:
    """Yield a sentence for each file, function and line that is too long."""
    folders = ("coursekit/**", "step*/**", "tests/**", "docs/**", "")
    files = sorted({path for folder in folders for path in root.glob(f"{folder}/*.py".lstrip("/"))})
    for kind in ("js", "css"):
        files += sorted([*root.glob(f"coursekit/**/*.{kind}"), *root.glob(f"step*/**/*.{kind}")])
    for path in files:
        if "node_modules" in path.parts or path.name.endswith("_exercise.py"):
            continue
        where = path.relative_to(root).as_posix()
        lines = path.read_text(encoding="utf-8").splitlines()
        is_whole = path.name.endswith(WHOLE) or where.startswith("tests/")
        if len(lines) > FILE_LINES and not is_whole:
            yield f"{where} must have at most {FILE_LINES} lines, got {len(lines)}: split it"
        for number, line in enumerate(lines, start=1):
            if len(line) > LINE_LENGTH:
                yield f"{where}:{number} must be at most {LINE_LENGTH} characters long, got {len(line)}"
        if path.suffix == ".py":
            yield from _long_functions(ast.parse("\n".join(lines)), where)


def _long_functions(tree: ast.Module, where: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        count = (node.end_lineno or node.lineno) - node.lineno + 1
        if ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            count -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
        if count > FUNCTION_LINES:
            yield (
                f"{where}:{node.lineno} {node.name} must have at most {FUNCTION_LINES} lines "
                f"beside its docstring, got {count}"
            )


def notebook_faults(text: str, where: str) -> Iterator[str]:
    """Yield a sentence for each code cell of a notebook that is too long, and one for too many graded
    cells.
    """
    cells = json.loads(text)["cells"]
    for cell in cells:
        source = "".join(cell["source"])
        count = len(source.splitlines())
        if cell["cell_type"] == "code" and count > CELL_LINES:
            first = source.splitlines()[0]
            yield f"{where}: a code cell must have at most {CELL_LINES} lines, got {count}: {first!r}"
    graded = sum(cell["metadata"].get("nbgrader", {}).get("grade", False) for cell in cells)
    if graded > GRADED_CELLS:
        yield f"{where} must have at most {GRADED_CELLS} graded cells, got {graded}"
