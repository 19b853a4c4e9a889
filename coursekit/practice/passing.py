"""What a pass is answered with: its use and reason, the reference beside it, what the path has next."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from coursekit import registry
from coursekit.judging.passing import Beside, Following, Passing
from coursekit.practice.path import Item, in_path, minutes_of, next_open
from coursekit.practice.progress import Progress
from coursekit.registry import Milestone, RegistryError, Step
from coursekit.source import exercise_text, find_spans, read_source, stub_text
from coursekit.source.beside import aligned, body_lines

SETTINGS = "classroom.toml"


def passing_of(step: Step, item: Item, known: Progress, text: str | None, again: bool) -> Passing:
    """Return what is said on the pass of an item whose file holds `text` (None: without the comparison)."""
    following = following_on_path(step, known, item.id)
    beside = () if text is None or not shows_reference(step.root) else compared(step, item, text)
    enables, why = (item.promise, "") if isinstance(item, Milestone) else (item.enables, item.why)
    return Passing(enables, why, item.writeup, stands(step, known), beside, following, again)


def compared(step: Step, item: Item, text: str) -> tuple[Beside, ...]:
    """Return the learner's bodies of an exercise beside the reference's; nothing for a milestone."""
    solution = read_source(step.trio_files(item.trio)[1])[0]
    stub, whole = stub_text(solution, step, item.trio), exercise_text(solution, step, item.trio)
    return tuple(
        Beside(target, tuple(aligned(body_lines(text, target, stub), body_lines(whole, target, stub))))
        for target in item.targets
    )


def shows_reference(root: Path) -> bool:
    """Tell whether a pass shows the reference: yes, unless a teacher's classroom.toml says otherwise.

    Raises RegistryError where that file says something else than `show_reference = true` or `false`.
    """
    path = root / SETTINGS
    if not path.exists():
        return True
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8")).get("show_reference", True)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RegistryError(
            f"{SETTINGS} must be TOML, such as show_reference = false, got: {error}"
        ) from None
    if not isinstance(value, bool):
        raise RegistryError(f"show_reference in {SETTINGS} must be true or false, got {value!r}")
    return value


def following_on_path(step: Step, known: Progress, after: str = "") -> Following | None:
    """Return what to go on with: in this step, else in the next ones, else in those before it."""
    steps = registry.load_course(step.root)
    place = next((i for i, other in enumerate(steps) if other.folder == step.folder), 0)
    for other in (step, *steps[place + 1 :], *steps[:place]):
        item = next_open(other, known.done, known.path, after if other is step else "")
        if item is not None:
            return following(other, item)
    return None


def following(step: Step, item: Item, file: Path | None = None) -> Following:
    """Return where an item is written (in `file`, else in the step's own) and where it is told of."""
    own, solution = step.trio_files(item.trio)
    path = file or own
    lines = []
    if path.is_file() and item.targets:
        spans = find_spans(read_source(path)[0], item.targets, read_source(solution)[0])
        lines = [spans[target].header for target in item.targets if target in spans]
    page = page_of(step, item)
    return Following(item.id, item.title, str(path), min(lines, default=None), page)


def page_of(step: Step, item: Item) -> str | None:
    """Return the notebook that asks for an item, with the heading above its check cell as the fragment."""
    path = step.chapter_of(item).notebook
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    heading = ""
    for kind, text in texts:
        if kind == "markdown" and text.startswith("#"):
            heading = text.partition("\n")[0].lstrip("# ").strip()
        elif kind == "code" and f'check("{item.id}")' in text:
            return f"{path}#{heading.replace(' ', '-')}" if heading else str(path)
    return str(path)


def stands(step: Step, known: Progress) -> str:
    """Return how far the path is done in words: "4 of 11 parts done, about 95 minutes left"."""
    steps = registry.load_course(step.root)
    parts = [item for other in steps for item in other.exercises if in_path(item, known.path)]
    done = sum(item.id in known.done for item in parts)
    left = minutes_of([item for item in parts if item.id not in known.done])
    noun = "part" if len(parts) == 1 else "parts"
    return f"{done} of {len(parts)} {noun} of the path '{known.path}' done" + (
        f", {left} left" if left else ""
    )
