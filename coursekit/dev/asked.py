"""What every exercise, milestone and question must have: checks, mistakes, hints, a section, a docstring that
lives.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from coursekit.dev.markdown import anchors_of
from coursekit.dev.notebook import CHECK
from coursekit.dev.questions import question_faults
from coursekit.judging.loader import load_marked
from coursekit.probe import marked
from coursekit.registry import Exercise, Milestone, Step
from coursekit.source.spans import definitions

MISTAKES, VARIANTS = 3, 1
_PAGE = re.compile(r"\bdocs/[\w./-]+\.md(?:#[\w.-]+)?")


def content_faults(step: Step) -> Iterator[str]:
    """Yield a sentence for each thing that an exercise, milestone or question of the step lacks."""
    for item in step.items:
        yield from _judged_faults(step, item)
        yield from _told_faults(step, item)
    for trio in dict.fromkeys(exercise.trio for exercise in step.exercises):
        yield from _docstring_faults(step, trio)
    yield from _chapter_faults(step)
    yield from question_faults(step)


def _judged_faults(step: Step, item: Exercise | Milestone) -> Iterator[str]:
    """Yield what the item lacks among its checks and mistakes."""
    try:
        checks, wrongs = load_marked(step, "checks"), load_marked(step, "mistakes")
    except ModuleNotFoundError as error:
        yield f"{item.id}: {step.folder} must have checks and mistakes, got no module {error.name}"
        return
    probes = marked(checks, "check", item.id)
    if len(probes) != 1:
        yield f"{item.id} must have one check, got {len(probes)}: @check({item.id!r}) in {step.folder}/checks"
    for function in (*probes, *marked(checks, "cases", item.id)):
        if "TODO" in inspect.getsource(function):
            yield f"{item.id}: {function.__name__} must ask something, got a TODO in {step.folder}/checks"
    least = 1 if item.is_milestone else MISTAKES
    mistakes = marked(wrongs, "mistake", item.id)
    if len(mistakes) < least:
        yield f"{item.id} must have at least {least} known mistakes, got {len(mistakes)}"
    variants = marked(wrongs, "variant", item.id)
    if not item.is_milestone and len(variants) < VARIANTS:
        yield f"{item.id} must have at least {VARIANTS} accepted variant, got {len(variants)}"
    if not item.is_milestone and not marked(checks, "cases", item.id):
        yield f"{item.id} must have small cases, got none: @cases({item.id!r}) in {step.folder}/checks"
    for function in (*mistakes, *variants):
        text = function.__doc__ or ""
        if not text.strip():
            yield f"{item.id}: {function.__name__} must have a docstring that tells the learner what it is"
        elif "TODO" in text:
            yield f"{item.id}: {function.__name__} must say what it is, got a TODO"
    for name, count in Counter(function.__name__ for function in (*mistakes, *variants)).items():
        if count > 1:
            yield f"{item.id} must name its mistakes and variants apart, got {name} {count} times"


def _told_faults(step: Step, item: Exercise | Milestone) -> Iterator[str]:
    """Yield what is wrong with what the registry says about the item."""
    own = ("promise",) if item.is_milestone else ("enables", "why")
    for what in ("title", "writeup", *own):
        text = getattr(item, what)
        if not text.strip() or "TODO" in text:
            yield f"{item.id} must have a {what}, got {text!r}"
    dead = _dead(item.writeup, step.root)
    if dead is not None:
        yield f"{item.id} has the write-up {item.writeup}, and {dead}"
    if isinstance(item, Milestone):
        return
    if not item.hints:
        yield f"{item.id} must have hints, weakest first, got none"
    for number, hint in enumerate(item.hints, start=1):
        if not hint.strip() or "TODO" in hint:
            yield f"{item.id}: hint {number} must say something, got {hint!r}"
    if len(set(item.hints)) != len(item.hints):
        yield f"{item.id} must have hints that differ, got one twice"
    for what in ("points", "minutes", "difficulty"):
        if getattr(item, what) < 1:
            yield f"{item.id} must have {what} of at least 1, got {getattr(item, what)}"
    if item.partial is not None and not 0 < item.partial.points < item.points:
        yield f"{item.id} must give a part of its {item.points} points, got {item.partial.points}"


def _docstring_faults(step: Step, trio: str) -> Iterator[str]:
    """Yield targets of a trio without a docstring whose last line names a page and heading that exist."""
    path = step.trio_files(trio)[1]
    if not path.exists():
        return
    nodes = _functions(ast.parse(path.read_text(encoding="utf-8")).body, "")
    for exercise in step.of_trio(trio):
        for target in exercise.targets:
            node = nodes.get(target)
            docstring = None if node is None else ast.get_docstring(node)
            if docstring is None:
                yield f"{exercise.id}: {target} must have a docstring in {path.name}, got none"
                continue
            page = _PAGE.search(docstring.splitlines()[-1])
            if page is None:
                yield f"{exercise.id}: the docstring of {target} must end with the path of its section"
            elif (dead := _dead(page[0], step.root)) is not None:
                yield f"{exercise.id}: the docstring of {target} leads to {page[0]}, and {dead}"


def _functions(body: list[ast.stmt], owner: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for node in definitions(body):
        if isinstance(node, ast.ClassDef):
            found |= _functions(node.body, f"{owner}{node.name}.")
        else:
            found[owner + node.name] = node
    return found


def _chapter_faults(step: Step) -> Iterator[str]:
    """Yield items without a cell in their chapter."""
    texts = {chapter.source: chapter.source.read_text(encoding="utf-8") for chapter in step.chapters}
    for item in step.items:
        source = step.chapter_of(item).source
        if source not in texts:
            yield f"{item.id} must be told of in {source.name}, got no such chapter"
        elif item.id not in CHECK.findall(texts[source]):
            yield f'{item.id} must have its cell in the chapter, got no block check("{item.id}")'


def _dead(reference: str, root: Path) -> str | None:
    """Return why a reference from the root ("docs/x.md#heading") leads nowhere, or None."""
    path, _, anchor = reference.partition("#")
    page = root / path
    if not path or not page.is_file():
        return "there is no such page"
    if not anchor:
        return None
    return None if anchor in anchors_of(page) else f"the page has no heading #{anchor}"
