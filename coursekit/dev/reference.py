"""What the quick reference lists: every command, and every function that learners write, from its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from coursekit.registry import Exercise, Step

# `Float[Tensor, "B T C"]`: of an annotated tensor the table shows the letters of its shape.
_SHAPED = re.compile(r"\b(?:Float|Int|Bool)\[Tensor, '([^']*)'\]")


def command_table(steps: Sequence[Step]) -> str:
    """Return one row for each command of `course`, the steps' own behind those of the course."""
    from typer.main import get_command

    from coursekit.cli.commands import app

    course = get_command(app)
    held: dict[str, Any] = course.commands  # type: ignore[attr-defined]
    commands = {name: command.get_short_help_str(200) for name, command in held.items()}
    for step in steps:
        commands |= {each.name: each.help for each in step.entries if each.kind == "command"}
    rows = [f"| `course {name}` | {text} |" for name, text in commands.items()]
    for kind, told in (("benchmark", "bench"), ("evidence", "evidence")):
        entries = [each for step in steps for each in step.entries if each.kind == kind]
        rows += [f"| `course {told} {each.name}` | {each.help} |" for each in entries]
    return "\n".join(["| Command | What it does |", "|---|---|", *rows]) + "\n"


def signature_table(steps: Sequence[Step], link: Callable[[str], str]) -> str:
    """Return a table for each step: what learners write, the shapes it takes and gives, and its promise."""
    parts = []
    for step in steps:
        rows = [
            f"| [{exercise.id}]({link(exercise.writeup)}) | `{told}` | {promise} |"
            for exercise in step.exercises
            for told, promise in _signatures(exercise, step)
        ]
        head = ["|  | Function | What it does |", "|---|---|---|"]
        parts.append("\n".join([f"### Step {step.number}: {step.title}", "", *head, *rows]))
    return "\n\n".join(parts) + "\n"


def _signatures(exercise: Exercise, step: Step) -> Iterator[tuple[str, str]]:
    """Yield signature and promise of each target of an exercise, as its solution has them."""
    definitions = _definitions(step.trio_files(exercise.trio)[1])
    for target in exercise.targets:
        node = definitions[target]
        yield f"{target}({_arguments(node)}){_returned(node)}".replace("|", "\\|"), _promise(node)


def _definitions(path: Path) -> dict[str, ast.FunctionDef]:
    found: dict[str, ast.FunctionDef] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found |= {f"{node.name}.{method.name}": method for method in methods}
    return found


def _arguments(node: ast.FunctionDef) -> str:
    given = node.args
    defaults: list[ast.expr | None] = [None] * (len(given.args) - len(given.defaults)) + [*given.defaults]
    told = [_argument(each, default) for each, default in zip(given.args, defaults, strict=True)]
    told += [f"*{given.vararg.arg}"] if given.vararg else ["*"] if given.kwonlyargs else []
    told += [_argument(*each) for each in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    told += [f"**{given.kwarg.arg}"] if given.kwarg else []
    return ", ".join(each for each in told if each not in ("self", "cls"))


def _argument(each: ast.arg, default: ast.expr | None) -> str:
    shape = _SHAPED.match(ast.unparse(each.annotation)) if each.annotation else None
    told = f"{each.arg}: {_letters(shape[1])}" if shape else each.arg
    if default is None:
        return told
    return f"{told} = {ast.unparse(default)}" if shape else f"{told}={ast.unparse(default)}"


def _returned(node: ast.FunctionDef) -> str:
    if node.returns is None:
        return ""
    return " -> " + _SHAPED.sub(lambda shape: _letters(shape[1]), ast.unparse(node.returns))


def _letters(shape: str) -> str:
    return f"({', '.join(shape.split())})"


def _promise(node: ast.FunctionDef) -> str:
    """Return the first sentence of a docstring."""
    first = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z`])", first)[0].replace("|", "\\|")
