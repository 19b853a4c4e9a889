"""Whatever notebook was handed in, grade the released one: only answers to written questions are taken over.

Duplicated, edited and deleted cells, tags, metadata of any version and files that are no notebook then cost
nothing and gain nothing, and no code of a learner's notebook runs in the process that grades.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor

from coursekit.classroom.scores import forget_scores

SKIP = "skip-execution"


class NotReleased(Exception):
    """There is no released notebook to grade with; the message says what makes one."""


class CanonicalExporter(NotebookExporter):
    """Reads a notebook as nbgrader does, and one that cannot be read as an empty notebook."""

    def from_file(self, file_stream: Any, resources: Any = None, **kw: Any) -> Any:
        """Convert an open notebook file; what cannot be read counts as empty and is told in the log."""
        try:
            notebook = nbformat.read(file_stream, as_version=4)
            if not isinstance(notebook.get("cells"), list):
                raise TypeError("a notebook must have a list of cells")
        except Exception as error:  # noqa: BLE001 - the file is a learner's: anything can be in it
            self.log.warning("The notebook cannot be read and counts as empty: %s", error)
            notebook = nbformat.v4.new_notebook()
        return self.from_notebook_node(notebook, resources=resources, **kw)


class CanonicalNotebook(NbGraderPreprocessor):
    """Puts the released notebook in place of the submitted one, with the learner's written answers in it."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Return the released notebook in which only graded code cells run."""
        names = resources["nbgrader"]
        courses = CourseDirectory(parent=self)
        folder = courses.format_path(courses.release_directory, ".", names["assignment"])
        forget_scores(names["db_url"], names["notebook"], names["assignment"], names["student"])
        canonical = released(Path(folder) / f"{names['notebook']}.ipynb", names["assignment"])
        _take_answers(canonical, nb)
        for cell in canonical.cells:
            _mark(cell)
        return canonical, resources


def released(path: Path, assignment: str) -> Any:
    """Return the released notebook. Raises NotReleased where there is none."""
    if not path.is_file():
        raise NotReleased(f"{path} must exist to grade with: run nbgrader generate_assignment {assignment}")
    return nbformat.read(path, as_version=4)


def _mark(cell: Any) -> None:
    """Let a code cell run if its points come from its output, and no other."""
    if cell.cell_type == "code":
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != SKIP]
        cell.metadata["tags"] = tags if runs(cell) else [*tags, SKIP]


def runs(cell: Any) -> bool:
    """Tell whether a cell's points come from its output: graded, and not an answer that a person grades."""
    kind = cell.metadata.get("nbgrader", {})
    return bool(cell.cell_type == "code" and kind.get("grade", False) and not kind.get("solution", False))


def _take_answers(canonical: Any, submitted: Any) -> None:
    """Copy the text of cells that a person grades. Of several under one id the first that was written in."""
    found: dict[str, list[Any]] = {}
    for cell in submitted.cells:
        grade_id = _grade_id(cell)
        if grade_id is not None:
            found.setdefault(grade_id, []).append(cell)
    for cell in canonical.cells:
        if not cell.metadata.get("nbgrader", {}).get("solution", False):
            continue
        answers = [a for a in found.get(_grade_id(cell) or "", []) if a.source != cell.source]
        if answers:
            cell.source = answers[0].source
            if cell.cell_type == "markdown" and isinstance(answers[0].get("attachments"), dict):
                cell.attachments = answers[0].attachments


def _grade_id(cell: Any) -> str | None:
    """Return the id that nbgrader knows a cell by, or None; nothing is taken for granted about the cell."""
    try:
        grade_id = cell["metadata"]["nbgrader"]["grade_id"]
        is_text = isinstance(grade_id, str) and isinstance(cell["source"], str)
    except (KeyError, TypeError):
        return None
    return grade_id if is_text else None
