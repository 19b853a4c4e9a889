"""Verdicts: every status, each exercise alone, no pass for wrong code, messages in the learner's lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coursekit.judging.judge import Judge
from coursekit.judging.trial import Trial
from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.registry import load_step
from coursekit.source import exercise_text, reset


def verdict_of(report: Report, item_id: str) -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.id == item_id)


def statuses(report: Report) -> dict[str, Status]:
    return {verdict.id: verdict.status for verdict in report.verdicts}


def test_the_solution_passes_with_all_points(report: Any, toy: Any) -> None:
    result = report(toy.solution, *toy.items)
    assert set(statuses(result).values()) == {Status.PASSED}, [v for v in result.verdicts if v.message]
    assert result.all_passed
    assert (result.score, result.points) == (11, 11)
    assert result.faults == ()


def test_the_stub_is_not_started_and_has_no_points(report: Any, toy: Any) -> None:
    result = report(toy.stub, *toy.items)
    found = statuses(result)
    assert found.pop("8.whole") is Status.BLOCKED
    assert set(found.values()) == {Status.NOT_STARTED}
    assert result.score == 0


def test_every_status_is_reached_in_one_file_and_each_costs_its_own_exercise(report: Any, toy: Any) -> None:
    text = toy.with_bodies(
        total="raise KeyError(items)",
        draw="return uniform.long()",
        Pair__push="import os; os._exit(0)",
        normalize="return F.softmax(x, dim=-1)",
        bundle="while True: pass",
    )
    text = reset(text, toy.stub, ["shuffled"])
    result = report(text, *toy.items)
    assert statuses(result) == {
        "8.1": Status.PASSED,
        "8.2": Status.ERROR,
        "8.3": Status.FAILED,
        "8.4": Status.NOT_STARTED,
        "8.5": Status.CRASHED,
        "8.6": Status.NOT_ALLOWED,
        "8.7": Status.TIMEOUT,
        "8.whole": Status.BLOCKED,
    }
    assert result.score == 2
    assert result.faults == ()
    assert all(verdict.next for verdict in result.verdicts)
    not_allowed = verdict_of(result, "8.6")
    assert f"line {toy.line_of(text, 'F.softmax')} uses F.softmax" in (not_allowed.message or "")
    assert "8.6" in (verdict_of(result, "8.whole").message or "")
    assert f"it was in line {toy.line_of(text, 'while True')}" in (verdict_of(result, "8.7").message or "")


def test_right_code_in_another_style_passes(report: Any, toy: Any) -> None:
    text = toy.with_bodies(
        double="return x + x",
        total="import functools, operator\nreturn functools.reduce(operator.add, items)",
        draw="sums = probabilities.cumsum(0)\nreturn (sums <= uniform[:, None]).sum(1).clamp(max=3)",
        shuffled="return items[1:] + items[:1]",
        Pair__push="self.items = [item, self.items]",
        Pair__pop="item, self.items = self.items\nreturn item",
        normalize="y = x / x.sum(-1, keepdim=True)\nreturn y.nan_to_num(0.0)",
    )
    assert set(statuses(report(text)).values()) == {Status.PASSED}


def test_a_wrong_answer_is_told_with_what_came_back_what_should_have_and_where(report: Any, toy: Any) -> None:
    result = report(toy.with_bodies(double="print('I was here')\nreturn 3 * x"), "8.1")
    [verdict] = result.verdicts
    assert (verdict.status, verdict.claim, verdict.next) == (
        Status.FAILED,
        "a tensor is doubled",
        "course hint 8.1",
    )
    assert verdict.where is not None
    assert float(verdict.got or "") == pytest.approx(1.5 * float(verdict.expected or ""), rel=1e-4)
    assert (verdict.mistake, verdict.known_mistakes) == (None, 1)
    assert verdict.printed == "I was here\n" * 3
    assert verdict.smallest == (
        "The smallest input on which your result differs:\n  x = 1.0\nyours  = 3.0\nwanted = 2.0"
    )


@pytest.mark.parametrize(
    ("item", "bodies", "name"),
    [
        ("8.1", {"double": "return x ** 2"}, "squares"),
        (
            "8.2",
            {"total": "r = items[0]\nfor i in items[1:]: r = r + i\nfor i in items: i + r\nreturn r"},
            "twice",
        ),
        ("8.5", {"Pair__push": "self.items += [item]", "Pair__pop": "return self.items.pop(0)"}, "queue"),
        ("8.6", {"normalize": "return x / x.sum(-1, keepdim=True)"}, "divides_by_zero"),
    ],
)
def test_a_known_mistake_is_named_however_it_is_written(
    report: Any, toy: Any, item: str, bodies: dict[str, str], name: str
) -> None:
    [verdict] = report(toy.with_bodies(**bodies), item).verdicts
    assert verdict.status is Status.FAILED
    assert verdict.mistake is not None
    assert verdict.mistake.name == name


def test_a_cost_is_believed_only_with_the_right_answer(report: Any, toy: Any) -> None:
    [verdict] = report(toy.with_bodies(total="return items[0]"), "8.2").verdicts
    assert verdict.claim == "the sum is right"
    [verdict] = report(
        toy.with_bodies(
            total="r = items[0]\nfor i in items[1:]: r = i + (r + i); r.value -= i.value\nreturn r"
        ),
        "8.2",
    ).verdicts
    assert (verdict.claim, verdict.expected) == ("ten numbers need at most nine additions", "at most 9")


@pytest.mark.parametrize(
    "body",
    [
        "return (uniform * len(probabilities)).long()",
        "return probabilities.argmax().expand(len(uniform))",
        "return (uniform.unsqueeze(-1) >= probabilities.cumsum(0)).sum(-1)[:5].clamp(max=3)",
        "return probabilities",
        "return None",
    ],
)
def test_a_wrong_law_is_rejected(report: Any, toy: Any, body: str) -> None:
    [verdict] = report(toy.with_bodies(draw=body), "8.3").verdicts
    assert verdict.status is Status.FAILED
    assert verdict.claim == "outcomes come with their probabilities"


def test_partial_credit_is_given_for_the_claims_before_the_one_that_fails(report: Any, toy: Any) -> None:
    [some] = report(toy.with_bodies(normalize="return x / x.sum(-1, keepdim=True)"), "8.6").verdicts
    assert (some.status, some.score, some.points) == (Status.FAILED, 1.0, 3)
    [none] = report(toy.with_bodies(normalize="return x"), "8.6").verdicts
    assert (none.status, none.score) == (Status.FAILED, 0.0)
    body = "if x.sum() == 0: raise ValueError('no zeros')\nreturn x / x.sum(-1, keepdim=True)"
    [raising] = report(toy.with_bodies(normalize=body), "8.6").verdicts
    assert (raising.status, raising.score) == (Status.ERROR, 1.0)


def test_a_milestone_runs_the_file_as_it_is_against_its_reference(report: Any, toy: Any) -> None:
    text = toy.solution.replace("return normalize(double(x))", "return normalize(double(x)) + 0.01")
    result = report(text, *toy.items)
    assert statuses(result).pop("8.whole") is Status.FAILED
    assert result.score == result.points


def test_a_milestone_is_blocked_by_its_own_exercises_and_by_no_others(report: Any, toy: Any) -> None:
    [verdict] = report(toy.with_bodies(bundle="return 0", double="return x"), "8.whole").verdicts
    assert verdict.status is Status.BLOCKED
    assert verdict.next == "first: course check 8.1"
    [verdict] = report(toy.with_bodies(bundle="return 0"), "8.whole").verdicts
    assert verdict.status is Status.PASSED


# --- milestones that rest on the steps below

UNDER = '''"""A step below the toy."""


def halve(x):
    """Return half of x.

    Tutorial: docs/toy.md
    """
    # 1. Divide.
    return x / 2
'''
UNDER_TOML = """
[step]
number = 7
title = "Below"
question = "What is below?"
tutorial = "docs/toy.md"

