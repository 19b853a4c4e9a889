"""Hints, solutions, resets and what is earned: nothing typed is lost, nothing given is called earned."""

from __future__ import annotations

import os
from typing import Any

RIGHT = 'return text.upper() + "!"'


def test_hints_come_weakest_first_and_are_counted(course: Any) -> None:
    for number, text in enumerate(course.step.exercises[0].hints, start=1):
        told = course.run("hint", "7.1a").stdout
        assert f"hint {number} of 3" in told
        assert text in told
    again = course.run("hint", "7.1a").stdout
    assert "hint 3 of 3, once more" in again
    assert "course solve 7.1a" in again
    assert "course solve" not in course.run("hint", "7.1b").stdout.split("This is the last hint")[0]
    assert "Hint 2 of 3: Think of [upper] case." in course.run("show", "7.1a").stdout


def test_show_tells_the_contract_and_the_place(course: Any) -> None:
    told = course.run("show", "7.2").stdout
    assert "def say(self, text: str) -> str:" in told
    assert "Return the text twice." in told
    line = course.stub.split("\n").index("    def say(self, text: str) -> str:") + 1
    assert f"{os.path.join('step7_words', 'model_exercise.py')}:{line}" in told


def test_solve_puts_the_solution_in_and_the_pass_is_not_earned(course: Any) -> None:
    course.write(count="return {}")
    before = course.file.read_bytes()
    done = course.run("solve", "7.1a")
    assert done.returncode == 0
    (backup,) = (course.root / ".course" / "backups" / "step7_words").iterdir()
    assert backup.read_bytes() == before
    assert backup.name in done.stdout
    assert course.run("check", "7.1a").returncode == 0
    told = course.run("progress").stdout
    assert "earned: nothing" in told
    assert "solved for you: 7.1a" in told
    assert "return {}" in course.file.read_text(encoding="utf-8")


def test_what_was_solved_can_still_be_earned(course: Any) -> None:
    course.run("solve", "7.1a")
    course.run("check", "7.1a")
    course.write(shout='return f"{text.upper()}!"')
    course.run("check", "7.1a")
    assert "earned: 7.1a" in course.run("progress").stdout


def test_reset_keeps_what_was_typed_byte_for_byte(course: Any) -> None:
    course.write(shout="return text  # my idea", Echo__say="return 2 * text")
    typed = course.file.read_bytes().replace(b"\n", b"\r\n")
    course.file.write_bytes(typed)
    done = course.run("reset", "7.1a")
    (backup,) = (course.root / ".course" / "backups" / "step7_words").iterdir()
    assert backup.read_bytes() == typed
    assert backup.name in done.stdout
    text = course.file.read_bytes().decode()
    assert "my idea" not in text
    assert "return 2 * text" in text
    assert text.count("\r\n") == text.count("\n")


def test_reset_of_what_is_untouched_changes_and_copies_nothing(course: Any) -> None:
    done = course.run("reset", "7.1")
    assert "empty exercise already" in done.stdout
    assert not (course.root / ".course" / "backups").exists()


def test_two_resets_within_a_second_keep_two_copies(course: Any) -> None:
    for body in ("return 1", "return 2"):
        course.write(shout=body)
        course.run("reset", "7.1a")
    assert len(list((course.root / ".course" / "backups" / "step7_words").iterdir())) == 2


def test_a_pass_is_earned_and_names_what_is_open_next(course: Any) -> None:
    course.write(shout=RIGHT)
    told = " ".join(course.run("check", "7.1a").stdout.split())
    assert "passed 7.1a Shouting (2 of 2 points)" in told
    assert "go on with 7.1b, Counting" in told
    assert "2 of 6 points earned" in course.run("progress").stdout


def test_code_that_changed_since_it_passed_is_said_so(course: Any) -> None:
    course.write(shout=RIGHT)
    course.run("check", "7.1a")
    course.write(shout="return text")
    assert "changed since it passed: 7.1a" in course.run("progress").stdout
    assert "earned, changed since" in course.run("list").stdout


def test_what_cannot_be_written_is_said_in_one_sentence(course: Any) -> None:
    state = course.root / ".course"
    (state / "progress.lock").unlink(missing_ok=True)
    (state / "progress.lock").mkdir(parents=True)
    (state / "backups").write_text("not a folder", encoding="utf-8")
    try:
        course.write(shout=RIGHT)
        checked = course.run("check", "7.1a")
        assert checked.returncode == 0
        assert "could not be kept" in checked.stderr
        hinted = course.run("hint", "7.1a")
        assert "hint 1 of 3" in hinted.stdout
        assert "could not be kept" in hinted.stderr
        for arguments in (["path", "quick"], ["reset", "7.1a"]):
            refused = course.run(*arguments)
            assert refused.returncode in (2, 3)
            assert refused.stderr.count("\n") == 1
        assert RIGHT in course.file.read_text(encoding="utf-8")
    finally:
        (state / "progress.lock").rmdir()
