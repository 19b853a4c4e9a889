"""One verdict, told in a terminal and on a page: the same words, nothing swallowed, readable everywhere."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from coursekit.judging.verdict import FileFault, Mistake, Report, Status, Verdict
from coursekit.registry import Exercise, Step
from coursekit.render.html import _GROUND, report_html
from coursekit.render.telling import first_to_do
from coursekit.render.terminal import make_console, print_report, report_text

STEP = Step(
    "step7_words",
    7,
    "Words",
    "?",
    "docs",
    tuple(Exercise(f"7.{n}", f"Title {n}", (), 2, 1, 1, (), (), "") for n in range(1, 5)),
    (),
)
FAILED = Verdict(
    "7.1",
    Status.FAILED,
    0.0,
    2,
    "course hint 7.1",
    claim="rows sum to 1 <b>",
    got="[nan, nan]",
    expected="[0.5, 0.5]",
    where="[0, 1]",
    known_mistakes=9,
    detail="x =\n    [[1 [red]0[/red]]]",
    printed="</pre><script>alert(1)</script>\n" * 2,
    location="model_exercise.py:12",
)
PASSED = Verdict("7.2", Status.PASSED, 2.0, 2, "go on with 7.3")
UNTOUCHED = Verdict("7.3", Status.NOT_STARTED, 0.0, 2, "write it", message="It is as the course gave it.")
ERROR = Verdict("7.4", Status.ERROR, 0.0, 2, "mend it", message="It is not there.")


def report(*verdicts: Verdict, faults: tuple[FileFault, ...] = ()) -> Report:
    return Report("model_exercise.py", "0" * 64, verdicts, faults)


class Page(HTMLParser):
    """The tags, attributes and text of a page; every tag that is opened must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def test_tensor_text_is_never_read_as_markup() -> None:
    told = report_text(report(FAILED), STEP)
    assert "Came back: [nan, nan]" in told
    assert "[[1 [red]0[/red]]]" in told


def test_no_console_of_the_course_reads_markup() -> None:
    stream = io.StringIO()
    make_console(stream, width=80).print("[nan, nan] [red]x[/red] :smile:")
    assert stream.getvalue() == "[nan, nan] [red]x[/red] :smile:\n"


def test_a_failure_says_what_came_what_should_have_where_and_what_next() -> None:
    told = report_text(report(FAILED), STEP)
    order = [
        "failed",
        "7.1 Title 1",
        "What was checked",
        "Came back",
        "Expected",
        "Where",
        "None of the 9",
        "Next",
    ]
    places = [told.index(part) for part in order]
    assert places == sorted(places)


def test_a_proven_mistake_takes_the_place_of_the_confession_that_none_fits() -> None:
    told = report_text(report(replace(FAILED, mistake=Mistake("m", "The rows sum to 2."))), STEP)
    assert "A known mistake gives exactly this: The rows sum to 2." in told
    assert "None of the" not in told


def test_a_fault_of_the_file_is_told_once_and_what_it_explains_is_not_repeated() -> None:
    fault = FileFault("model_exercise.py has no f.", ("7.4",))
    told = report_text(report(PASSED, ERROR, faults=(fault,)), STEP)
    assert told.count("has no f.") == 1
    assert told.index("has no f.") < told.index("7.2")
    assert "It is not there." not in told
    assert "It is not there." not in report_text(report(ERROR, faults=(fault,)), STEP)
    assert "It is not there." in report_text(report(ERROR), STEP)


def test_of_several_only_the_first_that_was_tried_is_told_in_full() -> None:
    several = report(PASSED, UNTOUCHED, replace(FAILED, id="7.1"), ERROR)
    assert first_to_do(several) is several.verdicts[2]
    told = report_text(several, STEP)
    assert "1 of 4 passed, 2 of 8 points" in told
    assert "It is not there." not in told
    assert first_to_do(report(PASSED, UNTOUCHED)) == UNTOUCHED
    assert first_to_do(report(PASSED)) is None


@pytest.mark.parametrize("width", [40, 60, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = replace(FAILED, got="0.123456 " * 40, detail="9" * 300)
    assert max(len(line) for line in report_text(report(long, PASSED), STEP, width).split("\n")) <= width


def test_colors_come_only_with_a_terminal_and_never_alone() -> None:
    for color in (True, False):
        stream = io.StringIO()
        print_report(report(FAILED, PASSED), STEP, make_console(stream, width=80, color=color))
        told = stream.getvalue()
        assert ("\x1b[" in told) is color
        assert "failed" in told
        assert "passed" in told


def test_a_page_holds_no_tag_that_came_from_the_learner_and_asks_for_nothing() -> None:
    html = report_html(report(FAILED, PASSED, UNTOUCHED), STEP)
    page = Page(html)
    assert "<b>" not in html
    assert "script" not in {tag for tag, _ in page.seen}
    assert not re.search(r"(src|href)=|url\(|https?:", html)
    assert "</pre><script>alert(1)</script>" in page.text
    assert "rows sum to 1 <b>" in page.text


def test_a_page_is_announced_and_says_every_status_in_words() -> None:
    for status in Status:
        page = Page(report_html(report(replace(FAILED, status=status)), STEP))
        assert page.seen[0][1]["role"] == "status"
        assert str(status) in page.text


def test_terminal_and_page_say_the_same_words() -> None:
    def words(text: str) -> set[str]:
        return set(re.findall(r"\w+", text))

    page = Page(report_html(report(FAILED), STEP)).text
    assert words(report_text(report(FAILED), STEP)) == words(page)


def test_the_status_word_has_a_contrast_of_at_least_four_and_a_half() -> None:
    def luminance(color: str) -> float:
        shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert set(_GROUND) == set(Status)
    for ground in _GROUND.values():
        assert (1.0 + 0.05) / (luminance(ground) + 0.05) >= 4.5


def test_a_report_is_equal_on_every_call(capsys: Any) -> None:
    assert report_html(report(FAILED, ERROR), STEP) == report_html(report(FAILED, ERROR), STEP)
    print_report(report(FAILED), STEP, make_console(width=80))
    assert capsys.readouterr().out.strip().startswith("✗ failed  7.1")
