"""Judge the check cells of a submission with a secret seed, and show in each its score and why.

The learner's code runs in worker processes only; this process neither imports it nor needs torch. No kernel
is started for check cells: what a cell would print is written by the process that decides.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
import traceback
from pathlib import Path
from typing import Any

from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Unicode

from coursekit.classroom.canonical import SKIP, runs
from coursekit.classroom.scores import grade_ids, is_check
from coursekit.judging.judge import Judge
from coursekit.judging.verdict import Report
from coursekit.registry import COURSE_ROOT, find_item
from coursekit.render.html import report_html, sentence_html


class JudgeCells(Execute):
    """In place of nbgrader's Execute: judges check cells here, and runs in a kernel only a teacher's own."""

    course = Unicode(str(COURSE_ROOT), help="The folder of the course's steps.").tag(config=True)

    def preprocess(self, nb: Any, resources: Any, km: Any = None) -> tuple[Any, Any]:
        """Fill in the outputs of the graded cells."""
        checks = [cell for cell in nb.cells if is_check(cell.metadata.get("nbgrader", {}))]
        if any(runs(cell) for cell in nb.cells if cell not in checks):
            nb, resources = self._run_others(nb, resources, checks, km)
        grader = Grader(self.course, Path(resources["metadata"]["path"]))
        names = grade_ids(self.course)
        for number, cell in enumerate(checks, start=1):
            cell.execution_count = number
            cell.outputs = [self._output(grader, names[cell.metadata.nbgrader.grade_id], number)]
        return nb, resources

    def _run_others(self, nb: Any, resources: Any, checks: list[Any], km: Any) -> tuple[Any, Any]:
        """Run the graded cells that are not checks in a kernel, as nbgrader does."""
        for cell in checks:
            cell.metadata.tags = [SKIP]
        nb, resources = super().preprocess(nb, resources, km)
        for cell in checks:
            cell.metadata.tags = []
        return nb, resources

    def _output(self, grader: Grader, item_id: str, number: int) -> Any:
        try:
            return new_output("execute_result", data=grader.check(item_id).bundle, execution_count=number)
        except Exception as error:  # noqa: BLE001 - a fault of the course: ungraded, and told
            self.log.error("%s could not be judged:\n%s", item_id, traceback.format_exc())
            first_line = str(error).partition("\n")[0]
            said = f"{item_id} could not be judged, and is not graded: {first_line}"
            return new_output("error", ename=type(error).__name__, evalue=first_line, traceback=[said])


@dataclasses.dataclass(frozen=True)
class Grade:
    """The points for one exercise, and for the learner why."""

    score: float
    html: str

    @property
    def bundle(self) -> dict[str, str]:
        """What the cell shows: nbgrader takes the plain text as credit, people see the HTML."""
        return {"text/plain": f"{self.score:g}", "text/html": self.html}


class Grader:
    """Judges the files in `folder` against the course at `root`.

    The seed is drawn anew for each submission and kept nowhere, so that no answer can be prepared for it.
    """

    def __init__(self, root: str | Path, folder: Path) -> None:
        self.root = Path(root)
        self.folder = folder
        self.judge = Judge(secrets.randbits(63), self.root)

    def check(self, item_id: str) -> Grade:
        """Judge one exercise. Raises UnknownName for an id that the course does not have."""
        step, item = find_item(item_id, self.root)
        name = step.trio_files(item.trio)[0].name
        path = self.folder / name
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
