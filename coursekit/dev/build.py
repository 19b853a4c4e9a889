"""Write every generated file: stubs, notebooks, tables, the scoreboard of the checks. Never over a learner's
work.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coursekit.dev.notebook import BuildError, notebook_text
from coursekit.dev.tables import with_tables
from coursekit.registry import COURSE_ROOT, load_course
from coursekit.source import read_source, stub_text

MADE = ".course/generated.json"


@dataclass(frozen=True)
class Output:
    """A generated file: what it must hold, and whether a learner works in it."""

    path: Path
    text: str
    is_learners: bool = False

    @property
    def is_stale(self) -> bool:
        """Whether the file on disk is missing or holds something else; how lines end does not count."""
        if not self.path.exists():
            return True
        return self.path.read_bytes().replace(b"\r\n", b"\n") != self.text.encode()


def outputs(root: Path = COURSE_ROOT) -> Iterator[Output]:
    """Yield every generated file but the scoreboard, from the sources as they stand. Raises BuildError,
    StubError.
    """
    for step in load_course(root):
        for trio in dict.fromkeys(exercise.trio for exercise in step.exercises):
            learners, solution = step.trio_files(trio)
            if not solution.exists():
                raise BuildError(f"{step.folder} must have {solution.name}, got no such file")
            yield Output(learners, stub_text(read_source(solution)[0], step, trio), is_learners=True)
        for chapter in step.chapters:
            source, notebook = chapter.source, chapter.notebook
            built = notebook_text(source, notebook, step, with_tables(source, root))
            yield Output(notebook, built, is_learners=True)
    for page in pages(root):
        text = with_tables(page, root)
        if text is not None:
            yield Output(page, text)


def pages(root: Path) -> list[Path]:
    """Return the project's Markdown pages."""
    return sorted([*root.glob("*.md"), *root.glob("step*/**/*.md"), *root.glob("docs/**/*.md")])


def build(root: Path = COURSE_ROOT, force: bool = False, say: Callable[[str], None] = print) -> list[Path]:
    """Write every generated file that is stale and return which were written.

    A learner's file is written only where what it holds is a stub that was generated, or is kept by git;
    otherwise BuildError, before anything is written. With `force` a copy goes to `.course/backups/` first.
    """
    stale = [output for output in outputs(root) if output.is_stale]
    at_risk = [output for output in stale if output.is_learners and _holds_work(output.path, root)]
    if at_risk and not force:
        files = ", ".join(str(output.path.relative_to(root)) for output in at_risk)
        raise BuildError(
            f"{files} must be as generated before it is written anew, got work in it: "
            "put your work elsewhere, or keep a copy and write over it with course dev build --force"
        )
    for output in at_risk:
        from coursekit.practice.backup import keep_backup

        say(f"kept {keep_backup(output.path, root).relative_to(root)}")
    for output in stale:
        output.path.write_bytes(output.text.encode())
        say(f"wrote {output.path.relative_to(root)}")
    _remember([output.path for output in outputs(root) if output.is_learners], root)
    return [output.path for output in stale]


def build_scoreboard(
    root: Path = COURSE_ROOT, say: Callable[[str], None] = print, only: Sequence[str] = ()
) -> None:
    """Audit all checks, or only these, and write docs/checks.md; minutes."""
    if importlib.util.find_spec("coursekit.dev.audit") is None:
        return
    from coursekit.dev.audit import write_scoreboard

    write_scoreboard(root, only)
    say("wrote docs/checks.md")


def _holds_work(path: Path, root: Path) -> bool:
    """Return whether overwriting the file would lose what is nowhere else: neither generated here nor kept by
    git.
    """
    if not path.exists() or _digest(path) == _made(root).get(path.relative_to(root).as_posix()):
        return False
    try:
        done = subprocess.run(
            ["git", "diff", "--quiet", "HEAD", "--", str(path)], cwd=root, capture_output=True
        )
        known = subprocess.run(
            ["git", "ls-files", "--error-unmatch", str(path)], cwd=root, capture_output=True
        )
    except OSError:
        return True
    return done.returncode != 0 or known.returncode != 0


def _made(root: Path) -> dict[str, str]:
    """Return the digests of the stubs that were generated in this tree."""
    try:
        made = json.loads((root / MADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def _remember(paths: list[Path], root: Path) -> None:
    file = root / MADE
    file.parent.mkdir(exist_ok=True)
    made = {path.relative_to(root).as_posix(): _digest(path) for path in paths}
    file.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    """Return a hash of what was written in a file; of a notebook, what its cells say, not what running them
    left.
    """
    raw = path.read_bytes().replace(b"\r\n", b"\n")
    if path.suffix == ".ipynb":
        with contextlib.suppress(ValueError, KeyError, TypeError):  # damaged: all of it counts
            cells = json.loads(raw)["cells"]
            raw = json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in cells]).encode()
    return hashlib.sha256(raw).hexdigest()
