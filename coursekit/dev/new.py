"""Begin an exercise: write the skeletons of its entry, its check, its mistakes and a variant, and say what is
left.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coursekit.dev.notebook import BuildError
from coursekit.registry import COURSE_ROOT, Step, load_course
from coursekit.source import read_source
from coursekit.source.spans import definitions, syntax_tree

_ID = re.compile(r"(\d+)\.(\d+)([a-z]?)")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
_TABLE = re.compile(r"^\[\[(\w+)\]\]", re.M)

ENTRY = """[[exercise]]
id = "{id}"
title = "TODO: what it is, in the field's words"
targets = [{targets}]
points = 2
minutes = 10
difficulty = 1
needs = []
writeup = "{tutorial}#TODO"
enables = "TODO: what the learner can do now that this code is there, in one sentence"
why = "TODO: why it is so, in one sentence"
hints = [
  "TODO: a nudge: what is this for?",
  "TODO: where to look",
  "TODO: the shapes, or nearly the code",
]{trio}

"""
CHECK = '''"""What exercise {id} asks of any implementation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coursekit.probe import Rng, cases, check


@check("{id}")
def {name}(m: Any, rng: Rng) -> Iterator[Any]:
    # TODO: inputs on which every mistake shows: B > 1, T > 1, no two sizes alike, numbers large enough to
    # tell.
    x = rng.normal(2, 3, 4)
    yield "TODO: a sentence about what comes back", {call}


@cases("{id}")
def small_{name}(m: Any) -> Iterator[Any]:
    # TODO: the smallest inputs first: B = 1, T <= 3, widths of 2, small whole numbers.
    x = Rng(0).normal(1, 2, 2)
    yield {{"x": x}}, {call}
'''
MISTAKES = '''"""{id}, {targets}: known mistakes and an accepted variant."""

from __future__ import annotations

from typing import Any

from coursekit.probe import mistake, variant
'''
WRONG = '''

@{kind}("{id}")
def {name}({arguments}) -> Any:
    """TODO: {says}"""
    raise NotImplementedError
'''
PAIR = '''

@{kind}("{id}")
def {name}() -> dict[str, Any]:
    """TODO: {says}"""
    return {{{targets}}}
