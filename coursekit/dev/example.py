"""What a check says to a known mistake or a variant, judged for real as the page that shows it is built."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import tempfile
import textwrap
from pathlib import Path

from coursekit.dev.notebook import BuildError
from coursekit.judging.loader import load_marked
from coursekit.probe import marked
from coursekit.registry import Exercise, Milestone, Step, UnknownName, find_item
from coursekit.source import find_spans, read_source, split_lines, stub_text

WIDTH = 88


def example(arguments: str, root: Path) -> str:
    """Return the report on a stub in which one exercise holds a known mistake or a variant, indented.

    `arguments` are the exercise's id and the name of either: "2.3a no_scale". The report on a variant is that
    of a first pass, with nothing else done yet.
    """
    try:
        item_id, name = arguments.split()
        step, item = find_item(item_id, root)
    except (ValueError, UnknownName):
        raise BuildError(
            f"an example must name an exercise and a mistake or variant, got {arguments!r}"
        ) from None
    wrongs = load_marked(step, "mistakes")
    known = [*marked(wrongs, "mistake", item_id), *marked(wrongs, "variant", item_id)]
    found = [function for function in known if function.__name__ == name]
    if not found or not isinstance(item, Exercise) or len(item.targets) != 1:
        raise BuildError(f"an example must be a mistake or variant of one function, got {arguments!r}")
    stub = stub_text(read_source(step.trio_files(item.trio)[1])[0], step, item.trio)
    return textwrap.indent(
        _told(step, item, _with_body(stub, item.targets[0], inspect.getsource(found[0]))), "    "
    )


def _with_body(stub: str, target: str, source: str) -> str:
    """Return the stub with the code of a mistake, without its docstring, as the target's body."""
    source = textwrap.dedent(source)
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    code = textwrap.dedent("".join(split_lines(source)[node.body[1].lineno - 1 :]))
    span = find_spans(stub, [target])[target]
    lines = split_lines(stub)
    lines[span.body_first - 1 : span.last] = [textwrap.indent(code, span.prefix + "    ")]
    return "".join(lines)


def _told(step: Step, item: Exercise | Milestone, text: str) -> str:
    """Return what `course check` prints of the item for this learner's file."""
    from coursekit.judging.judge import shared
    from coursekit.judging.verdict import Status
    from coursekit.practice.passing import passing_of
    from coursekit.practice.progress import Note, Progress, stamp
    from coursekit.render.terminal import report_text

    own = step.trio_files(item.trio)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / own.name
        path.write_text(text, encoding="utf-8")
        report = shared().report(step, [item], path)
    (verdict,) = report.verdicts
    place = (verdict.location or "").replace(str(path), f"{step.folder}/{own.name}")
    verdict = dataclasses.replace(verdict, location=place or None)
    if verdict.status is Status.PASSED and isinstance(item, Exercise):
        known = Progress(exercises={item.id: Note(earned=stamp())})
        verdict = dataclasses.replace(verdict, passing=passing_of(step, item, known, text, again=False))
    told = report_text(dataclasses.replace(report, verdicts=(verdict,)), step, width=WIDTH)
    return told.replace(f"{step.root}{os.sep}", "")