[[exercise]]
id = "7.1"
title = "Halving"
targets = ["halve"]
points = 1
minutes = 1
difficulty = 1
needs = []
writeup = "docs/toy.md"
hints = ["Half."]
"""
UNDER_CHECKS = """
from coursekit.probe import check


@check("7.1")
def halving(m, rng):
    yield "half of it", m.halve(rng.normal(3))
"""


@pytest.fixture
def two_steps(toy: Any, tmp_path: Path, pool: Any) -> Any:
    """A toy course of two steps, whose milestone 8.whole runs both: `judged(below, text, path)`."""
    two = type(toy)(tmp_path / "two")
    below = two.root / "step7_below"
    below.mkdir()
    (below / "exercises.toml").write_text(UNDER_TOML, encoding="utf-8")
    (below / "model_solution.py").write_text(UNDER, encoding="utf-8")
    (below / "checks.py").write_text(UNDER_CHECKS, encoding="utf-8")
    (below / "mistakes.py").write_text("", encoding="utf-8")
    toml = two.step.path / "exercises.toml"
    text = toml.read_text(encoding="utf-8")
    whole = text.index('id = "8.whole"')
    toml.write_text(text[:whole] + text[whole:].replace("needs = [", 'needs = ["7.1", ', 1), encoding="utf-8")
    step = load_step(two.step.path)
    milestone = next(item for item in step.items if item.id == "8.whole")
    solution = step.path / "model_solution.py"
    future = "from __future__ import annotations\n"
    source = solution.read_text(encoding="utf-8").replace("normalize(double(x))", "normalize(halve(x))")
    source = source.replace(future, f"{future}\nfrom step7_below.model_solution import halve\n")
    solution.write_text(source, encoding="utf-8")
    text = exercise_text(source, step, "model")

    def judged(body: str, is_own: bool = True) -> Verdict:
        (below / "model_exercise.py").write_text(UNDER.replace("return x / 2", body), encoding="utf-8")
        path = step.trio_files("model")[0] if is_own else tmp_path / "model_exercise.py"
        path.write_text(text, encoding="utf-8")
        result = Judge(root=two.root, pool=pool).report(step, [milestone], path)
        assert [fault.message for fault in result.faults] == []
        return result.verdicts[0]

    return judged


def test_a_milestone_is_blocked_by_an_exercise_of_a_step_below(two_steps: Any) -> None:
    verdict = two_steps("return x / 3")
    assert verdict.status is Status.BLOCKED
    assert "your whole files of steps 7 and 8 and needs 7.1" in verdict.message
    assert verdict.next == "first: course check 7.1"


def test_a_milestone_runs_the_learners_own_files_of_the_steps_below(two_steps: Any) -> None:
    assert two_steps("return x / 2").status is Status.PASSED
    body = "if len(x.shape) == 2:\n        raise KeyError('mine')\n    return x / 2"
    verdict = two_steps(body)
    assert verdict.status is Status.ERROR, "right where 7.1 asks, and yet not in the whole"
    assert "step7_below/model_exercise.py, line 11, in halve" in verdict.detail
    assert "\nmodel_exercise.py, line" in f"\n{verdict.detail}"
    assert verdict.next.startswith("mend line 7"), "the line of the call, in the file of the step itself"


def test_a_file_handed_in_stands_on_the_reference_of_the_steps_below(two_steps: Any) -> None:
    assert two_steps("raise NotImplementedError", is_own=False).status is Status.PASSED


# --- no pass for wrong code, whatever it does to the process it runs in

PATCH_EVERYTHING = """
import sys
import torch
torch.equal = torch.allclose = torch.testing.assert_close = lambda *a, **k: True
torch.Tensor.__eq__ = torch.Tensor.equal = torch.Tensor.allclose = lambda *a, **k: True
import numpy
numpy.allclose = numpy.array_equal = lambda *a, **k: True
import coursekit.judging.compare, coursekit.probe, coursekit.judging.runs, coursekit.workers.tasks as tasks
coursekit.judging.compare.compare = coursekit.judging.compare.measure = lambda *a: None
coursekit.judging.compare.same_behavior = lambda *a: False
coursekit.probe.TOLERANCE = 1e9
coursekit.probe.Claim.__init__.__defaults__ = ("equal", 1e9, 1e9, None, None, None)
checks = sys.modules["step8_toy.checks"]
checks.is_permutation = lambda *a: True
checks.law = lambda label, draws, p: coursekit.probe.law(label, draws, torch.ones(5))
checks.at_most = lambda label, count, limit: coursekit.probe.at_most(label, count, 1e9)
checks.equal = lambda label, value, tol: coursekit.probe.equal(label, value, 1e9)
"""
WRONG = {
    "double": "return 3 * x",
    "total": "r = items[0]\nfor i in items[1:]: r = r + i; r + i\nreturn r",
    "draw": "return (uniform * 4).long()",
    "shuffled": "return items",
    "Pair__pop": "return self.items.pop(0)",
    "normalize": "return x",
}


def test_code_that_patches_what_compares_it_never_passes(report: Any, toy: Any) -> None:
    text = toy.with_bodies(**WRONG)
    text = text.replace("SCALE = 2.0\n", "SCALE = 2.0\n" + PATCH_EVERYTHING)
    result = report(text, "8.1", "8.2", "8.3", "8.4", "8.5", "8.6")
    assert set(statuses(result).values()) == {Status.FAILED}, result.verdicts
    assert result.score == 0


TRICKS = {
    "an object that equals everything": """
        class Always:
            def __eq__(self, other): return True
            def __float__(self): return 0.0
            __array__ = lambda self: None
        return Always()
        """,
    "a tensor that answers for itself": """
        import torch
        class Mine(torch.Tensor):
            @classmethod
            def __torch_function__(cls, f, types, args=(), kwargs=None): return True
        return Mine([1.0])
        """,
    "a float that equals everything": """
        class Mine(float):
            def __eq__(self, other): return True
        return Mine(1)
        """,
    "an object that says it is a tensor": """
        import torch
        class Mine:
            __class__ = property(lambda self: torch.Tensor)
            shape, dtype = (3, 4), torch.float32
        return Mine()
        """,
    "a list of any length": """
        class Mine(list):
            def __len__(self): return 12
            def __iter__(self): return iter([1.0] * 12)
        return Mine()
        """,
    "a class that lies about its name": """
        class Tensor:
            def detach(self): return self
            def __getattr__(self, name): return lambda *a, **k: self
        Tensor.__module__ = "torch"
        return Tensor()
        """,
    "an object whose class cannot be asked for": """
        class Mine:
            @property
            def __class__(self): raise SystemExit
        return Mine()
        """,
    "a check with nothing to ask": """
        import inspect
        def stop():
            return
            yield
        import coursekit.workers.tasks as tasks
        tasks.Run = lambda *a: __import__("coursekit.judging.runs").runs.Run((), None, ())
        return 0
        """,
    "a run of nonsense": """
        import coursekit.workers.tasks as tasks
        tasks.run_to_data = lambda run: {"claims": [None], "raised": 3, "returns": "x"}
        return 0
        """,
    "no data at all": """
        import coursekit.workers.tasks as tasks
        tasks.run_to_data = lambda run: None
        return 0
        """,
    "claims of every other kind": """
        import coursekit.probe as probe
        import coursekit.workers.tasks as tasks
        tasks.observe = lambda run, claims: claims.extend([probe.Claim("", True, "holds")] * 3)
        return 0
        """,
}


@pytest.mark.parametrize("body", TRICKS.values(), ids=list(TRICKS))
def test_a_trick_is_no_answer(report: Any, toy: Any, body: str) -> None:
    [verdict] = report(toy.with_bodies(double=body), "8.1").verdicts
    assert verdict.status in (Status.FAILED, Status.ERROR, Status.CRASHED)
    assert verdict.score == 0
    assert verdict.mistake is None


# --- messages


def told(verdict: Verdict) -> str:
    return "\n".join(filter(None, [verdict.message, verdict.detail, verdict.got, verdict.next]))


@pytest.mark.parametrize("lines_before", [0, 1, 40])
def test_an_error_is_told_in_the_lines_of_the_learners_own_file(
    report: Any, toy: Any, lines_before: int
) -> None:
    """Other bodies are replaced by the solution's, which are longer or shorter; the numbers must not move."""
    text = toy.with_bodies(
        double="\n".join(["x = x"] * lines_before + ["return helper(x)"]),
        total="return sum(items)",
        draw="helped = helper(uniform)\nreturn helped",
        shuffled="items = list(items)\nassert not items, 'line of the assert'\nreturn items",
    )
    text = text.replace("SCALE = 2.0\n", "SCALE = 2.0\n" * (1 + lines_before))
    text += "\n\ndef helper(x):\n    return x.no_such_thing\n"
    result = report(text, "8.3", "8.4")
    in_helper, in_body = result.verdicts
    assert in_helper.status is Status.ERROR
    lines = [toy.line_of(text, "helped = helper"), toy.line_of(text, "x.no_such_thing")]
    assert [f"model_exercise.py, line {n}, in" in (in_helper.detail or "") for n in lines] == [True, True]
    assert f"in line {lines[1]} with AttributeError" in (in_helper.message or "")
    assert f"in line {toy.line_of(text, 'assert not')} with AssertionError" in (in_body.message or "")
    for verdict in result.verdicts:
        for ours in ("coursekit", "tasks.py", "checks.py", "importlib", "site-packages"):
            assert ours not in told(verdict)


