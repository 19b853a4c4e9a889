"""One source: the learner's stub, `reset`, `solve` and the file in which one exercise is judged alone, from
one solution.

All of them are the same operation, "put these definitions in the place of those": the syntax tree (or, where
a file does not parse, its known headers and indentation) says where a definition stands, and its lines are
replaced whole. Nothing here runs, imports or writes what it reads, except `write_source`.
"""

from coursekit.source.compose import Composed, isolate, reset, solve, transplant
from coursekit.source.forbidden import forbidden_calls
from coursekit.source.spans import Span, find_spans, is_untouched
from coursekit.source.stub import exercise_text, stub_text
from coursekit.source.text import read_source, split_lines, write_source

__all__ = [
    "Composed",
    "Span",
    "exercise_text",
    "find_spans",
    "forbidden_calls",
    "is_untouched",
    "isolate",
    "read_source",
    "reset",
    "solve",
    "split_lines",
    "stub_text",
    "transplant",
    "write_source",
]
