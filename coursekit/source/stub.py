"""The learner's file from the solution: the same text, with plans where the bodies were."""

from __future__ import annotations

import ast
import re

from coursekit.registry import Step
from coursekit.source.spans import Definition, Span, definitions, spans_of, syntax_tree
from coursekit.source.text import indent_of, split_lines

GIVEN = re.compile(r"#\s*given\s*$")
NUMBERED = re.compile(r"\s*#\s*\d+\.\s")
_SOLUTION = re.compile(r"\b(model|further)_solution\b")
_SELF_CHECK = """

if __name__ == "__main__":
    from coursekit.selfcheck import main

    main(__file__)
"""
WIDTH = 110


class StubError(Exception):
    """A solution from which no stub can be made; the message is one sentence for the author."""


def exercise_text(solution_text: str, step: Step, trio: str) -> str:
    """Return the solution under the exercise's name: it imports exercises where the solution imports
    solutions.

    Bodies are whole, every line keeps its number, and the block with which the file checks itself comes last.
    """
    text = solution_text.replace("\r\n", "\n")
    tree = syntax_tree(text)
    where = f"{step.folder}/{trio}_solution.py"
    if tree is None:
        raise StubError(f"{where} must be valid Python, got a file that does not compile")
    lines = split_lines(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[number - 1] = _SOLUTION.sub(r"\1_exercise", lines[number - 1])
    return "".join(lines).rstrip("\n") + "\n" + _SELF_CHECK


def stub_text(solution_text: str, step: Step, trio: str) -> str:
    """Return the learner's file: each exercise keeps its docstring, its numbered comments and its `# given`
    lines.

    In place of the rest stand `# TODO 2.3a` and a NotImplementedError that names the exercise and the next
    step: at the end, or before the first given line under a numbered comment, because given lines may need
    what is not written. Raises StubError where a target is missing or what a stub needs is not there.
    """
    text = exercise_text(solution_text, step, trio)
    spans = {target: found[-1] for target, found in spans_of(text).items()}
    tree = syntax_tree(text)
    assert tree is not None
    lines = split_lines(text)
    wanted = [(target, e.id) for e in step.of_trio(trio) for target in e.targets]
    for target, item in wanted:
        if target not in spans:
            raise StubError(
                f"{step.folder}/{trio}_solution.py must define {target} (exercise {item}), got no such name"
            )
    for target, item in sorted(wanted, key=lambda pair: -spans[pair[0]].header):
        file = f"{step.folder}/{trio}_exercise.py"
        body = _stub_body(lines, _node(tree, target), spans[target], _sentence(item, target, file), item)
        lines[spans[target].body_first - 1 : spans[target].last] = body
    stub = "".join(lines)
    if syntax_tree(stub) is None:
        raise StubError(
            f"the stub of {step.folder}/{trio}_solution.py must compile: a given line needs a given parent"
        )
    return stub


def _sentence(item: str, target: str, file: str) -> tuple[str, str]:
    return (
        f"exercise {item} is not written yet: {target} in {file}. ",
        f"Write it, or run: course solve {item}",
    )


def _node(tree: ast.Module, target: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    body: list[ast.stmt] = tree.body
    for part in target.split("."):
        node: Definition = [d for d in definitions(body) if d.name == part][-1]
        body = node.body
    if isinstance(node, ast.ClassDef):
        raise StubError(f"a target must be a function or a method, got the class {target}")
    return node


def _stub_body(
    lines: list[str],
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    span: Span,
    sentence: tuple[str, str],
    item: str,
) -> list[str]:
    """Return the lines of one stub's body, its docstring first."""
    if ast.get_docstring(node) is None:
        raise StubError(f"{span.target} (exercise {item}) must have a docstring: the learner reads it")
    _require_whole_givens(lines, node, item)
    docstring = node.body[0]
    kept = lines[docstring.lineno - 1 : docstring.end_lineno]
    indent = " " * (docstring.col_offset)
    plan = _plan(lines[docstring.end_lineno or 0 : span.last], len(indent))
    todo = [
        f"{indent}# TODO {item}: write the numbered steps, then delete the next statement.\n",
        *_raise(indent, sentence),
    ]
    at = next(
        (i for i, line in enumerate(plan) if GIVEN.search(line) and any(NUMBERED.match(p) for p in plan[:i])),
        len(plan),
    )
    return [*kept, *plan[:at], *todo, *plan[at:]]


def _require_whole_givens(lines: list[str], node: ast.AST, item: str) -> None:
    """Raise StubError where only a part of a statement is given, or a statement under one that is not."""
    for inner in ast.walk(node):
        if inner is node or not isinstance(inner, ast.stmt):
            continue
        marked = [GIVEN.search(line) is not None for line in lines[inner.lineno - 1 : inner.end_lineno]]
        is_compound = bool(getattr(inner, "body", None))
        if any(marked) and not (marked[0] if is_compound else all(marked)):
            line = inner.lineno + marked.index(True)
            raise StubError(
                f"exercise {item}: a given line must stand in a statement given whole, got line {line}"
            )


def _plan(body: list[str], width: int) -> list[str]:
    """Return the numbered comments (with the comment lines that continue them) and the given lines of a
    body.
    """
    plan: list[str] = []
    continues = False
    # How deep a comment may stand: deeper than the body only under a given line.
    depth = width
    for line in body:
        is_comment = line.lstrip().startswith("#")
        if GIVEN.search(line):
            plan.append(line)
            code = GIVEN.sub("", line).rstrip()
            depth = indent_of(line) + (4 if code.endswith(":") else 0)
            continues = False
        elif is_comment and (NUMBERED.match(line) or continues):
            depth = min(indent_of(line), depth)
            plan.append(" " * depth + line.lstrip())
            continues = True
        else:
            continues = False
            if line.strip() and not is_comment:
                depth = max(width, min(indent_of(line), depth))
    return plan


def _raise(indent: str, sentence: tuple[str, str]) -> list[str]:
    """Return the raise statement, formatted as the course's formatter has it."""
    one = f'{indent}raise NotImplementedError("{"".join(sentence)}")'
    if len(one) <= WIDTH:
        return [one + "\n"]
    inner = f'{indent}    "{"".join(sentence)}"'
    parts = [inner] if len(inner) <= WIDTH else [f'{indent}    "{part}"' for part in sentence]
    if len(parts[0]) > WIDTH:
        what, colon, where = parts[0].partition(": ")
        parts[:1] = [f'{what}{colon}"', f'{indent}    "{where}']
    return [line + "\n" for line in (f"{indent}raise NotImplementedError(", *parts, f"{indent})")]
