"""What a pass is answered with, in a terminal and on a page: use, reason, the reference, where to go on."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coursekit.judging.passing import Beside, Following, Passing
from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.practice.passing import page_of, shows_reference
from coursekit.registry import Exercise, RegistryError, Step
from coursekit.render.html import report_html
from coursekit.render.links import place_text
from coursekit.render.terminal import make_console, print_report, report_text
from coursekit.source.beside import aligned, body_lines, marked_pieces

STEP = Step("step7_words", 7, "Words", "?", "docs", (Exercise("7.1", "One", (), 2, 1, 1, (), (), ""),), ())
ROWS = (("a = 1", None), ("b = f(x[0])", "b = g(x[0])"), (None, "<i>c</i> = 3"), ("return b", "return b"))
FILE = Path.cwd() / "step7_words" / "model_exercise.py"
PASSING = Passing(
    "You can do [this] now.",
    "It is <so>.",
    "docs/words.md#one",
    "1 of 2 parts done",
    (Beside("f", ROWS),),
    Following("7.2", "Two", str(FILE), 12, f"{FILE.parent}/tutorial.ipynb#7.2-Two"),
)
VERDICT = Verdict("7.1", Status.PASSED, 2.0, 2, "go on with 7.2, Two: course show 7.2", passing=PASSING)


def report(verdict: Verdict = VERDICT) -> Report:
    return Report("model_exercise.py", "0" * 64, (verdict,))


def test_a_pass_says_its_use_its_reason_the_reference_and_where_to_go_on() -> None:
    told = report_text(report(), STEP, 80)
    order = [
        "passed",
        "You can do [this] now.",
        "Why: It is <so>.",
        "The reference beside yours",
        "To read: docs/",
    ]
    order += ["Next: go on with 7.2", "step7_words/model_exercise.py:12", "1 of 2 parts done"]
    places = [told.index(words) for words in order]
    assert places == sorted(places)


def test_what_has_passed_before_is_told_shortly() -> None:
    again = replace(VERDICT, passing=replace(PASSING, again=True))
    told = report_text(report(again), STEP, 80)
    assert told.splitlines() == [
        "✓ passed  7.1 One  (2 of 2 points), as before",
        "  Next: go on with 7.2, Two: course show 7.2",
        "    step7_words/model_exercise.py:12",
        "  1 of 2 parts done",
    ]


def test_a_narrow_terminal_shows_one_below_the_other_and_a_wide_one_two_columns() -> None:
    narrow = report_text(report(), STEP, 99)
    assert "< b = f(x[0])\n    > b = g(x[0])\n    > <i>c</i> = 3\n      return b" in narrow
    wide = report_text(report(), STEP, 100)
    assert re.search(r"b = f\(x\[0\]\) +\| b = g\(x\[0\]\)\n +> <i>c</i> = 3\n    return b +return b", wide)


@pytest.mark.parametrize("width", [40, 60, 99, 100, 140])
def test_no_line_of_a_pass_is_wider_than_the_terminal(width: int) -> None:
    rows = (("x = " + "y * " * 60, "x = " + "z + " * 60),)
    long = replace(VERDICT, passing=replace(PASSING, beside=(Beside("f", rows),)))
    assert max(len(line) for line in report_text(report(long), STEP, width).split("\n")) <= width


def test_code_that_is_the_references_is_called_so() -> None:
    same = replace(PASSING, beside=(Beside("f", (("return b", "return b"),)),))
    assert "Yours says the same, line for line." in report_text(report(replace(VERDICT, passing=same)), STEP)
    assert "line for line" in report_html(report(replace(VERDICT, passing=same)), STEP)


def test_a_page_folds_the_reference_marks_words_and_links_to_section_and_line() -> None:
    html = report_html(report(), STEP)
    details = re.search(r"<details>.*</details>", html, re.S)
    assert details is not None
    assert re.search(r"b = <mark[^>]*>f</mark>\(x\[0\]\)", details[0])
    assert "&lt;i&gt;c&lt;/i&gt;" in details[0]
    assert 'href="step7_words/tutorial.ipynb#7.2-Two"' in html
    assert 'href="step7_words/model_exercise.py#line=11"' in html
    assert not re.search(r"https?:|src=|url\(", html)


def test_no_color_of_the_comparison_depends_on_the_theme() -> None:
    html = report_html(report(), STEP)
    assert set(re.findall(r"(?<!-)color:([^;\"]+)", html)) <= {"inherit", "#ffffff"}
    assert set(re.findall(r"background:(rgba[^;]+)", html)) == {"rgba(100,140,255,0.28)"}


def test_a_place_is_a_link_where_a_terminal_has_links_and_plain_everywhere_else() -> None:
    def shown(color: bool, environment: dict[str, str]) -> str:
        stream = io.StringIO()
        make_console(stream, width=80, color=color).print(place_text(str(FILE), 12, environment))
        return stream.getvalue().rstrip("\n")

    plain = "step7_words/model_exercise.py:12"
    assert re.fullmatch(rf"\x1b]8;[^;]*;{FILE.as_uri()}\x1b\\{plain}\x1b]8;;\x1b\\", shown(True, {}))
    assert f"{FILE.as_uri()}#12\x1b" in shown(True, {"TERM": "xterm-kitty"})
    assert shown(True, {"TERM_PROGRAM": "vscode"}) == plain
    assert shown(False, {}) == plain


def test_bodies_are_compared_without_docstring_plan_and_todo_but_with_own_comments() -> None:
    plan = 'def f(x):\n    """Say."""\n    # 1. Do\n    # it.\n    # TODO 7.1: write.\n    raise ValueError\n'
    mine = 'def f(x):\n    """Say."""\n    # 1. Do\n    # mine\n\n    if x:  # given\n        return 1\n'
    assert body_lines(mine, "f", plan) == ["# mine", "if x:", "    return 1"]
    assert body_lines("def f(x): return 1\n", "f", plan) == ["return 1"]
    assert body_lines("class C:\n    def f(self):\n        return (1,\n            2)\n", "C.f", plan) == [
        "return (1,",
        "    2)",
    ]
    assert body_lines("def g(x):\n    return 1\n", "f", plan) == []
    assert body_lines("def f(x:\n    return 1\n", "f", plan) == []


def test_lines_that_are_alike_stand_beside_each_other_in_order() -> None:
    rows = aligned(["a = one(x)", "n = 0", "b = two(a)"], ["b = two(one(x))", "return b"])
    assert rows == [
        ("a = one(x)", None),
        ("n = 0", None),
        ("b = two(a)", "b = two(one(x))"),
        (None, "return b"),
    ]
    mine, _ = marked_pieces(("b = two(a)", "b = two(c)"))
    assert mine == [("b = two(", False), ("a", True), (")", False)]
    assert [row[0] for row in rows if row[0]] == ["a = one(x)", "n = 0", "b = two(a)"]


def test_a_pass_in_the_terminal_is_compared_once_and_a_failure_shows_no_reference(course: Any) -> None:
    course.write(shout="return text")
    assert "upper() +" not in course.run("check", "7.1a").stdout
    course.write(shout="loud = text.upper()\nreturn f'{loud}!'")
    first = course.run("check", "7.1a").stdout
    assert "Texts can be heard from afar." in first
    assert "Why: Capitals are [louder]." in first
    assert '> return text.upper() + "!"' in first
    again = course.run("check", "7.1a").stdout
    assert "as before" in again
    assert "upper() +" not in again
    assert '> return text.upper() + "!"' in course.run("compare", "7.1a").stdout
    assert "Next: course compare 7.1a" in course.run("show", "7.1a").stdout
    assert "Next: course check 7.2" in course.run("show", "7.2").stdout
    refused = course.run("compare", "7.2")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "has not passed yet" in refused.stderr


def test_several_passes_are_a_table_and_no_reference(course: Any) -> None:
    course.file.write_text(course.solution, encoding="utf-8")
    told = course.run("check", "7.1").stdout
    assert "2 of 2 passed" in told
    assert "The reference" not in told
    onward = r"Next: go on with 7\.2, An echo: course show 7\.2\n +step7_words/model_exercise\.py:\d+\n"
    assert re.search(onward, told)
    told = course.run("check", "7.1a", "7.2").stdout
    assert "Next: go on with 7.all, All together: course check 7.all\n" in told


def test_a_teacher_can_leave_the_reference_out(course: Any) -> None:
    setting = course.root / "classroom.toml"
    setting.write_text("show_reference = false\n", encoding="utf-8")
    try:
        course.write(shout="loud = text.upper()\nreturn f'{loud}!'")
        told = course.run("check", "7.1a").stdout
        assert "Texts can be heard from afar." in told
        assert "upper() +" not in told
        assert "not shown in this class" in course.run("compare", "7.1a").stderr
        setting.write_text("show_reference = 'no'\n", encoding="utf-8")
        with pytest.raises(RegistryError, match="must be true or false, got 'no'"):
            shows_reference(course.root)
        setting.write_text("show_reference\n", encoding="utf-8")
        with pytest.raises(RegistryError, match="must be TOML"):
            shows_reference(course.root)
    finally:
        setting.unlink()


def test_the_notebooks_section_is_the_heading_above_its_check_cell(course: Any, tmp_path: Path) -> None:
    item = course.step.exercises[0]
    step = replace(course.step, root=tmp_path)
    step.path.mkdir()
    assert page_of(step, item) is None
    cells = [("markdown", "## One thing"), ("code", 'check("7.1a")'), ("markdown", "## Other")]
    notebook = {"cells": [{"cell_type": kind, "source": [text]} for kind, text in cells]}
    path = step.path / "tutorial.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert page_of(step, item) == f"{path}#One-thing"
    path.write_text("{", encoding="utf-8")
    assert page_of(step, item) is None


def test_grading_says_nothing_beyond_the_verdict(course: Any) -> None:
    code = (
        "import os; os.environ['NBGRADER_EXECUTION'] = 'autograde'\n"
        "from coursekit.notebook import check\n"
        "from coursekit.render.html import report_html\n"
        "print(*[report_html(report, step) for step, report in check('7.1a').told])"
    )
    course.write(shout="loud = text.upper()\nreturn f'{loud}!'")
    told = course.python("-c", f"import os; os.chdir('{course.step.path}')\n{code}").stdout
    assert "passed" in told
    assert "reference" not in told
    assert "afar" not in told


def test_a_pass_is_printed_without_a_word_swallowed() -> None:
    stream = io.StringIO()
    print_report(report(), STEP, make_console(stream, width=80, color=True))
    assert "[this]" in stream.getvalue()
