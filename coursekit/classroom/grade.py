"""The `check` of a kernel that grades: it judges the submitted file with a secret seed and shows a score.

The learner's code runs in worker processes only; this process neither imports it nor needs torch.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
from pathlib import Path
from typing import Any

from coursekit.judge import Judge
from coursekit.registry import find_item
from coursekit.render.html import report_html, sentence_html
from coursekit.verdict import Report


class Grade:
    """What a graded cell shows: the score as plain text, which nbgrader takes as credit, the rest as HTML."""

    def __init__(self, score: float, html: str) -> None:
        self.score = score
        self.html = html

    def __repr__(self) -> str:
        return f"{self.score:g}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.html}


class Grader:
    """Judges what was handed in, in the current folder, against the course at `root`.

    The seed is drawn anew for each submission and kept nowhere, so that no answer can be prepared for it.
    """

    def __init__(self, root: str | Path, folder: Path | None = None) -> None:
        self.root = Path(root)
        self.folder = folder
        self.judge = Judge(secrets.randbits(63), self.root)

    def check(self, item_id: str) -> Grade:
        """Judge one exercise. Raises UnknownName for an id that the course does not have."""
        step, item = find_item(item_id, self.root)
        name = step.trio_files(item.trio)[0].name
        path = (self.folder or Path.cwd()) / name
        if not path.is_file():
            return Grade(0.0, sentence_html(f"No {name} was handed in, so {item_id} has no points."))
        report = self.judge.report(step, [item], path)
        return Grade(credit(report), report_html(_without_folder(report, name), step))


def credit(report: Report) -> float:
    """Return the score of a report as a finite number between 0 and its points."""
    return min(max(report.score, 0.0), float(report.points)) if math.isfinite(report.score) else 0.0


def _without_folder(report: Report, name: str) -> Report:
    """Return the report with the file's name in place of its path, which is the grader's alone."""
    folder = report.file[: -len(name)]

    def told(record: Any) -> Any:
        texts = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
        changed = {k: v.replace(folder, "") for k, v in texts.items() if type(v) is str and folder in v}
        return dataclasses.replace(record, **changed) if folder else record

    verdicts, faults = tuple(map(told, report.verdicts)), tuple(map(told, report.faults))
    return dataclasses.replace(report, file=name, verdicts=verdicts, faults=faults)
