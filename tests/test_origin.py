"""What an output rests on: versions change with what a check of the exercise runs, and with that alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from coursekit.judging.submission import Submission
from coursekit.practice.origin import KEY, UNKNOWN, Now, metadata, origin, versions
from coursekit.registry import load_course

TRIPLE = "return 3 * x"


@pytest.fixture
def file(toy: Any, tmp_path: Path) -> Path:
    """The learner's file, everything written."""
    path = tmp_path / "model_exercise.py"
    path.write_text(toy.solution, encoding="utf-8")
    return path


def changed(toy: Any, file: Path, text: str) -> set[str]:
    """Write a text and return the ids whose version is another one since."""
    before = versions(toy.step, file)
    file.write_text(text, encoding="utf-8")
    after = versions(toy.step, file)
    assert before.keys() == after.keys() == set(toy.items)
    return {name for name in before if before[name] != after[name]}


def test_a_body_counts_for_its_exercise_and_for_milestones_alone(toy: Any, file: Path) -> None:
    milestones = {name for name, item in toy.items.items() if item.is_milestone}
    assert milestones
    assert changed(toy, file, toy.with_bodies(double=TRIPLE)) == {"8.1", *milestones}


def test_code_outside_the_exercises_counts_for_all(toy: Any, file: Path) -> None:
    assert changed(toy, file, toy.solution + "\nMINE = 1\n") == set(toy.items)


def test_saving_the_same_text_again_changes_nothing(toy: Any, file: Path) -> None:
    assert changed(toy, file, toy.solution) == set()


def test_a_file_that_is_missing_damaged_or_no_text_has_versions_too(toy: Any, file: Path) -> None:
    kept = [versions(toy.step, file)]
    for data in (b"def (\n", toy.solution.encode() + b"# \xff\n"):
        file.write_bytes(data)
        kept.append(versions(toy.step, file))
    file.unlink()
    kept.append(versions(toy.step, file))
    milestone = next(name for name, item in toy.items.items() if item.is_milestone)
    assert len({one[milestone] for one in kept}) == 4


def test_an_origin_takes_apart_what_was_asked_for_alone(
    toy: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each exercise of a long step costs its own time, and every check in a notebook has an origin.
    taken: list[str] = []
    isolated = Submission.isolated
    monkeypatch.setattr(Submission, "isolated", lambda *a: taken.append(a[1].id) or isolated(*a))
    origin(toy.step, ["8.2"], file)
    assert taken == ["8.2"]


def test_an_origin_names_the_file_and_the_versions_that_were_asked_for(toy: Any, file: Path) -> None:
    found = origin(toy.step, ["8.2", "8.1"], file)
    known = versions(toy.step, file)
    assert found == {"file": file.as_posix(), "versions": {name: known[name] for name in ("8.2", "8.1")}}


def test_a_file_within_the_course_is_named_from_its_folder(toy: Any) -> None:
    path = toy.step.path / "model_exercise.py"
    assert origin(toy.step, [], path)["file"] == "step8_toy/model_exercise.py"
    roundabout = toy.root / "step8_toy" / ".." / "step8_toy" / "model_exercise.py"
    assert origin(toy.step, [], roundabout)["file"] == "step8_toy/model_exercise.py"


def test_a_file_saved_anew_since_it_was_used_has_no_version_to_give(toy: Any, file: Path) -> None:
    used = hashlib.sha256(file.read_bytes()).hexdigest()
    assert origin(toy.step, ["8.1"], file, used) == origin(toy.step, ["8.1"], file)
    file.write_text(toy.solution + "\n", encoding="utf-8")
    assert origin(toy.step, ["8.1"], file, used)["versions"] == {"8.1": UNKNOWN}
    file.unlink()
    assert origin(toy.step, ["8.1"], file, used)["versions"] == {"8.1": UNKNOWN}
    assert origin(toy.step, ["8.1"], file, "")["versions"] != {"8.1": UNKNOWN}, "missing then, missing now"


def test_metadata_is_none_for_what_rests_on_nobody_s_code() -> None:
    assert metadata() == {}
    assert metadata({"file": "a"}, {"file": "b"}) == {KEY: {"rests_on": [{"file": "a"}, {"file": "b"}]}}


@pytest.fixture
def kept(toy: Any) -> Any:
    """An origin in a course whose file is there, and the file; it is taken away again."""
    load_course.cache_clear()
    path = toy.step.path / "model_exercise.py"
    path.write_text(toy.solution, encoding="utf-8")
    yield path, origin(toy.step, ["8.1", "8.2"], path)
    path.unlink(missing_ok=True)
    load_course.cache_clear()


def test_now_has_what_is_as_it_was(toy: Any, kept: Any) -> None:
    path, rests_on = kept
    assert Now(toy.root).has(rests_on)
    path.write_text(toy.with_bodies(double=TRIPLE), encoding="utf-8")
    assert not Now(toy.root).has(rests_on)
    assert Now(toy.root).has({**rests_on, "versions": {"8.2": rests_on["versions"]["8.2"]}})
    path.write_text(toy.solution, encoding="utf-8")
    assert Now(toy.root).has(rests_on), "put back as it was, it is as it was"


def test_now_reads_a_file_once(toy: Any, kept: Any) -> None:
    path, rests_on = kept
    now = Now(toy.root)
    assert now.has(rests_on)
    path.unlink()
    assert now.has(rests_on)
    assert not Now(toy.root).has(rests_on)


@pytest.mark.parametrize(
    "rests_on",
    [
        {"file": "step8_toy/model_exercise.py", "versions": {"8.1": UNKNOWN}},
        {"file": "step8_toy/model_exercise.py", "versions": {"8.99": "0"}},
        {"file": "step8_toy", "versions": {"8.1": "0"}},
        {"versions": {"8.1": "0"}},
    ],
)
def test_what_cannot_be_told_is_not_as_it_was(toy: Any, kept: Any, rests_on: dict[str, Any]) -> None:
    assert not Now(toy.root).has(rests_on)


def test_what_used_no_exercise_is_always_as_it_was(toy: Any) -> None:
    for rests_on in ({"file": "step8_toy/model_exercise.py", "versions": {}}, {"file": "gone.py"}, {}):
        assert Now(toy.root).has(rests_on)
