"""Where a definition stands in a file: by the syntax tree, or by headers and indentation where there is
none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from coursekit.source.recover import recover
from coursekit.source.text import compiles, indent_of, prefix_of, split_lines

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Span:
    """The lines of one definition, counted from 1, first and last included.

    `header` is the first line of its decorators or its `def`, `body_first` the first line of its body (the
    `def` line itself where all stands on one), `last` its last line, comments that trail the body included.
    `prefix` is the white space that a definition standing there must begin with.
    """

    target: str
    header: int
    body_first: int
    last: int
    prefix: str = ""


def find_spans(text: str, targets: Iterable[str], template: str | None = None) -> dict[str, Span]:
    """Return the span of each target ("MLP.forward", "attend") that the text defines; of several, the last.

    Where the text does not compile, the headers that `template` (the stub or the solution) is known to have
    and the indentation cut the definitions out. A target that is not in the text is not in the answer.
    """
    return {target: spans[-1] for target, spans in all_spans(text, targets, template).items()}


def all_spans(text: str, targets: Iterable[str], template: str | None = None) -> dict[str, list[Span]]:
    """Return every span of each target that the text defines; the last one is the one that counts."""
    tree = syntax_tree(text)
    if tree is None:
        found = _recovered(text, template, tuple(targets))
    else:
        found = spans_of(text)
    return {target: found[target] for target in targets if target in found}


@lru_cache(maxsize=64)
def syntax_tree(text: str) -> ast.Module | None:
    """Return the text's syntax tree, or None where Python does not compile it."""
    return ast.parse(text) if compiles(text) else None


@lru_cache(maxsize=64)
def spans_of(text: str) -> dict[str, list[Span]]:
    """Return the spans of all functions, classes and methods of a text that compiles."""
    tree = syntax_tree(text)
    if tree is None:
        raise ValueError("the text must be valid Python, got one that does not compile")
    return _collect(tree.body, split_lines(text), "")


def _collect(body: Iterable[ast.stmt], lines: list[str], owner: str) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for node in definitions(body):
        if any(ast.unparse(d).endswith("overload") for d in node.decorator_list):
            continue  # says how a definition may be called, and defines nothing
        name = owner + node.name
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        last = _with_trailing_comments(lines, node, first)
        span = Span(name, first, node.body[0].lineno, last, prefix_of(lines[first - 1]))
        found.setdefault(name, []).append(span)
        if isinstance(node, ast.ClassDef):
            # A later class of the same name hides the methods of an earlier one.
            found = {n: spans for n, spans in found.items() if not n.startswith(f"{name}.")}
            found |= _collect(node.body, lines, f"{name}.")
    return found


def definitions(body: Iterable[ast.stmt]) -> Iterator[Definition]:
    """Yield the functions and classes that the statements define, also those under an `if`, a `try` or a
    `with`.
    """
    for node in body:
        if isinstance(node, Definition):
            yield node
            continue
        for part in ("body", "handlers", "orelse", "finalbody"):
            for inner in getattr(node, part, []):
                if isinstance(inner, ast.ExceptHandler):
                    yield from definitions(inner.body)
                elif isinstance(inner, ast.stmt):
                    yield from definitions([inner])


def _with_trailing_comments(lines: list[str], node: Definition, first: int) -> int:
    """Return the last line of a definition: comments under it that are indented deeper than its header belong
    to it.
    """
    last = node.end_lineno or node.lineno
    width = indent_of(lines[first - 1])
    for number in range(last + 1, len(lines) + 1):
        line = lines[number - 1]
        if line.strip() == "":
            continue
        if not line.lstrip().startswith("#") or indent_of(line) <= width:
            break
        last = number
    return last


@lru_cache(maxsize=64)
def _recovered(text: str, template: str | None, targets: tuple[str, ...]) -> dict[str, list[Span]]:
    """Return the spans of the targets in a text that does not compile."""
    known = set(targets)
    outside: frozenset[str] = frozenset()
    if template is not None:
        spans = spans_of(template)
        known |= set(spans)
        inside = {n for t in targets for s in spans.get(t, ()) for n in range(s.header, s.last + 1)}
        outside = frozenset(
            line.rstrip()
            for number, line in enumerate(split_lines(template), start=1)
            # A lone bracket or quotation mark stands in many places and marks none.
            if number not in inside and any(c.isalnum() for c in line)
        )
    return {
        target: [Span(target, *span) for span in spans]
        for target, spans in recover(split_lines(text), known, outside).items()
        if target in targets
    }


def is_untouched(learner_text: str, stub_text: str, target: str) -> bool:
    """Return whether the learner's body is still the stub's, but for comments, white space and the docstring.

    False where the definition is missing or its body does not parse.
    """
    bodies = []
    for text in (learner_text, stub_text):
        span = find_spans(text, [target], stub_text).get(target)
        if span is None:
            return False
        chunk = split_lines(text)[span.header - 1 : span.last]
        own = prefix_of(chunk[0])
        tree = syntax_tree("".join(line.removeprefix(own) for line in chunk))
        if tree is None or not tree.body or not isinstance(tree.body[0], Definition):
            return False
        node = tree.body[0]
        body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        bodies.append([ast.dump(statement) for statement in body])
    return bodies[0] == bodies[1]
