"""Make an nbgrader course directory: configuration, gradebook, and for each step what is handed out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coursekit.classroom.settings import COURSE_ID, prepared_environment
from coursekit.registry import COURSE_ROOT, Chapter, Step, load_course
from coursekit.source import stub_text

CONFIG = "nbgrader_config.py"
_CONFIG_TEXT = '''\
"""nbgrader's configuration, made by `course classroom build`; building again changes COURSE alone."""

import sys
from pathlib import Path

COURSE = {course!r}
sys.path.insert(0, COURSE)

try:
    from coursekit.classroom.settings import configure

    c = get_config()
    configure(c, Path(__file__).parent, Path(COURSE))
except Exception as error:
    # nbgrader would go on without a configuration, and grade the empty stub in place of what was handed in.
    sys.exit(f"The course cannot be used from {{COURSE}}: {{error}}. Run `course classroom build` again.")

# Your own settings go here and win over those of the course, for example:
# c.CourseDirectory.course_id = "language-model-2027"
# c.Exchange.root = "/srv/nbgrader/exchange"
'''


class ClassroomError(Exception):
    """Something a teacher asked for that cannot be done; the message is one sentence with the next step."""


def build(folder: Path, root: Path = COURSE_ROOT) -> Iterator[str]:
    """Make or refresh the course directory, and say in sentences what was written.

    It writes the configuration, the gradebook's assignments and `source/`; what was released, submitted,
    graded and told is never touched. Raises ClassroomError where no step can be handed out.
    """
    folder = folder.resolve()
    ready = {step: _files(step) for step in load_course(root) if _notebooks(step)}
    if not ready:
        raise ClassroomError(f"no step in {root} has a tutorial.ipynb to hand out: run course dev build")
    folder.mkdir(parents=True, exist_ok=True)
    yield from _write_config(folder / CONFIG, root)
    for step, files in ready.items():
        written = [_write(folder / "source" / step.folder / name, text) for name, text in files.items()]
        names = " and ".join(files)
        state = "refreshed" if any(written) else "is as it was"
        yield f"source/{step.folder}: {names} ({sum(e.points for e in step.exercises)} points) {state}"
        yield from _release_state(folder, step, files)
    yield from _record(folder, [step.folder for step in ready], root)


def _notebooks(step: Step) -> list[Chapter]:
    asked = dict.fromkeys(step.chapter_of(item) for item in step.items)
    return [chapter for chapter in asked if chapter.notebook.is_file()]


def _files(step: Step) -> dict[str, str]:
    """Return what a step hands out, by name: notebooks without outputs, and stubs made from the solutions.

    Nothing else of the step is ever copied: no solution, no check, no mistake, no work in its exercise file.
    """
    files = {}
    for chapter in _notebooks(step):
        exercise, solution = step.trio_files(chapter.trio)
        files[chapter.notebook.name] = _notebook_text(chapter, step)
        files[exercise.name] = stub_text(solution.read_text(encoding="utf-8"), step, chapter.trio)
    return files


def _notebook_text(chapter: Chapter, step: Step) -> str:
    """Return the notebook without outputs. Raises ClassroomError where its checks are not the registry's."""
    import nbformat

    from coursekit.classroom.scores import grade_ids

    path = chapter.notebook
    notebook = nbformat.read(path, as_version=4)
    points: dict[str, int] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            points |= _graded(cell)
    points_of = {e.id: e.points for e in step.exercises if step.chapter_of(e) == chapter}
    asked = {name: points_of[i] for name, i in grade_ids(step.root).items() if i in points_of}
    wrong = sorted(name for name in points.keys() | asked.keys() if points.get(name) != asked.get(name))
    if wrong:
        raise ClassroomError(
            f"{step.folder}/{path.name} must have a graded cell with the right points for each exercise; "
            f"not so {', '.join(wrong)}: run course dev build"
        )
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def _graded(cell: Any) -> dict[str, int]:
    from coursekit.classroom.scores import is_check

    kind = cell.metadata.get("nbgrader", {})
    return {kind["grade_id"]: kind["points"]} if is_check(kind) else {}


def _write(path: Path, text: str) -> bool:
    """Write the text unless it stands there; tell whether it was written."""
    data = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return True


def _write_config(path: Path, root: Path) -> Iterator[str]:
    """Write the configuration; in one that is there only the place of the course is set right."""
    if not path.exists():
        _write(path, _CONFIG_TEXT.format(course=str(root)))
        yield f"{path.name}: made"
        return
    text = path.read_text(encoding="utf-8")
    line = f"COURSE = {str(root)!r}"
    changed, count = re.subn(r"^COURSE = .*$", lambda _: line, text, flags=re.MULTILINE)
    if not count:
        yield f"{path.name}: left as you wrote it; it must call configure() with the course at {root}"
    else:
        yield f"{path.name}: {'now points to this course' if _write(path, changed) else 'is as it was'}"


def _release_state(folder: Path, step: Step, files: dict[str, str]) -> Iterator[str]:
    """Say what is to be done next for a step: generate it, or generate it again."""
    release = folder / "release" / step.folder
    newest = max((folder / "source" / step.folder / name).stat().st_mtime for name in files)
    if not release.is_dir():
        yield f"  next: nbgrader generate_assignment {step.folder}"
    elif any(not (release / n).is_file() or (release / n).stat().st_mtime < newest for n in files):
        yield f"  what you released is older: nbgrader generate_assignment {step.folder} --force"


def _record(folder: Path, assignments: list[str], root: Path) -> Iterator[str]:
    """Make the gradebook if there is none, and the assignments that it lacks."""
    from nbgrader.api import Gradebook, MissingEntry

    with prepared_environment(), Gradebook(f"sqlite:///{folder / 'gradebook.db'}", COURSE_ID) as gradebook:
        for name in assignments:
            try:
                gradebook.find_assignment(name)
            except MissingEntry:
                gradebook.add_assignment(name)
                yield f"gradebook.db: {name} added"
