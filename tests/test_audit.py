"""The audit of the checks: clean on the course, and red for each way in which a check can be weak."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.cli.app import run
from coursekit.dev import audit as audit_module
from coursekit.dev import partner, trials
from coursekit.dev.audit import Audit, audit, audit_all, write_scoreboard
from coursekit.dev.scoreboard import margin_text, markdown, rows_of
from coursekit.dev.trials import FAR, Row, audit_item
from coursekit.judging.loader import load_file
from coursekit.practice.selection import WrongUsage
from coursekit.registry import COURSE_ROOT, Step, load_course, load_step

HEAD = """
import math
import torch
from torch import Tensor
from coursekit.probe import check, equal, mistake, variant
"""
MISTAKES = COURSE_ROOT / "step2_model" / "mistakes"
# Seeds of the audit in the tests. What the scoreboard says was found with all of them.
FEW = 4


@pytest.fixture
def step() -> Step:
    return load_step(COURSE_ROOT / "step2_model")


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write Python with the usual imports into a file."""

    def write(text: str) -> Path:
        path = tmp_path / "written.py"
        path.write_text(HEAD + text, encoding="utf-8")
        return path

    return write


def with_check(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let the audit find another check in place of the step's own."""
    planted, original = load_file(path), trials.load_marked
    monkeypatch.setattr(
        trials, "load_marked", lambda step, name: [planted] if name == "checks" else original(step, name)
    )


def slipped(row: Row) -> dict[str, str]:
    return {slip.name: slip.why for slip in row.slipped}


@pytest.mark.slow
def test_every_check_of_the_course_bites_and_the_scoreboard_says_so() -> None:
    page = (COURSE_ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    told = rows_of(page)
    found = [(step, audit(step, seeds=FEW)) for step in load_course()]
    for _, one in found:
        assert [(row.id, row.slipped) for row in one.rows if row.slipped] == []
        for row in one.exercises:
            assert row.mistakes == row.rejected == row.named >= 3
            assert row.variants == row.accepted >= 2
            assert row.margin >= 10
            assert row.spread <= 0.1
        total = one.to_json()["total"]
        assert total["mistakes"] >= 33
        assert total["variants"] >= 22
    # The page is of more seeds, the first of which are these: the same counts, and margins
    # no larger (rounded to a digit).
    for row in (row for _, one in found for row in one.rows):
        *_, margin = told[row.id]
        assert row.margin >= 0.7 * (FAR if margin == "another type" else float(margin.replace(",", "")))
    without_margins = [[cells[:-1] for cells in rows_of(text).values()] for text in (page, markdown(found))]
    assert without_margins[0] == without_margins[1], "docs/checks.md is stale: course dev build --scoreboard"
    assert page == markdown([(step, Audit(())) for step, _ in found], told), "its totals, its order, its head"


def test_a_check_of_shapes_alone_lets_mistakes_pass_and_turns_the_audit_red(
    step: Step, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_check(
        monkeypatch,
        written(
            """
@check("2.3a")
def weak(m, rng):
    yield "scores have a shape", list(m.attention_scores(rng.normal(2, 3, 4), rng.normal(2, 5, 4)).shape)
"""
        ),
    )
    row = audit_item(step, "2.3a", None, [20], [1])
    assert "passes" in slipped(row)["no_scale"]
    assert row.rejected < row.mistakes
    assert row.accepted == row.variants


@pytest.mark.parametrize(("tolerance", "name"), [("1e-2", "scores"), ("1.0", "no_scale")])
def test_a_loosened_tolerance_turns_the_audit_red(
    step: Step, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tolerance: str, name: str
) -> None:
    body = """
@check("2.3a")
def loose(m, rng):
    yield equal("scores", m.attention_scores(rng.normal(2, 3, 4, 8), rng.normal(2, 3, 4, 8)), {})
"""
    with_check(monkeypatch, written(body.replace("{}", tolerance)))
    assert name in slipped(audit_item(step, "2.3a", None, range(5), [1]))


def test_an_input_too_easy_for_one_mistake_turns_the_audit_red(
    step: Step, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_check(
        monkeypatch,
        written(
            """
@check("2.3a")
def one_feature(m, rng):
    yield "scores", m.attention_scores(rng.normal(2, 3, 4, 1), rng.normal(2, 3, 7, 1))
"""
        ),
    )
    why = slipped(audit_item(step, "2.3a", None, [20], [1]))
    assert "passes" in why["no_scale"]
    assert "root_of_keys" not in why


def test_mistakes_that_look_alike_turn_the_audit_red(
    step: Step, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
@mistake("2.3a")
def first(q, k):
    "Not divided."
    return q @ k.mT

@mistake("2.3a")
def second(q, k):
    "Not divided either."
    return torch.einsum("...td,...sd->...ts", q, k)
"""
    module, original = load_file(written(text)), partner.load_marked
    monkeypatch.setattr(
        partner, "load_marked", lambda step, name: [module] if name == "mistakes" else original(step, name)
    )
    row = audit_item(step, "2.3a", None, [20], [1])
    assert slipped(row) == {"second": "cannot be told from first: keep one of the two"}
    assert (row.mistakes, row.rejected, row.named) == (2, 2, 1)


def test_further_mistakes_join_the_table_and_one_that_is_known_is_the_same_as_it(
    step: Step, written: Callable[[str], Path]
) -> None:
    before = audit_item(step, "2.3a", None, [20], [1])
    path = written(
        """
@mistake("2.3a")
def forgot_the_root(q, k):
    "Not divided."
    return torch.einsum("...td,...sd->...ts", q, k)

@mistake("2.3a")
def cube_root(q, k):
    "The cube root."
    return q @ k.mT / q.shape[-1] ** (1 / 3)

@variant("2.3a")
def other_way_round(q, k):
    "Transposed twice."
    return (k @ q.mT).mT / math.sqrt(q.shape[-1])
"""
    )
    row = audit_item(step, "2.3a", path, [20], [1])
    assert row.slipped == []
    assert row.same_as == [{"name": "forgot_the_root", "same_as": "no_scale"}]
    assert row.mistakes == row.rejected == row.named == before.mistakes + 2
    assert row.variants == row.accepted == before.variants + 1


def test_right_code_called_a_mistake_and_wrong_code_called_right_both_slip(
    step: Step, written: Callable[[str], Path]
) -> None:
    path = written(
        """
@mistake("2.3a")
def right(q, k):
    "Nothing is wrong."
    return q @ k.mT / math.sqrt(q.shape[-1])

@variant("2.3a")
def wrong(q, k):
    "Not divided."
    return q @ k.mT
"""
    )
    row = audit_item(step, "2.3a", path, [20], [1])
    assert "passes" in slipped(row)["right"]
    assert "tolerances away" in slipped(row)["wrong"]
    assert row.accepted == row.variants - 1
    assert row.rejected == row.mistakes - 1


def test_a_mistake_whose_values_are_not_fixed_is_not_named(
    step: Step, written: Callable[[str], Path]
) -> None:
    path = written(
        """
from random import SystemRandom

@mistake("2.3a")
def noisy(q, k):
    "Adds noise."
    return q @ k.mT + SystemRandom().random()
"""
    )
    row = audit_item(step, "2.3a", path, [20], [1])
    assert "not fixed" in slipped(row)["noisy"]
    assert (row.rejected, row.named) == (row.mistakes, row.mistakes - 1)


def test_a_forbidden_call_is_rejected_as_such_though_its_values_are_right(
    step: Step, written: Callable[[str], Path]
) -> None:
    path = written(
        """
import torch.nn.functional as F

@mistake("2.4d")
def with_cross_entropy(logits, labels):
    "Calls what it should be."
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
"""
    )
    row = audit_item(step, "2.4d", path, [20], [1])
    assert row.slipped == []
    assert row.named == row.rejected == row.mistakes


def test_the_stub_is_not_started_and_the_solution_passes_in_the_judge(step: Step, pool: Any) -> None:
    items = [item for item in step.items if item.id in ("2.3b", "2.4e")]
    found = audit(step, items, seeds=1, threads=[1], processes=1, pool=pool)
    assert found.is_clean
    without_hints = dataclasses.replace(items[0], hints=())
    red = audit(step, [without_hints], seeds=1, threads=[1], processes=1, pool=pool)
    assert slipped(red.rows[0]) == {"2.3b": "must have hints, got none"}


def test_needs_that_go_in_a_circle_turn_the_audit_red(step: Step, pool: Any) -> None:
    turned = tuple(dataclasses.replace(e, needs=("2.3c",)) if e.id == "2.3a" else e for e in step.exercises)
    circular = dataclasses.replace(step, exercises=turned)
    found = audit(circular, [turned[2]], seeds=1, threads=[1], processes=1, pool=pool)
    assert "circle" in slipped(found.rows[0])["needs"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n", "must mark a function"),
        ("raise RuntimeError('no')\n", "cannot be imported: RuntimeError: no"),
        ("@mistake('2.4e')\ndef m(config):\n    'No.'\n    return 0\n", "2.4e, which is not among"),
    ],
)
def test_a_file_of_further_mistakes_that_says_nothing_here_is_one_sentence(
    step: Step, written: Callable[[str], Path], text: str, sentence: str
) -> None:
    with pytest.raises(WrongUsage, match=sentence):
        audit_all([item for item in step.items if item.id == "2.3a"], written(text))


def test_the_command_prints_the_promised_json_and_its_exit_status_says_whether_anything_slips(
    written: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dev", "audit", "2.3a", "--json", "--seeds", "1"]) == 0
    data = json.loads(capsys.readouterr().out)
    promised = {"id", "mistakes", "rejected", "named", "variants", "accepted", "margin", "slipped"}
    assert promised <= data["exercises"][0].keys()
    assert data["total"] == {
        name: data["exercises"][0][name] for name in ("mistakes", "rejected", "named", "variants", "accepted")
    }
    path = written("@mistake('2.3a')\ndef m(q, k):\n    'Fine.'\n    return q @ k.mT / q.shape[-1] ** 0.5\n")
    assert run(["dev", "audit", "2.3a", "--json", "--seeds", "1", "--with", str(path)]) == 1
    slips = json.loads(capsys.readouterr().out)["exercises"][0]["slipped"]
    assert [slip["name"] for slip in slips] == ["m"]
    assert run(["dev", "audit", "2.3a", "--with", "nowhere.py"]) == 2
    assert "nowhere.py" in capsys.readouterr().err


def test_margins_are_written_to_one_digit_so_that_machines_agree() -> None:
    assert margin_text(41421.3) == margin_text(41421.9) == "40,000"
    assert margin_text(71.7) == "70"
    assert margin_text(FAR) == "another type"


def test_the_scoreboard_keeps_the_rows_of_what_was_not_audited_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (COURSE_ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    (tmp_path / "docs").mkdir()
    copy = tmp_path / "docs" / "checks.md"
    for step in load_course():
        (tmp_path / step.folder).symlink_to(step.path)
    copy.write_text(re.sub(r"(\| 2\.8 .*)\| [^|]+ \|$", r"\1| 3 |", page, flags=re.M), encoding="utf-8")
    monkeypatch.setattr(audit_module, "audit", lambda step, items: audit(step, items, seeds=1, processes=1))
    made = write_scoreboard(tmp_path, ["2.8"])
    assert [row.id for row in made.rows] == ["2.8"]
    before, after = rows_of(page), rows_of(copy.read_text(encoding="utf-8"))
    assert {id: cells for id, cells in after.items() if id != "2.8"} == {
        id: cells for id, cells in before.items() if id != "2.8"
    }
    assert after["2.8"][:-1] == before["2.8"][:-1]
    assert after["2.8"][-1] != "3"
    with pytest.raises(WrongUsage, match=r"got '2\.99'"):
        write_scoreboard(tmp_path, ["2.99"])
    copy.write_text("", encoding="utf-8")
    with pytest.raises(WrongUsage, match="--only needs a page that has all other rows"):
        write_scoreboard(tmp_path, ["2.8"])
