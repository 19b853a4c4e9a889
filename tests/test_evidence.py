"""Evidence says what it rests on, is refused when a claim fails, and goes stale when the code changes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coursekit import evidence
from coursekit.registry import Step, UnknownName, load_course, load_step

TOML = """
[step]
number = 9
title = "A step"
question = "?"
tutorial = "docs/none.md"

[[evidence]]
name = "measured"
module = "evident_step.measuring"
help = "A measurement."
inputs = ["step9_evident/code*.py", "step9_evident/table.txt"]
"""
CODE = '''"""What it does."""


def double(x):
    """Twice x."""
    # Why.
    return 2 * x, "# no comment"  # A comment.
'''


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Step]:
    """A step with one piece of evidence whose module measures nothing."""
    folder, package = tmp_path / "step9_evident", tmp_path / "evident_step"
    folder.mkdir()
    package.mkdir()
    (folder / "exercises.toml").write_text(TOML, encoding="utf-8")
    (folder / "code_a.py").write_text(CODE, encoding="utf-8")
    (folder / "table.txt").write_text("1 2\n", encoding="utf-8")
    (package / "measuring.py").write_text(
        "HELD = True\ndef evidence():\n"
        "    return {'seeds': [0], 'results': [1.5], 'claims': {'it is small': HELD}}\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield load_step(folder)
    for name in ("evident_step", "evident_step.measuring"):
        sys.modules.pop(name, None)
    load_course.cache_clear()


def test_evidence_records_command_commit_machine_seeds_results_and_inputs(step: Step) -> None:
    assert evidence.run("measured", step.root) == 0
    kept = json.loads(evidence.file_of("measured", step.root).read_text(encoding="utf-8"))
    assert kept["command"] == "course evidence measured"
    assert kept["commit"] == "unknown"  # the temporary folder is no checkout
    assert kept["seeds"] == [0]
    assert kept["results"] == [1.5]
    assert {"processor", "cores", "python", "torch"} <= kept["machine"].keys()
    assert kept["inputs"].keys() == {"step9_evident/code_a.py", "step9_evident/table.txt"}


def test_a_claim_that_does_not_hold_is_not_written(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evident_step.measuring.HELD", False)
    assert evidence.run("measured", step.root) == 1
    assert not evidence.file_of("measured", step.root).exists()


def test_missing_evidence_is_told_with_the_command_that_makes_it(step: Step) -> None:
    assert evidence.stale(step) == ["docs/evidence/measured.json is missing: run `course evidence measured`"]


def test_fresh_evidence_is_not_stale(step: Step) -> None:
    evidence.run("measured", step.root)
    assert evidence.stale(step) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("code_a.py", "2 * x", "3 * x"),
        ("code_a.py", "# no comment", "# none"),
        ("table.txt", "1", "2"),
    ],
)
def test_an_edit_to_what_it_rests_on_makes_it_stale(step: Step, file: str, old: str, new: str) -> None:
    path = step.path / file
    evidence.run("measured", step.root)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    (sentence,) = evidence.stale(step)
    assert f"rests on code that has changed since (step9_evident/{file})" in sentence


def test_comments_docstrings_and_blank_lines_may_change(step: Step) -> None:
    evidence.run("measured", step.root)
    other = (
        CODE.replace("What it does", "Other words")
        .replace("Twice x.", "Two\n\n    lines.")
        .replace("# Why.", "")
        .replace("# A c", "# a c")
    )
    (step.path / "code_a.py").write_text(other + "\n# The end.\n", encoding="utf-8")
    assert evidence.stale(step) == []


def test_a_new_file_that_an_input_pattern_meets_makes_it_stale(step: Step) -> None:
    evidence.run("measured", step.root)
    (step.path / "code_b.py").write_text("x = 1\n", encoding="utf-8")
    assert "step9_evident/code_b.py" in evidence.stale(step)[0]


def test_evidence_that_cannot_be_read_is_stale(step: Step) -> None:
    path = evidence.file_of("measured", step.root)
    path.parent.mkdir(parents=True)
    path.write_text("[]", encoding="utf-8")
    assert "cannot be read" in evidence.stale(step)[0]


def test_an_input_that_is_not_there_is_an_error(step: Step) -> None:
    (step.path / "table.txt").unlink()
    with pytest.raises(UnknownName, match=r"input 'step9_evident/table\.txt'"):
        evidence.run("measured", step.root)


def test_an_unknown_name_is_answered_with_those_there_are(
    step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownName, match="no evidence 'weather'; there is measured"):
        evidence.find("weather", step.root)
    assert evidence.main(["weather"]) == 2
    assert "there is no piece of evidence 'weather'; there is " in capsys.readouterr().err


def test_a_part_of_a_file_is_an_input_whatever_happens_to_the_rest(step: Step) -> None:
    path = step.path / "code_a.py"
    path.write_text("def f():\n    return 1\n\n\nclass C:\n    x = 2\n\n\nLIMIT = 3\n", encoding="utf-8")
    entry = replace(step.entries[0], inputs=("step9_evident/code_a.py::f LIMIT",))
    before = evidence.fingerprints(entry, step.root)
    assert list(before) == ["step9_evident/code_a.py::f LIMIT"]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("x = 2", "x = 5"), encoding="utf-8")
    assert evidence.fingerprints(entry, step.root) == before
    for old, new in (("return 1", "return 2"), ("LIMIT = 3", "LIMIT = 4")):
        path.write_text(text.replace(old, new), encoding="utf-8")
        assert evidence.fingerprints(entry, step.root) != before
    with pytest.raises(UnknownName, match="and the file has no g"):
        evidence.fingerprints(replace(entry, inputs=("step9_evident/code_a.py::g",)), step.root)
