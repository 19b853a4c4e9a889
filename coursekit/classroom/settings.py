"""nbgrader's configuration for this course; a course directory's `nbgrader_config.py` calls `configure`."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coursekit import surroundings
from coursekit.registry import COURSE_ROOT, load_course

COURSE_ID = "language-model"
CELL_SECONDS = 60
LEARNER_FILES = ("model_exercise.py", "further_exercise.py")


def configure(c: Any, folder: Path, course: Path) -> None:
    """Set in the configuration `c` what grading this course needs, for the course directory `folder`.

    Learners' files are kept as handed in, the released notebook stands for whatever notebook came with
    them, and its check cells are judged without a kernel.
    """
    from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
    from nbgrader import preprocessors as nbgrader
    from sqlalchemy.exc import SAWarning

    from coursekit.classroom.canonical import CanonicalExporter, CanonicalNotebook
    from coursekit.classroom.feedback import FeedbackExporter, GradedCells
    from coursekit.classroom.grade import JudgeCells
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
        JudgeCells,
        nbgrader.IgnorePattern,
        ClearMetadataPreprocessor,
        nbgrader.LimitOutput,
        SaveTrustedScores,
        nbgrader.AssignLatePenalties,
        nbgrader.CheckCellMetadata,
    ]
    c.GenerateFeedback.preprocessors = [GradedCells, nbgrader.GetGrades, CSSHTMLHeaderPreprocessor]
    c.GenerateFeedback.exporter_class = FeedbackExporter
    c.JudgeCells.course = str(course)
    _configure_kernels(c)


def _configure_kernels(c: Any) -> None:
    """Set how a teacher's own graded cells run: their kernel finds nothing in the folder of a submission."""
    c.Execute.timeout = CELL_SECONDS
    c.Execute.shutdown_kernel = "immediate"
    c.Execute.extra_arguments = [
        "--HistoryManager.hist_file=:memory:",
        "--InteractiveShellApp.ignore_cwd=True",
        # A warning per kernel about the transport, which never leaves this machine.
        "--log-level=ERROR",
    ]


def prepare_environment() -> None:
    """Let the processes that nbgrader starts find its tools and this course, and nothing in their own folder.

    nbgrader calls `alembic` by name when it makes a gradebook, which fails where the environment is not
    activated; a kernel would import a learner's file from the folder of the submission.
    """
    _put_first("PATH", str(Path(sys.executable).parent))
    _put_first("PYTHONPATH", str(COURSE_ROOT))
    os.environ["PYTHONSAFEPATH"] = "1"


@contextlib.contextmanager
def prepared_environment() -> Iterator[None]:
    """Prepare the environment for a while: a process that goes on may start kernels, which are no graders."""
    with surroundings.kept("PATH", "PYTHONPATH", "PYTHONSAFEPATH"):
        prepare_environment()
        yield


def _put_first(variable: str, path: str) -> None:
    paths = [part for part in os.environ.get(variable, "").split(os.pathsep) if part not in ("", path)]
    os.environ[variable] = os.pathsep.join([path, *paths])
