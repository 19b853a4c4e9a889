"""`course hunt` where it cannot begin: one sentence with the way on, and exit status 2."""

from __future__ import annotations

from typing import Any


def test_a_hunt_needs_a_passed_exercise_and_names_the_way_without_one(course: Any) -> None:
    for arguments, way in ((("hunt",), "course hunt --all"), (("hunt", "7.1a"), "course hunt 7.1a --all")):
        done = course.run(*arguments)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "pass 7.1a first" in done.stderr
        assert way in done.stderr


def test_a_hunt_without_a_terminal_says_where_it_can_be_played(course: Any) -> None:
    done = course.run("hunt", "--all")
    assert done.returncode == 2
    assert done.stderr.endswith("run course hunt in a terminal, or hunt() in a notebook\n")
    course.run("solve", "7.1a")
    course.run("check", "7.1a")
    assert "in a terminal" in course.run("hunt").stderr


def test_a_hunt_in_what_has_no_mistakes_of_its_own_says_so(course: Any) -> None:
    assert "there is no exercise" in course.run("hunt", "9.9").stderr
    done = course.run("hunt", "7.all", "--all")
    assert done.returncode == 2
    assert "a hunt needs an exercise, got 7.all: name one of" in done.stderr
