"""A learner's text with the reference's definitions where theirs are not used, compiled so that every line
keeps its number: a traceback names the learner's own line, or the solution's file and line.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from types import CodeType

from coursekit.mine import Parts, reference_text
from coursekit.source import Composed, isolate
from coursekit.source.spans import spans_of

# Line of the composed text -> line of the learner's file, or of the solution (True).
_Origins = list[tuple[int, bool]]


def code_of(parts: Parts, trio: str, text: str, compose: Callable[..., Composed] = isolate) -> CodeType:
    """Return the code of a text, with the reference in every part that is stood in for.

    The text must compile, unless `compose` is `transplant`: then the code of all that is not the learner's is
    the solution's, also what stands outside the exercises.
    """
    filename = str(parts.path)
    if not parts.has_stand_in or (not parts.stood_in and compose is isolate):
        return compile(text, filename, "exec", dont_inherit=True)
    given = reference_text(parts.step, trio)
    theirs = {t for part in parts.all if not part.state.is_stood_in for t in part.exercise.targets}
    targets = [target for part in parts.all for target in part.exercise.targets]
    composed = compose(text, given, theirs, targets)
    origins: _Origins = [(number or 0, False) for number in composed.lines]
    borrowed = set()
    for name, spans in spans_of(composed.text).items():
        for span in spans:
            if name in spans_of(given) and composed.lines[span.header - 1] is None:
                borrowed.add(name)
                first = spans_of(given)[name][-1].header
                for number in range(span.header, span.last + 1):
                    if composed.lines[number - 1] is None:
                        origins[number - 1] = (first + number - span.header, True)
    tree = ast.parse(composed.text)
    _renumber(tree, origins)
    code = compile(tree, filename, "exec", dont_inherit=True)
    return _from_file(code, str(parts.step.trio_files(trio)[1]), borrowed)


def _renumber(tree: ast.AST, origins: _Origins) -> None:
    """Give every node the number that its line has in the file it came from."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt | ast.expr | ast.excepthandler | ast.arg | ast.keyword | ast.alias):
            continue
        first, last = node.lineno, node.end_lineno or node.lineno
        node.lineno, node.end_lineno = origins[first - 1][0], origins[last - 1][0]
        if origins[first - 1][1] != origins[last - 1][1] or node.end_lineno < node.lineno:
            # Begun in one file and ended in the other, as a class of the learner's with a borrowed method is.
            node.end_lineno, node.end_col_offset = node.lineno, node.col_offset


def _from_file(code: CodeType, filename: str, borrowed: Collection[str]) -> CodeType:
    """Return the code with the solution as the file of every borrowed definition, and of what is in it."""
    consts = tuple(
        _from_file(inner, filename, borrowed) if isinstance(inner, CodeType) else inner
        for inner in code.co_consts
    )
    name = code.co_qualname.split(".<locals>")[0]
    return code.replace(co_consts=consts, co_filename=filename if name in borrowed else code.co_filename)
