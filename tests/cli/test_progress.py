"""What is remembered of a learner: nothing invented, nothing lost, whoever writes at the same time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.practice import progress
from coursekit.practice.path import next_open
from coursekit.practice.progress import Progress, Standing
from coursekit.practice.standing import keep, record


def report_on(course: Any, *ids: str, status: Status = Status.PASSED) -> Report:
    digest = hashlib.sha256(course.file.read_bytes()).hexdigest()
    return Report(str(course.file), digest, tuple(Verdict(i, status, 2.0, 2, "next") for i in ids))


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from coursekit.practice import progress\n"
        "add = lambda p: p.answers.setdefault(sys.argv[1], []).append(n)\n"
        "for n in range(25): progress.update(add, Path(sys.argv[2]))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, name, str(tmp_path)], cwd=Path(__file__).parents[2])
        for name in ("a", "b")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert progress.load(tmp_path).answers == {"a": list(range(25)), "b": list(range(25))}


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: Any) -> None:
    progress.update(lambda p: setattr(p, "path", "quick"), tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        progress.update(lambda p: setattr(p, "path", "all"), tmp_path)
    assert progress.load(tmp_path).path == "quick"
    assert [p.name for p in (tmp_path / ".course").glob("*.tmp")] == []


@pytest.mark.parametrize("content", ["{", "[]", '{"exercises": 3}', '{"answers": {"q": ["x"]}}', ""])
def test_a_damaged_file_counts_as_nothing_and_is_set_aside_by_the_next_write(
    tmp_path: Path, content: str
) -> None:
    path = progress.progress_file(tmp_path)
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    assert progress.load(tmp_path) == Progress()
    assert path.read_text(encoding="utf-8") == content
    progress.update(lambda p: setattr(p, "path", "all"), tmp_path)
    assert progress.load(tmp_path).path == "all"
    assert [p.read_text(encoding="utf-8") for p in path.parent.glob("progress.damaged-*")] == [content]


def test_fields_of_a_newer_version_are_no_reason_to_fail(tmp_path: Path) -> None:
    path = progress.progress_file(tmp_path)
    path.parent.mkdir()
    path.write_text(
        json.dumps({"exercises": {"7.1a": {"earned": "t", "stars": 3}}, "path": "scenic"}), "utf-8"
    )
    known = progress.load(tmp_path)
    assert known.standing("7.1a") is Standing.EARNED
    assert known.path == "core"


def test_a_pass_of_the_learners_own_code_is_earned_and_a_failure_is_not_recorded(course: Any) -> None:
    course.write(shout='return text.upper() + "!"')
    assert record(course.step, report_on(course, "7.1a")) is None
    assert record(course.step, report_on(course, "7.1b", status=Status.FAILED)) is None
    known = progress.load(course.root)
    assert (known.standing("7.1a"), known.standing("7.1b")) == (Standing.EARNED, Standing.OPEN)


def test_a_report_on_another_state_of_the_file_earns_nothing(course: Any) -> None:
    report = report_on(course, "7.1a")
    course.write(shout="return text")
    record(course.step, report)
    assert progress.load(course.root).standing("7.1a") is Standing.OPEN


def test_a_milestone_that_rests_on_solved_code_is_not_earned(course: Any) -> None:
    course.file.write_text(course.solution, encoding="utf-8")
    mark = progress.stamp()
    progress.update(lambda p: vars(p.note("7.2")).update(solved=mark, seen=mark), course.root)
    record(course.step, report_on(course, "7.1a", "7.2", "7.all"))
    known = progress.load(course.root)
    assert known.standing("7.1a") is Standing.EARNED
    assert known.standing("7.2") is Standing.SOLVED
    assert known.standing("7.all") is Standing.SOLVED


def test_progress_that_cannot_be_kept_is_said_and_the_verdict_stands(course: Any, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("coursekit.practice.standing.update", refuse)
    told, problem = keep(course.step, report_on(course, "7.1a"))
    assert told.verdicts[0].status is Status.PASSED
    assert problem is not None
    assert "Permission denied" in problem


def test_the_next_open_exercise_follows_the_path_the_order_and_the_needs(course: Any) -> None:
    def after(done: set[str], path: str = "core", place: str = "") -> str | None:
        item = next_open(course.step, done, path, place)
        return item and item.id

    assert after(set()) == "7.1a"
    assert after({"7.1a"}, place="7.1a") == "7.1b"
    assert after({"7.1a"}, "quick", "7.1a") == "7.2"
    assert after({"7.2"}, place="7.2") == "7.1a"
    assert after({"7.1a", "7.2", "7.1b"}) == "7.all"
    assert after({item.id for item in course.step.items}) is None
