"""nbgrader's configuration for this course; a course directory's `nbgrader_config.py` calls `configure`."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from coursekit.registry import COURSE_ROOT, load_course

COURSE_ID = "language-model"
# For one cell. A check ends itself long before: it limits the time of the code that it judges.
CELL_SECONDS = 600


def configure(c: Any, folder: Path, course: Path) -> None:
    """Set in the configuration `c` what grading this course needs, for the course directory `folder`.

    Learners' files are kept as handed in, only graded cells of the released notebook run, and the kernel in
    which they run has the course's grading `check` and nothing from the folder of a submission.
    """
    from nbconvert.preprocessors import ClearMetadataPreprocessor
    from nbgrader import preprocessors as nbgrader
    from sqlalchemy.exc import SAWarning

    from coursekit.classroom.canonical import CanonicalExporter, CanonicalNotebook
    from coursekit.classroom.scores import SaveTrustedScores

    prepare_environment()
    # nbgrader's own, several lines for each new submission, and nothing that a teacher could do about it.
    warnings.filterwarnings("ignore", category=SAWarning)

    c.CourseDirectory.root = str(folder.resolve())
    c.CourseDirectory.course_id = COURSE_ID
    # Else nbgrader puts the empty stub over what was handed in, and everybody has 0.
    c.Autograde.exclude_overwriting = {step.folder: list(LEARNER_FILES) for step in load_course(course)}
    c.Autograde.exporter_class = CanonicalExporter
    c.Autograde.sanitize_preprocessors = [
        CanonicalNotebook,
        nbgrader.ClearOutput,
        nbgrader.OverwriteKernelspec,
        nbgrader.OverwriteCells,
        nbgrader.CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        nbgrader.Execute,
        nbgrader.IgnorePattern,
        ClearMetadataPreprocessor,
        nbgrader.LimitOutput,
        SaveTrustedScores,
        nbgrader.AssignLatePenalties,
        nbgrader.CheckCellMetadata,
    ]
    c.Execute.timeout = CELL_SECONDS
    c.Execute.shutdown_kernel = "immediate"
    c.Execute.extra_arguments = [
        "--HistoryManager.hist_file=:memory:",
        "--InteractiveShellApp.ignore_cwd=True",
        # A warning per kernel about the transport, which never leaves this machine.
        "--log-level=ERROR",
        f"--IPKernelApp.exec_lines={_first_line(course)}",
    ]


LEARNER_FILES = ("model_exercise.py", "further_exercise.py")


def prepare_environment() -> None:
    """Let the processes that nbgrader starts find its tools and this course, and nothing in their own folder.

    nbgrader calls `alembic` by name when it makes a gradebook, which fails where the environment is not
    activated; a kernel would import a learner's file from the folder of the submission.
    """
    _put_first("PATH", str(Path(sys.executable).parent))
    _put_first("PYTHONPATH", str(COURSE_ROOT))
    os.environ["PYTHONSAFEPATH"] = "1"


def _put_first(variable: str, path: str) -> None:
    paths = [part for part in os.environ.get(variable, "").split(os.pathsep) if part not in ("", path)]
    os.environ[variable] = os.pathsep.join([path, *paths])


def _first_line(course: Path) -> str:
    """Return what the kernel runs before the first cell. JSON's form of the path is a Python string too."""
    return (
        "from coursekit.classroom.grade import Grader; "
        f"check = Grader({json.dumps(str(course), ensure_ascii=True)}).check"
    )
