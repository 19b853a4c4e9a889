"""The learner's file under commands: where an exercise stands, what it asks, changing it without loss."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coursekit.practice.backup import keep_backup
from coursekit.practice.selection import Item, Job, WrongUsage, shown
from coursekit.registry import Step
from coursekit.source import find_spans, read_source, split_lines, write_source


@dataclass(frozen=True)
class Change:
    """What became of a learner's file: changed or left alone, and where the copy of the old one is."""

    changed: bool
    backup: Path | None = None


def places(step: Step, item: Item) -> list[str]:
    """Return "file:line" for every function that an exercise asks for and the learner's file has."""
    path, solution = step.trio_files(item.trio)
    if not path.exists():
        return [f"{shown(path)} (not there: course reset {step.folder} puts a fresh one there)"]
    text = read_source(path)[0]
    spans = find_spans(text, item.targets, read_source(solution)[0])
    return [f"{shown(path)}:{spans[t].header}" for t in item.targets if t in spans] or [shown(path)]


def contract(step: Step, item: Item, target: str) -> str:
    """Return the header and the docstring of a function as the solution has them, unwrapped."""
    text = read_source(step.trio_files(item.trio)[1])[0]
    span = find_spans(text, [target])[target]
    lines = split_lines(text)[span.header - 1 : span.last]
    source = "".join(line.removeprefix(span.prefix) for line in lines)
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    header = "".join(split_lines(source)[: node.body[0].lineno - 1]).rstrip()
    paragraphs = (ast.get_docstring(node) or "").split("\n\n")
    return "\n\n".join([header, *map(_unwrapped, paragraphs)])


def _unwrapped(paragraph: str) -> str:
    """Return a paragraph on one line, for a terminal of any width; lists and formulas keep their lines."""
    lines = paragraph.splitlines()
    if any(line.startswith((" ", "-")) for line in lines):
        return paragraph
    starts = ("Source:", "Tutorial:", "Raises ", "Returns ")
    return "".join(("\n" if line.startswith(starts) else " ") + line for line in lines).strip()


def rewrite(step: Step, trio: str, change: Callable[[str], str], fresh: str | None = None) -> Change:
    """Change the learner's file, a copy of the old one kept first; write `fresh` where there is no file.

    Raises WrongUsage where it cannot be done; the file is then as it was.
    """
    path = step.trio_files(trio)[0]
    try:
        if not path.exists():
            if fresh is None:
                raise WrongUsage(
                    f"{shown(path)} is not there: course reset {step.folder} puts a fresh one there"
                )
            write_source(path, fresh)
            return Change(changed=True)
        old = read_source(path)[0]
        new = change(old)
        if new == old:
            return Change(changed=False)
        backup = keep_backup(path, step.root)
        write_source(path, new)
    except OSError as error:
        raise WrongUsage(
            f"{shown(path)} was left as it is, because it or a copy of it cannot be written: "
            f"{error.strerror or error}"
        ) from None
    return Change(changed=True, backup=backup)


def bodies_of(job: Job) -> dict[str, str]:
    """Return the code of each exercise in a file; nothing for one whose functions are not there."""
    text = read_source(job.path)[0]
    template = read_source(job.step.trio_files(job.items[0].trio)[1])[0]
    spans = find_spans(text, [t for item in job.items for t in item.targets], template)
    lines = split_lines(text)
    return {
        item.id: "".join(
            "".join(lines[spans[t].header - 1 : spans[t].last]) for t in item.targets if t in spans
        )
        for item in job.items
        if item.targets
    }


def digest_of(path: Path) -> str:
    """Return a hash of the file; nothing where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