def test_a_value_that_breaks_the_check_is_told_as_what_the_function_returned(report: Any, toy: Any) -> None:
    [verdict] = report(toy.with_bodies(draw="import torch\nreturn torch.nn.Module"), "8.3").verdicts
    assert (verdict.status, verdict.got) == (Status.FAILED, "an object of type type")
    [verdict] = report(toy.with_bodies(Pair__push="return 0"), "8.5").verdicts
    assert verdict.claim == "push returns nothing"
    assert (verdict.got, verdict.expected) == ("the int 0", "None")


def test_a_property_that_does_not_hold_says_what_came_back(report: Any, toy: Any) -> None:
    for body, words in (
        ("return items[:3]", "a list of 3"),
        ("return None", "None"),
        ("return 3", "the int 3"),
    ):
        [verdict] = report(toy.with_bodies(shuffled=body), "8.4").verdicts
        assert (verdict.status, verdict.got) == (Status.FAILED, words)


def test_a_raise_of_the_stub_that_was_left_is_told_as_that(report: Any, toy: Any) -> None:
    text = toy.stub.replace("    # 1. Multiply.\n", "    # 1. Multiply.\n    y = 2 * x\n")
    assert text != toy.stub
    [verdict] = report(text, "8.1").verdicts
    assert verdict.status is Status.ERROR
    assert "still raises NotImplementedError" in (verdict.message or "")
    assert "delete the raise" in verdict.next


