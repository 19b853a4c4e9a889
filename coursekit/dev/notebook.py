"""Build a step's notebook from the Markdown chapter: the same bytes from the same text, on every machine."""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path
from typing import Any

from coursekit.dev.markdown import headings, relink
from coursekit.lab.hosted import first_cell
from coursekit.registry import Exercise, Milestone, Step, load_course

CHECK = re.compile(r"check\(\s*[\"']([^\"']+)[\"']\s*\)")
_ASK = re.compile(r"ask\(\s*[\"']([^\"']+)[\"']\s*\)")
_MARK = re.compile(r"^<!-- (?:end )?generated:.*-->\n+", re.MULTILINE)
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# In JupyterLab and VS Code, and in Colab: nobody has to read the cell to go on.
_FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}


class BuildError(Exception):
    """Something that cannot be generated as the sources stand; the message is one sentence for the author."""


def notebook_text(source: Path, notebook: Path, step: Step, text: str | None = None) -> str:
    """Return the notebook as it is saved: no outputs, stable ids, graded cells and links as the registry
    says.

    A block that holds only `check("2.3a")` becomes a graded cell with the exercise's points, or a locked one
    for a milestone. `text` is the chapter with its generated parts as they should be; without it, as on disk.
    Before the first code cell comes one that fetches the course where it is not installed. Raises BuildError
    where a block names an exercise that the step does not have.
    """
    import nbformat

    text = (text or source.read_text(encoding="utf-8")).replace("\r\n", "\n")
    text = _MARK.sub("", text)
    cells = _cells(relink(text, lambda target: _moved(target, source, notebook, step)))
    seen: dict[str, int] = {}
    for cell in cells:
        base = _finish(cell, source, step)
        seen[base] = count = seen.get(base, 0) + 1
        cell["id"] = base if count == 1 else f"{base}-{count}"
        if cell["id"].startswith("check-") and count > 1:
            raise BuildError(f"{source.name} must check an exercise in one block, got {cell['source']} twice")
    first = next((n for n, cell in enumerate(cells) if cell["cell_type"] == "code"), len(cells))
    fetch = nbformat.v4.new_code_cell(first_cell(step.folder), id="fetch-the-course", metadata=_FOLDED)
    cells.insert(first, fetch)
    book = nbformat.v4.new_notebook(cells=cells, metadata=_METADATA)
    nbformat.validate(book)
    return nbformat.writes(book, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def _cells(text: str) -> list[dict[str, Any]]:
    """Return the chapter's cells as jupytext cuts them, a new one at each heading."""
    try:
        import jupytext
    except ImportError:
        raise BuildError(
            "building notebooks needs jupytext: pip install -r requirements-dev.txt -c constraints.txt"
        ) from None
    book = jupytext.reads(text, fmt={"extension": ".md", "format_name": "markdown", "split_at_heading": True})
    return [cell for cell in book.cells if cell["source"].strip()]


def _finish(cell: Any, source: Path, step: Step) -> str:
    """Set a cell's metadata and drop what a run leaves; return what its id is made of."""
    cell["metadata"] = {}
    body = cell["source"].strip()
    if cell["cell_type"] == "markdown":
        found = headings(body)
        title = re.sub(r"[^a-z0-9-]", "", found[0].anchor)[:50] if found else ""
        return f"text-{title}" if title else _digest(cell)
    cell["outputs"], cell["execution_count"] = [], None
    if ask := _ASK.fullmatch(body):
        return "ask-" + re.sub(r"[^\w-]", "-", ask[1])
    found_check = CHECK.fullmatch(body)
    if found_check is None:
        return _digest(cell)
    item = next((item for item in step.items if item.id == found_check[1]), None)
    if item is None:
        raise BuildError(f"{source.name} must check exercises that {step.folder} has, got {body}")
    cell["metadata"] = {"nbgrader": nbgrader_metadata(item)}
    return grade_id(item)


def grade_id(item: Exercise | Milestone) -> str:
    """Return the id under which nbgrader keeps the points of an exercise: "check-2-3a"."""
    return "check-" + re.sub(r"[^\w-]", "-", item.id)


def nbgrader_metadata(item: Exercise | Milestone) -> dict[str, Any]:
    """Return nbgrader's metadata of a check cell: graded for points, only locked for a milestone, which has
    none.
    """
    metadata: dict[str, Any] = {
        "grade": not item.is_milestone,
        "grade_id": grade_id(item),
        "locked": True,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }
    return metadata if item.is_milestone else metadata | {"points": item.points}


def _digest(cell: Any) -> str:
    return hashlib.sha256(f"{cell['cell_type']}\0{cell['source']}".encode()).hexdigest()[:10]


def _moved(target: str, source: Path, notebook: Path, step: Step) -> str:
    """Return a link of the chapter as the notebook must have it: from its own folder, to notebooks, to
    Jupyter's anchors.
    """
    path, mark, anchor = target.partition("#")
    if not path:
        return f"#{_jupyter_anchor(source, anchor)}"
    goal = Path(posixpath.normpath((source.parent / path).as_posix()))
    for other in load_course(step.root):
        for chapter in other.chapters:
            if goal == chapter.source:
                goal, anchor = chapter.notebook, _jupyter_anchor(goal, anchor) if anchor else ""
    return posixpath.relpath(goal.as_posix(), notebook.parent.as_posix()) + mark + anchor


def _jupyter_anchor(source: Path, anchor: str) -> str:
    """Return JupyterLab's anchor for a heading that GitHub knows under another: its words with hyphens for
    spaces.
    """
    for heading in headings(source.read_text(encoding="utf-8")):
        if heading.anchor == anchor:
            return heading.text.replace(" ", "-")
    return anchor