'''
SAYS = "what is wrong, to the learner, and why it matters."


@dataclass(frozen=True)
class _Beginning:
    """What the skeletons are filled with."""

    id: str
    targets: tuple[str, ...]
    trio: str
    step: Step

    @property
    def name(self) -> str:
        """The functions' and files' name: "MLP.forward" is mlp_forward."""
        return self.targets[0].replace(".", "_").lower()


def begin(item_id: str, targets: tuple[str, ...], trio: str, root: Path = COURSE_ROOT) -> Iterator[str]:
    """Write the skeletons of a new exercise and yield what was written and what is left to do.

    Raises BuildError, before anything is written, where the id is taken or means no step, or a file is in the
    way.
    """
    start = _Beginning(item_id, targets, trio, _step_of(item_id, targets, trio, root))
    toml = start.step.path / "exercises.toml"
    files = {
        _folder(start.step, "checks") / f"{start.name}.py": _check_text(start),
        _folder(start.step, "mistakes") / f"{start.name}.py": _mistakes_text(start),
    }
    for path in files:
        if path.exists():
            raise BuildError(
                f"{path.relative_to(root)} must not be there yet, got a file: move its content first"
            )
    toml.write_text(_with_entry(toml.read_text(encoding="utf-8"), start), encoding="utf-8", newline="\n")
    load_course.cache_clear()
    yield f"wrote the entry of {item_id} in {toml.relative_to(root)}"
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="\n")
        yield f"wrote {path.relative_to(root)}"
    solution = start.step.trio_files(trio)[1].relative_to(root)
    yield "Left to do, and course dev check says what is still missing:"
    yield f"  1. {' and '.join(targets)} in {solution}: docstring, numbered comments, the way to its section"
    yield f'  2. a section in {start.step.tutorial}, with a block check("{item_id}")'
    yield "  3. every TODO in the three places above"
    yield f"  4. course dev build, then course dev audit {item_id}"


def _step_of(item_id: str, targets: tuple[str, ...], trio: str, root: Path) -> Step:
    """Return the step of a new id. Raises BuildError where the id or a target cannot be used."""
    found = _ID.fullmatch(item_id)
    if found is None:
        raise BuildError(f"an id must be like 2.3 or 2.3e, got {item_id!r}")
    for target in targets:
        if _TARGET.fullmatch(target) is None:
            raise BuildError(f"a target must be a function or a method (attend, MLP.forward), got {target!r}")
    if trio not in ("model", "further"):
        raise BuildError(f"--trio must be model or further, got {trio!r}")
    steps = load_course(root)
    step = next((step for step in steps if step.number == int(found[1])), None)
    if step is None:
        have = ", ".join(str(step.number) for step in steps)
        raise BuildError(
            f"the id must begin with the number of a step that has an exercises.toml ({have}), got {item_id}"
        )
    for other in (item for step in steps for item in step.items):
        if other.id == item_id:
            raise BuildError(f"the id must be new, got {item_id}, which is {other.title!r}")
    return step


def _folder(step: Step, name: str) -> Path:
    """Return the package of the step's checks or mistakes. Raises BuildError where there is none."""
    folder = step.path / name
    if not (folder / "__init__.py").exists():
        raise BuildError(
            f"{step.folder}/{name} must be a package, one file for each exercise: make {name}/__init__.py"
        )
    return folder


def _with_entry(text: str, start: _Beginning) -> str:
    """Return the registry's text with the new entry where its id belongs among the exercises."""
    entry = ENTRY.format(
        id=start.id,
        targets=", ".join(f'"{target}"' for target in start.targets),
        tutorial=start.step.tutorial,
        trio='\ntrio = "further"' if start.trio == "further" else "",
    )
    tables = [(match.start(), match[1]) for match in _TABLE.finditer(text)]
    for place, kind in tables:
        found = re.search(r'^id = "([^"]+)"', text[place:], re.M)
        if kind != "exercise" or (found and _order(found[1]) > _order(start.id)):
            return text[:place] + entry + text[place:]
    return text.rstrip("\n") + "\n\n" + entry.rstrip("\n") + "\n"


def _order(item_id: str) -> tuple[int, int, str]:
    found = _ID.fullmatch(item_id)
    return (int(found[1]), int(found[2]), found[3]) if found else (0, 0, item_id)


def _check_text(start: _Beginning) -> str:
    target = start.targets[0]
    owner, _, method = target.rpartition(".")
    call = f"m.{owner}(...).{method}(x)" if owner else f"m.{target}(x)"
    return CHECK.format(id=start.id, name=start.name, call=call)


def _mistakes_text(start: _Beginning) -> str:
    """Return three mistakes and a variant with the target's signature, or as a dict for a pair."""
    text = MISTAKES.format(id=start.id, targets=" and ".join(start.targets))
    arguments = _arguments(start)
    pair = ", ".join(f'"{target}": ...' for target in start.targets)
    for kind, name, says in (
        ("mistake", "first_mistake", SAYS),
        ("mistake", "second_mistake", SAYS),
        ("mistake", "third_mistake", SAYS),
        ("variant", "another_style", "what is done in another way that is right too."),
    ):
        form = PAIR if len(start.targets) > 1 else WRONG
        text += form.format(kind=kind, id=start.id, name=name, says=says, arguments=arguments, targets=pair)
    return text


def _arguments(start: _Beginning) -> str:
    """Return the target's arguments as the solution has them, without annotations; `x` where it is not there
    yet.
    """
    target = start.targets[0]
    owner, _, name = target.rpartition(".")
    solution = start.step.trio_files(start.trio)[1]
    tree = syntax_tree(read_source(solution)[0]) if solution.exists() else None
    body: list[ast.stmt] = [] if tree is None else tree.body
    for node in definitions(body):
        if isinstance(node, ast.ClassDef) and node.name == owner:
            body = node.body
    for node in definitions(body):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = ast.Name("Any")
            return ast.unparse(node.args)
    return "self: Any, x: Any" if owner else "x: Any"