def test_a_call_into_another_unwritten_exercise_is_the_references(report: Any, toy: Any) -> None:
    """Isolation: 8.1 is judged with the solution in every other exercise, written or not."""
    text = toy.with_bodies(double="return SCALE * x + 0 * len(shuffled([1]))")
    [verdict] = report(reset(text, toy.stub, ["shuffled"]), "8.1").verdicts
    assert verdict.status is Status.PASSED


def test_a_changed_line_of_given_code_is_pointed_out_when_something_fails(report: Any, toy: Any) -> None:
    [verdict] = report(toy.solution.replace("SCALE = 2.0", "SCALE = 3.0"), "8.1").verdicts
    assert verdict.status is Status.FAILED
    assert "SCALE = 2.0" in (verdict.detail or "")


def test_a_file_that_is_not_there_is_one_fault(judge: Any, toy: Any, tmp_path: Any) -> None:
    result = judge.report(toy.step, list(toy.step.exercises), tmp_path / "model_exercise.py")
    assert len(result.faults) == 1
    assert "There is no model_exercise.py" in result.faults[0].message
    assert result.score == 0


# --- seeds


def test_a_secret_seed_gives_the_same_verdicts_on_other_numbers(toy: Any, pool: Any, tmp_path: Any) -> None:
    path = tmp_path / "model_exercise.py"
    path.write_text(toy.with_bodies(double="return 3 * x", bundle="return None"))
    items = [toy.items[i] for i in ("8.1", "8.4")]
    found = [Judge(seed, root=toy.root, pool=pool).report(toy.step, items, path) for seed in (1, 2)]
    assert [statuses(r) for r in found] == [{"8.1": Status.FAILED, "8.4": Status.PASSED}] * 2
    first, second = (verdict_of(r, "8.1") for r in found)
    assert first.expected != second.expected
    assert (first.smallest, first.trail, first.inside) == (None, None, None)


def test_no_run_of_the_learners_code_is_needed_for_a_stub(
    toy: Any, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a stub must not be run")

    monkeypatch.setattr(Trial, "_run", refuse)
    assert set(statuses(report(toy.stub)).values()) == {Status.NOT_STARTED}
