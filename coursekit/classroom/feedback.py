"""The page a learner gets back: what was graded, under the tutorial's headings, and nothing else of it."""

from __future__ import annotations

import re
from typing import Any

from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_markdown_cell
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import List, Unicode

_REMOTE = re.compile(r"<script[^>]*\bsrc=\"https?://[^>]*>\s*</script>")


class FeedbackExporter(HTMLExporter):
    """Writes a page that asks no other machine for anything: nbgrader's template fetches MathJax."""

    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> Any:
        """Return the page without scripts from elsewhere."""
        page, resources = super().from_notebook_node(nb, resources, **kw)
        return _REMOTE.sub("", page), resources


class GradedCells(NbGraderPreprocessor):
    """Keeps of a graded notebook the cells with points or answers, each under the heading it stood under."""

    # The page's exporter sets this for every preprocessor, and warns of one that does not know it.
    display_data_priority = List(Unicode(), ["text/html", "text/plain"], help="Order of outputs.").tag(
        config=True
    )

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Return the notebook with only those cells."""
        kept, heading = [], None
        for cell in nb.cells:
            heading = _heading(cell) or heading
            kind = cell.metadata.get("nbgrader", {})
            if any(kind.get(name, False) for name in ("grade", "solution", "task")):
                kept += [new_markdown_cell(heading)] if heading else []
                kept.append(cell)
                heading = None
        nb.cells = kept
        return nb, resources


def _heading(cell: Any) -> str | None:
    """Return the last heading of a text cell; the course's cells begin with theirs."""
    if cell.cell_type != "markdown":
        return None
    lines = [line for line in cell.source.splitlines() if line.startswith("#")]
    return lines[-1] if lines else None
