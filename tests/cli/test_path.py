"""The path a learner takes: what it holds, how long it is, and that whatever says "next" follows it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coursekit.practice import progress
from coursekit.practice.path import minutes_of, next_open
from coursekit.practice.progress import Hunts

RIGHT = 'return text.upper() + "!"'


def test_path_shows_each_with_its_exercises_and_minutes_and_marks_yours(course: Any) -> None:
    lines = course.run("path").stdout.splitlines()
    assert lines == [
        "quick 2 exercises, about 10 minutes",
        "core  3 exercises, about 1.8 hours  <- yours",
        "all   3 exercises, about 1.8 hours",
    ]


@pytest.mark.parametrize(("path", "following"), [("quick", "7.2"), ("core", "7.1b"), ("all", "7.1b")])
def test_list_progress_and_the_next_step_after_a_pass_follow_the_path(
    course: Any, path: str, following: str
) -> None:
    chosen = course.run("path", path)
    assert f"{path:6}" in next(line for line in chosen.stdout.splitlines() if "<- yours" in line)
    assert "Next: 7.1a Shouting\n  step7_words/model_exercise.py:6" in chosen.stdout
    assert ("7.1b" in course.run("list").stdout) is (path != "quick")
    course.write(shout=RIGHT)
    told = course.run("check", "7.1a").stdout
    assert f"Next: go on with {following}" in told
    assert f"of the path '{path}' done" in told
    shown = course.run("progress").stdout
    assert f"Next: {following}" in shown
    assert ("7.1b" in shown) is (path != "quick")


def test_an_unknown_path_is_answered_in_one_sentence_and_changes_nothing(course: Any) -> None:
    done = course.run("path", "scenic")
    assert (done.returncode, done.stderr) == (2, "a path is quick, core or all, got 'scenic'\n")
    assert progress.load(course.root).path == "core"


def test_a_path_that_is_done_names_the_wider_one(course: Any) -> None:
    course.run("path", "quick")
    course.write(shout=RIGHT, Echo__say="return text + text")
    told = course.run("check", "7.1a", "7.2").stdout
    assert "the path 'quick' is done; 2 more with: course path core" in told
    assert "The path 'quick' is done" in course.run("progress").stdout


def test_progress_tells_earned_solved_and_open_what_is_left_and_the_hunts(course: Any) -> None:
    course.write(shout=RIGHT)
    course.run("check", "7.1a")
    course.run("solve", "7.2")
    hunts = Hunts(streak=3, best=4, found=5, played=7)
    progress.update(lambda known: setattr(known, "hunts", hunts), course.root)
    told = course.run("progress").stdout
    assert "  2 of 6 points earned on the path 'core'\n  earned: 7.1a\n  solved for you: 7.2\n" in told
    assert "  open: 7.1b, 7.all\n" in told
    assert "2 of 3 parts of the path 'core' done, about 1.7 hours left" in told
    assert "5 of 7 hunts won at the first name, 3 in a row now, 4 at best" in told


def test_next_waits_for_needs_of_the_path_and_not_for_what_the_path_leaves_out(course: Any) -> None:
    step = course.step

    def after(done: set[str], path: str, place: str = "") -> str | None:
        item = next_open(step, done, path, place)
        return item and item.id

    assert after(set(), "core", "7.1a") == "7.2"  # 7.1b needs 7.1a
    assert after({"7.1a"}, "core", "7.1a") == "7.1b"
    assert after({"7.1a", "7.2"}, "quick") is None


@pytest.mark.parametrize(("minutes", "words"), [(0, ""), (1, "about 1 minute"), (90, "about 1.5 hours")])
def test_a_length_is_told_in_minutes_then_in_hours(course: Any, minutes: int, words: str) -> None:
    import dataclasses

    assert minutes_of([dataclasses.replace(course.step.exercises[0], minutes=minutes)]) == words


def test_the_version_is_pyprojects(course: Any) -> None:
    (course.root / "pyproject.toml").write_text('[project]\nversion = "3.2.1"\n', encoding="utf-8")
    try:
        assert course.run("--version").stdout.startswith("course 3.2.1, Python 3.")
    finally:
        (course.root / "pyproject.toml").unlink()
    assert course.run("--version").stdout.startswith("course unknown")


def test_a_json_report_says_the_next_step_of_the_path(course: Any) -> None:
    course.write(shout=RIGHT)
    (told,) = json.loads(course.run("check", "7.1a", "--json").stdout)["exercises"]
    assert told["next"] == "go on with 7.1b, Counting: course show 7.1b"
