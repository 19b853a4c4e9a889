"""Looking inside: `course debug` with a keyboard, `case` and `hint` in a notebook."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from coursekit import case, hint
from coursekit.loading import InOneSentence
from coursekit.practice import progress
from coursekit.practice.alone import load_alone

RIGHT = 'return text.upper() + "!"'


def debug(course: Any, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return subprocess.run(
        [sys.executable, "-m", "coursekit.cli.app", "debug", *arguments],
        cwd=course.root,
        env=kept | {"PYTHONPATH": str(course.root), "PYTHONIOENCODING": "utf-8"},
        input=typed,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_debug_runs_the_claim_that_fails_with_prints_and_both_values(course: Any) -> None:
    course.write(shout='print("here", text)\nreturn text.upper()')
    done = debug(course, "7.1a")
    assert done.returncode == 1
    assert "7.1a Shouting, claim 1 of 1: a shout has upper case and a mark [!]" in done.stdout
    assert "here ab" in done.stdout
    assert "yours  = 'AB'\nwanted = 'AB!'" in done.stdout.replace("ABC", "AB")


def test_the_claims_before_run_in_silence_and_past_every_breakpoint(course: Any) -> None:
    body = 'print("called with", words)\nbreakpoint()\nreturn {word: words.count(word) for word in words}'
    course.write(count=body)
    done = debug(course, "7.1b", "--claim", "2", typed="p words\nc\n")
    assert done.stdout.count("called with") == 1
    assert "called with ['a', 'A']" in done.stdout
    assert "The 1 claim before it ran in silence." in done.stdout
    assert "(Pdb) ['a', 'A']" in done.stdout


def test_input_and_the_debugger_read_the_keyboard_and_q_ends_cleanly(course: Any) -> None:
    course.write(shout='mark = input("which? ")\nreturn text.upper() + mark')
    assert debug(course, "7.1a", typed="!\n").returncode == 0
    for body in ("breakpoint()\nreturn text", "import pdb; pdb.set_trace()\nreturn text"):
        course.write(shout=body)
        line = course.file.read_text(encoding="utf-8").split("\n").index(f"    {body.splitlines()[0]}") + 1
        done = debug(course, "7.1a", typed="p text\nq\n")
        assert (done.returncode, done.stderr) == (0, "Checking 7.1a first ...\n")
        assert f"model_exercise.py({line + 1})shout()" in done.stdout
        assert done.stdout.endswith("Left the debugger.\n")


def test_an_exception_has_its_traceback_in_the_learners_lines_without_the_engine(course: Any) -> None:
    course.write(count="return 1", shout="raise KeyError(text)")
    line = course.file.read_text(encoding="utf-8").split("\n").index("    raise KeyError(text)") + 1
    done = debug(course, "7.1a")
    assert done.returncode == 1
    assert f'model_exercise.py", line {line}, in shout' in done.stdout
    assert "KeyError: 'ab" in done.stdout
    assert "coursekit" not in done.stdout
    assert "Wanted: 'AB" in done.stdout


def test_debug_runs_what_passes_too_and_says_so(course: Any) -> None:
    course.write(shout=RIGHT)
    done = debug(course, "7.1a")
    assert done.returncode == 0
    assert "Everything passes." in done.stdout
    assert "Came back, as it should: 'AB" in done.stdout


def test_debug_of_the_smallest_input(course: Any) -> None:
    course.write(shout="print(repr(text))\nreturn text")
    done = debug(course, "7.1a", "--small")
    assert "the smallest input that fails:\n  text = 'a'\n" in done.stdout
    assert "'a'\nyours  = 'a'\nwanted = 'A!'" in done.stdout
    course.write(shout=RIGHT)
    assert "none of the small inputs of 7.1a fails" in debug(course, "7.1a", "--small").stderr
    course.write(shout="breakpoint()\nreturn text")
    assert "(Pdb) 'a'" in debug(course, "7.1a", "--small", typed="p text\nq\n").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["7.1a"], "7.1a is not started: shout is as the course gave it"),
        (["7.all"], "7.all is blocked"),
        (["7.1"], "name one exercise, got '7.1'"),
        (["7.1a", "--claim", "1", "--small"], "--claim or --small, got both"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(course: Any, arguments: list[str], told: str) -> None:
    done = debug(course, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_claim_that_there_is_not_is_one_sentence(course: Any) -> None:
    course.write(count="return {}")
    done = debug(course, "7.1b", "--claim", "3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the claims of 7.1b are numbered 1 to 2, got 3" in done.stderr


def test_a_file_that_python_cannot_read_is_told_as_in_a_check(course: Any) -> None:
    course.write(shout="return (text")
    done = debug(course, "7.1a")
    assert "Traceback" not in done.stderr + done.stdout
    assert "was never closed" in done.stderr
    assert done.returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal to another process there")
def test_ctrl_c_ends_a_loop_and_names_its_line(course: Any) -> None:
    course.write(shout="if len(text) > 0:\n    import time; print('waiting', flush=True); time.sleep(600)")
    kept = {**os.environ, "PYTHONPATH": str(course.root), "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "coursekit.cli.app", "debug", "7.1a"],
        cwd=course.root,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    told = ""
    while not told.endswith("waiting\n"):
        told += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    told += process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "of step7_words" in told
    assert "Traceback" not in told


# --- case and hint in a notebook


def test_case_hands_out_the_smallest_call_that_fails(here: Any) -> None:
    here.write(shout="return text.upper()")
    found = case("7.1a")
    assert (found.inputs, found.wanted, found.yours, found.error) == ({"text": "a"}, "A!", "A", None)
    assert found.function(**found.inputs) == "A"
    assert found.object is None
    assert "the smallest call that fails" in repr(found)
    assert 'c = case("7.1a"); c.function(**c.inputs)' in repr(found)


def test_case_of_a_method_hands_out_what_it_is_called_on(here: Any) -> None:
    here.write(Echo__say="return text + text.upper()")
    found = case("7.2")
    text = found.inputs["text"]
    assert (found.wanted, found.yours) == (2 * text, text + text.upper())
    assert found.object.say(text) == found.function(**found.inputs) == found.yours
    assert "the call that fails (an echo says it twice)" in repr(found)


def test_case_holds_what_was_raised(here: Any) -> None:
    here.write(shout="raise KeyError(text)")
    found = case("7.1a")
    assert isinstance(found.error, KeyError)
    assert (found.inputs, found.wanted) == ({"text": "a"}, "A!")
    assert "error  = KeyError: 'a'" in repr(found)


def test_a_fault_outside_the_exercises_keeps_neither_case_nor_debug_from_looking_in(here: Any) -> None:
    for fault in ("def broken(:\n", "print(unknown)\n"):
        here.write(shout="return text.upper()")
        text = here.file.read_text(encoding="utf-8")
        here.file.write_text(f"{text}\n{fault}", encoding="utf-8")
        assert (case("7.1a").yours, case("7.1a").wanted) == ("A", "A!")
        told = debug(here, "7.1a").stdout
        assert "yours  = 'AB" in told
        assert "Traceback" not in told


def test_a_breakpoint_outside_the_exercises_is_left_like_any_other(here: Any) -> None:
    here.write(shout="return text.upper()")
    text = here.file.read_text(encoding="utf-8")
    here.file.write_text(f"{text}\nbreakpoint()\n", encoding="utf-8")
    done = debug(here, "7.1a", typed="q\n")
    assert (done.returncode, done.stdout.count("(Pdb)")) == (0, 1)
    assert done.stdout.endswith("Left the debugger.\n")


def test_a_line_number_in_the_solutions_file_is_still_the_learners(here: Any) -> None:
    here.write(Echo__say="raise KeyError(text)", shout="return text")
    text = f"import os\n\n{here.file.read_text(encoding='utf-8')}"
    here.file.write_text(f"{text}\ndef broken(:\n", encoding="utf-8")
    line = text.split("\n").index("        raise KeyError(text)") + 1
    assert f'model_exercise.py", line {line}, in say' in debug(here, "7.2").stdout


def test_case_of_what_passes_says_so(here: Any) -> None:
    here.write(shout=RIGHT)
    found = case("7.1a")
    assert found.yours == found.wanted == "A!"
    assert "everything passes" in repr(found)


def test_code_that_does_not_end_is_not_run_again_by_case(here: Any) -> None:
    here.write(shout="import os; os._exit(0)")
    found = case("7.1a")
    assert (found.yours, found.error) == (None, None)
    assert "not run here" in repr(found)
    assert found.inputs == {"text": "ab"} or found.inputs == {"text": "abc"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (7.1, "in quotes"),
        ("7.1a", "as the course gave it"),
        ("7.all", "has no call of its own"),
        ("7", "name one"),
        ("x", "no"),
    ],
)
def test_where_there_is_no_case_one_sentence_says_why(here: Any, name: str, told: str) -> None:
    with pytest.raises(InOneSentence, match=told):
        case(name)


def test_in_grading_there_is_neither_case_nor_hint(here: Any, monkeypatch: Any) -> None:
    here.write(shout="return text.upper()")
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    for ask in (case, hint):
        with pytest.raises(InOneSentence, match="In grading"):
            ask("7.1a")
    assert progress.load(here.root).note("7.1a").hints == 0


def test_hints_climb_in_a_notebook_and_end_with_solve(here: Any) -> None:
    told = [repr(hint("7.1a")) for _ in range(4)]
    for number, text in enumerate(here.step.exercises[0].hints):
        assert text in told[number]
    assert 'the next hint: hint("7.1a")' in told[0]
    assert "course solve 7.1a" in told[2]
    assert "once more" in told[3]
    with pytest.raises(InOneSentence, match="has no hints"):
        hint("7.all")


def test_an_exercise_is_loaded_alone_with_its_own_lines(here: Any) -> None:
    here.write(shout="return text.upper()  # mine", count="return 0")
    module = load_alone(here.step, here.step.exercises[0], here.file)
    line = here.file.read_text(encoding="utf-8").split("\n").index("    return text.upper()  # mine")
    assert module.shout.__code__.co_filename == str(here.file)
    assert line + 1 in {number for *_, number in module.shout.__code__.co_lines()}
    assert module.shout("a") == "A"
    assert module.count(["a", "b", "a"]) != 0
    assert module.__name__ not in sys.modules
