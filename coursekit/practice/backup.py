"""Copies of the learner's files before a command changes them: nothing that was typed is ever lost."""

from __future__ import annotations

from pathlib import Path

from coursekit.practice.progress import stamp
from coursekit.registry import COURSE_ROOT


def keep_backup(path: Path, root: Path = COURSE_ROOT) -> Path:
    """Copy a file byte for byte into `.course/backups/`, the time in its name; return where the copy is.

    A second copy within the same second gets a name of its own. Raises OSError where the copy cannot be
    written: the caller must then leave the file alone.
    """
    folder = root / ".course" / "backups" / path.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    content = path.read_bytes()
    for number in range(1, 1000):
        tail = stamp() if number == 1 else f"{stamp()}-{number}"
        copy = folder / f"{path.stem}-{tail}{path.suffix}"
        try:
            with copy.open("xb") as file:
                file.write(content)
        except FileExistsError:
            continue
        return copy
    raise FileExistsError(f"{folder} must have room for another copy, got 1000 of the same second")
