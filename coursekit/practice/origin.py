"""What an output rests on: the learner's file and, of each exercise, the version of the code that it used.

Notebook outputs carry it in their metadata, so that a page opened later can tell which of them are from an
earlier version of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from coursekit.judging.submission import Submission
from coursekit.registry import COURSE_ROOT, Milestone, RegistryError, Step, UnknownName, find_item
from coursekit.source.stub import StubError

KEY = "course"
UNKNOWN = "unknown"  # equal to no version: what rests on it is from an earlier one


def origin(step: Step, ids: Sequence[str], path: Path, sha256: str | None = None) -> dict[str, Any]:
    """Return {"file": ..., "versions": {id: version}} of exercises and milestones as the file is saved now.

    With `sha256`, the hash of the file that was used, a file saved anew since then has no version to give.
    """
    known = versions(step, path, ids)
    is_same = sha256 is None or sha256 == (
        hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    )
    return {
        "file": _shown(path, step.root),
        "versions": {item_id: known[item_id] if is_same else UNKNOWN for item_id in ids},
    }


def versions(step: Step, path: Path, ids: Collection[str] | None = None) -> dict[str, str]:
    """Return the version of these exercises and milestones of a step in this file, else of all: a hash.

    It changes with whatever a check of that exercise would run: its own code and the code outside all
    exercises, but not the body of another exercise. A milestone runs the file as it is.
    """
    found = {}
    items = [item for item in step.items if ids is None or item.id in ids]
    for trio in dict.fromkeys(item.trio for item in items):
        submission = Submission(step, trio, path)
        for item in items:
            if item.trio == trio:
                text = submission.text if isinstance(item, Milestone) else submission.isolated(item)[0]
                found[item.id] = hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()
    return found


def metadata(*origins: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of an output that rests on these, none where it rests on nobody's code."""
    return {KEY: {"rests_on": list(origins)}} if origins else {}


class Now:
    """The learners' files as they are saved now, each read once: `Now().has(origin)`."""

    def __init__(self, root: Path = COURSE_ROOT) -> None:
        self.root = root
        self._versions: dict[tuple[str, str, str], dict[str, str]] = {}

    def has(self, rests_on: Mapping[str, Any]) -> bool:
        """Tell whether every version is still the one in the file; False where that cannot be told."""
        file = str(rests_on.get("file"))
        kept = rests_on.get("versions", {})
        try:
            return all(self._version(file, item_id) == version for item_id, version in kept.items())
        except (UnknownName, RegistryError, StubError, OSError):
            return False

    def _version(self, file: str, item_id: str) -> str:
        step, item = find_item(item_id, self.root)
        if (file, step.folder, item.trio) not in self._versions:
            ids = [other.id for other in step.items if other.trio == item.trio]
            self._versions[file, step.folder, item.trio] = versions(step, self.root / file, ids)
        return self._versions[file, step.folder, item.trio][item_id]


def _shown(path: Path, root: Path) -> str:
    """Return the path relative to the course where it lies in it, so that a moved course stays current."""
    path = path.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
