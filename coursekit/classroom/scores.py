"""Scores of check cells in nbgrader's gradebook: the number that the check showed, or none at all.

nbgrader takes silence, a negative number and "nan" for full points, and any word on stderr for none. A check
that shows no credible number is left ungraded, for a person to see.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook
from nbgrader.preprocessors import SaveAutoGrades

from coursekit.registry import COURSE_ROOT, load_course

PREFIX = "check-"


class SaveTrustedScores(SaveAutoGrades):
    """Saves the scores of a graded notebook; cells that are not the course's checks as nbgrader does."""

    def _add_score(self, cell: Any, resources: Any) -> None:
        if not is_check(cell.metadata["nbgrader"]):
            super()._add_score(cell, resources)
            return
        name = cell.metadata["nbgrader"]["grade_id"]
        grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        grade.auto_score = score_of(cell)
        # As in nbgrader: a mark that a person gave earlier stays, and is to be looked at again.
        grade.needs_manual_grade = grade.auto_score is None or grade.manual_score is not None
        self.gradebook.db.commit()


def is_check(kind: Any) -> bool:
    """Tell whether nbgrader's metadata of a cell are a check's: graded by its output, id "check-..."."""
    is_graded = kind.get("grade", False) and not kind.get("solution", False)
    return bool(is_graded and str(kind.get("grade_id", "")).startswith(PREFIX))


def grade_ids(root: str | Path = COURSE_ROOT) -> dict[str, str]:
    """Return the exercise behind each check cell's grade id: "check-2-3a" is 2.3a."""
    exercises = [exercise for step in load_course(Path(root)) for exercise in step.exercises]
    return {PREFIX + re.sub(r"[^\w-]", "-", exercise.id): exercise.id for exercise in exercises}


def score_of(cell: Any) -> float | None:
    """Return the number that a check cell showed, or None if it showed none between 0 and its points.

    What stands on stderr beside it costs nothing: a warning is not a wrong answer.
    """
    if any(output.output_type == "error" for output in cell.outputs):
        return None
    results = [output for output in cell.outputs if output.output_type == "execute_result"]
    if len(results) != 1:
        return None
    try:
        score = float(results[0]["data"]["text/plain"])
    except (KeyError, ValueError):
        return None
    is_credible = math.isfinite(score) and 0 <= score <= float(cell.metadata["nbgrader"]["points"])
    return score if is_credible else None


def forget_scores(db_url: str, notebook: str, assignment: str, student: str) -> None:
    """Mark the checks of a submission ungraded, so that no score of an earlier run stays if this run fails.

    Marks and comments that a person gave are left.
    """
    with Gradebook(db_url) as gradebook:
        for grade in gradebook.find_submission_notebook(notebook, assignment, student).grades:
            if grade.name.startswith(PREFIX):
                grade.auto_score = None
                grade.needs_manual_grade = True
        gradebook.db.commit()
