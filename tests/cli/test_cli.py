"""`course` as a learner types it: real processes, exit statuses, messages."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

KEYS = {"id", "status", "score", "points", "claim", "got", "expected", "mistake", "next"}
RIGHT = 'return text.upper() + "!"'


def test_list_names_every_exercise_without_judging_or_importing_torch(course: Any) -> None:
    told = course.run("list").stdout
    assert all(item.id in told and item.title in told for item in course.step.items)
    code = (
        "import sys; from coursekit.cli import app; app.run(['list'])\n"
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    assert course.python("-c", code).returncode == 0


def test_check_says_not_started_for_an_untouched_file_and_ends_with_1(course: Any) -> None:
    done = course.run("check")
    assert done.returncode == 1
    assert done.stdout.count("not started") >= 3
    assert "blocked" in done.stdout
    assert "✓" not in done.stdout
    assert done.stderr == ""


def test_check_ends_with_0_when_everything_passes(course: Any) -> None:
    course.file.write_text(course.solution, encoding="utf-8")
    done = course.run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 of 4 passed, 6 of 6 points" in done.stdout


def test_a_known_mistake_is_named_in_its_own_words(course: Any) -> None:
    course.write(shout="return text.upper()")
    told = " ".join(course.run("check", "7.1a").stdout.split())
    assert "a shout has upper case and a mark [!]" in told
    assert "The mark is missing: <nobody> hears [it]." in told
    assert "Next: course hint 7.1a" in told


def test_an_unknown_fault_is_shown_on_the_smallest_input_and_called_unknown(course: Any) -> None:
    course.write(shout='print("here [red]")\nreturn text')
    told = course.run("check", "7.1a").stdout
    assert "The one known mistake gives other values" in told
    assert re.search(r"text = '?a'?\n", told)
    assert "here [red]" in told


def test_json_is_the_promised_object(course: Any) -> None:
    course.write(shout=RIGHT, count='return {"a": 2, "b": 1}')
    done = course.run("check", "7.1", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert {"file", "sha256", "exercises", "total"} <= set(told)
    assert all(set(entry) >= KEYS for entry in told["exercises"])
    assert [(e["id"], e["status"], e["score"]) for e in told["exercises"]] == [
        ("7.1a", "passed", 2),
        ("7.1b", "failed", 1),
    ]
    assert told["total"] == {"score": 3, "points": 5}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "7.1z"], "did you mean 7.1a or 7.1b"),
        (["check", "9"], "there is step7_words with 7.1a to 7.all"),
        (["check", "step7_word"], "did you mean step7_words"),
        (["check", "--file", "step7_words/model_exercise.py"], "exactly one step"),
        (["check", "7", "--file", "nowhere.py"], "no such file"),
        (["check", "7", "--file", "step7_words"], "it is a folder"),
        (["check", "--jsn"], "No such option: --jsn"),
        (["chek"], "Did you mean 'check'?"),
        (["hint"], "Missing argument 'ID'. To see how it is typed: course hint --help"),
        (["hint", "7"], "name one exercise"),
        (["hint", "7.all"], "has no hints"),
        (["solve", "7.all"], "no code of its own"),
        (["path", "short"], "quick, core or all"),
    ],
)
def test_wrong_usage_is_one_sentence_on_stderr_and_status_2(
    course: Any, arguments: list[str], said: str
) -> None:
    done = course.run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_another_file_can_be_checked_and_earns_nothing(course: Any, tmp_path: Any) -> None:
    other = tmp_path / "handed_in.py"
    other.write_text(course.solution, encoding="utf-8")
    assert course.run("check", "7", "--file", str(other)).returncode == 0
    assert "earned: nothing" in course.run("progress").stdout


def test_a_missing_file_is_wrong_usage_and_reset_brings_a_fresh_one(course: Any) -> None:
    course.file.unlink()
    done = course.run("check")
    assert done.returncode == 2
    assert "course reset step7_words" in done.stderr
    assert course.run("reset", "step7_words").returncode == 0
    assert course.file.read_text(encoding="utf-8") == course.stub


def test_a_path_leaves_out_what_is_not_on_it(course: Any) -> None:
    assert re.search(r"quick +2 exercises, about 10 minutes", course.run("path").stdout)
    assert "<- yours" in course.run("path", "quick").stdout.split("\n")[0]
    told = course.run("list").stdout
    assert "7.1b" not in told
    assert "not on the path 'quick'" in told


def test_a_program_of_the_step_runs_under_its_name_with_its_own_arguments(course: Any) -> None:
    done = course.run("greet", "--loud", "you")
    assert done.stdout == "course greet greets --loud you\n"
    assert done.returncode == 4
    assert "Greet somebody." in course.run("--help").stdout


def test_nothing_is_colored_without_a_terminal_or_under_no_color(course: Any) -> None:
    for environment in ({}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"TERM": "dumb"}):
        told = course.run("check", **environment).stdout
        assert not re.search(r"\x1b\[(3[0-7]|9[0-7])", told)


def test_old_code_pages_show_words_where_they_have_no_symbol(course: Any) -> None:
    course.write(shout=RIGHT)
    done = course.run("check", "7.1a", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.startswith("passed")


def test_sixty_columns_are_enough(course: Any) -> None:
    course.write(shout='raise ValueError("a long message " * 9)')
    for arguments in (["check"], ["list"], ["show", "7.1b"], ["hint", "7.1a"], ["progress"], ["path"]):
        told = course.run(*arguments, COLUMNS="60").stdout
        assert max(len(line.rstrip()) for line in told.split("\n")) <= 60


def test_a_reader_that_goes_away_is_no_failure(course: Any) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'coursekit.cli.app', 'list'], "
        "stdout=subprocess.PIPE, stderr=subprocess.PIPE); p.stdout.close(); "
        "print(p.stderr.read().decode(), end=''); sys.exit(p.wait())"
    )
    done = course.python("-c", code)
    assert "Traceback" not in done.stdout
    assert "Exception ignored" not in done.stdout


def test_a_file_checks_itself(course: Any) -> None:
    course.write(shout=RIGHT)
    done = course.python("step7_words/model_exercise.py")
    assert done.returncode == 1
    assert "1 of 4 passed, 2 of 6 points" in done.stdout
    assert "earned: 7.1a" in course.run("progress").stdout


def test_doctor_says_what_workers_hold(course: Any) -> None:
    told = course.run("doctor", COURSE_WORKERS="spares").stdout
    assert re.search(r"workers +2 wait, each used once: \d+ MiB \(at most 1024 MiB\)", told)
    told = " ".join(course.run("doctor").stdout.split())
    assert re.search(r"workers +\d wait.*: \d+ MiB.*; one check may take 2048 MiB", told)
    assert "Python" in told


def test_an_endless_loop_and_a_dead_process_leave_no_worker_behind(course: Any) -> None:
    import psutil

    course.write(Echo__say="while True:\n    pass", shout="import os\nos._exit(3)")
    told = course.run("check").stdout
    assert "timeout" in told
    assert "crashed" in told
    left = []
    for process in psutil.process_iter():
        try:
            is_worker = str(course.root) == process.cwd() and "coursekit.workers.process" in process.cmdline()
        except psutil.Error:
            continue
        if is_worker:
            left.append(process.pid)
    assert left == []


def test_nothing_a_terminal_shows_ends_in_blanks(course: Any) -> None:
    course.write(shout='print("x " * 40)\nreturn text')
    for arguments in (["show", "7.1b"], ["hint", "7.1a"], ["check", "7.1a"]):
        told = course.run(*arguments, COLUMNS="40").stdout
        assert all(line == line.rstrip() for line in told.split("\n"))
