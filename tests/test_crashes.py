"""Step 2 under fire: a fault inside one body costs that exercise, one outside all bodies is told once."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from coursekit.judging.judge import Judge
from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.registry import load_step
from coursekit.source import exercise_text, find_spans

STEP2 = Path(__file__).parent.parent / "step2_model"
# Endless loops are waited for: less long than a learner's are.
SECONDS = 6.0


@pytest.fixture(scope="module")
def step() -> Any:
    found = load_step(STEP2)
    # The memory bomb in 2.3c must fill its memory before its time is up: seconds, where pages come slowly.
    short = tuple(
        dataclasses.replace(exercise, timeout=30.0 if exercise.id == "2.3c" else SECONDS)
        for exercise in found.exercises
    )
    return dataclasses.replace(found, exercises=short)


@pytest.fixture(scope="module")
def solution(step: Any) -> str:
    return exercise_text((STEP2 / "model_solution.py").read_text(encoding="utf-8"), step, "model")


@pytest.fixture
def judged(step: Any, pool: Any, tmp_path: Path) -> Callable[..., Report]:
    """Judge a text as the learner's file of step 2, bytes that are not UTF-8 written as they are."""

    def run(text: str, *ids: str) -> Report:
        path = tmp_path / "model_exercise.py"
        path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
        first = [exercise for exercise in step.exercises if step.chapter_of(exercise) == step.chapters[0]]
        items = [exercise for exercise in first if not ids or exercise.id in ids]
        assert len(items) == (len(ids) or 11)
        return Judge(pool=pool).report(step, items, path)

    return run


def with_body(text: str, target: str, body: str) -> str:
    span = find_spans(text, [target])[target]
    lines = text.split("\n")
    indent = " " * (8 if "." in target else 4)
    lines[span.body_first - 1 : span.last] = textwrap.indent(textwrap.dedent(body).strip("\n"), indent).split(
        "\n"
    )
    return "\n".join(lines)


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.split("\n"), start=1) if part in line)


def not_passed(report: Report) -> dict[str, Status]:
    return {v.id: v.status for v in report.verdicts if v.status is not Status.PASSED}


def told(verdict: Verdict) -> str:
    return " ".join(filter(None, [verdict.message, verdict.detail, verdict.claim, verdict.got]))


# kind: (exercise, target, body, status, what the message says; LINE stands for the line of the mark)
INSIDE = {
    "a bracket left open": (
        "2.1",
        "MLP.forward",
        "h = self.c_fc(x  # mark\nreturn h",
        Status.ERROR,
        "Python cannot read line LINE: SyntaxError: '(' was never closed",
    ),
    "an exception": (
        "2.2",
        "Block.forward",
        "x = x + self.attn(self.ln_1(x), cache)\nreturn x + self.mlp(x[0, 0, 0, 0])  # mark",
        Status.ERROR,
        "Your code stopped in line LINE with IndexError: too many indices",
    ),
    "an endless loop": (
        "2.3a",
        "attention_scores",
        "while True: scores = q @ k.transpose(-2, -1)  # mark",
        Status.TIMEOUT,
        "No answer after 6 seconds: is there a loop that does not end? Shortly before, it was in line LINE.",
    ),
    "os._exit": (
        "2.3b",
        "apply_causal_mask",
        "import os\nos._exit(0)",
        Status.CRASHED,
        "Your code ended the process itself (exit status 0) before the check was over.",
    ),
    "a memory bomb": (
        "2.3c",
        "attend",
        "keep = []\nwhile True: keep.append(torch.ones(2**26))",
        Status.CRASHED,
        "Your code took more than the 2 GiB of memory that a check may use.",
    ),
    "a memory fault": (
        "2.3d",
        "CausalSelfAttention.forward",
        "import ctypes\nctypes.string_at(0)",
        Status.CRASHED,
        "The process that ran your code was ended by SIGSEGV (a memory fault).",
    ),
    "endless recursion": (
        "2.4a",
        "GPT.embed",
        "return self.embed(ids, start)  # mark",
        Status.ERROR,
        "Your code stopped in line LINE with RecursionError",
    ),
    "sys.exit": (
        "2.4b",
        "GPT.transform",
        "import sys\nsys.exit('done')  # mark",
        Status.ERROR,
        "Your code stopped in line LINE with SystemExit: done",
    ),
    "a string left open": (
        "2.4c",
        "GPT.logits",
        '"""mark: not closed\nreturn x',
        Status.ERROR,
        "Python cannot read line LINE: SyntaxError: unterminated triple-quoted string literal",
    ),
    "a byte that is not UTF-8": (
        "2.4d",
        "next_token_loss",
        "name = 'caf\udce9'  # mark\nreturn logits.mean()",
        Status.ERROR,
        "must be saved as UTF-8, got the byte 0xe9 in line LINE, column 16",
    ),
    "wrong indentation": (
        "2.4e",
        "count_parameters",
        "n = 0\n      return n  # mark",
        Status.ERROR,
        "Python cannot read line LINE: IndentationError: unexpected indent",
    ),
}
NEIGHBORS = {"2.1": "2.2", "2.2": "2.1", "2.3a": "2.3d", "2.3b": "2.3d", "2.3c": "2.3d", "2.3d": "2.2"}


def check_inside(judged: Any, solution: str, kind: str, *others: str) -> None:
    item, target, body, status, message = INSIDE[kind]
    text = with_body(solution, target, body)
    ids = {item, *others} if others else ()
    report = judged(text, *ids)
    assert not_passed(report) == {item: status}, [told(v) for v in report.verdicts]
    verdict = next(v for v in report.verdicts if v.id == item)
    line = str(line_of(text, "mark")) if "mark" in body else ""
    assert message.replace("LINE", line) in (verdict.message or "")
    assert verdict.next
    for ours in ("coursekit", "None", "importlib", "surrogates"):
        assert ours not in told(verdict)
    assert len(report.faults) == (1 if "UTF-8" in kind else 0)


@pytest.mark.parametrize("kind", INSIDE)
def test_a_fault_inside_one_body_costs_that_exercise(judged: Any, solution: str, kind: str) -> None:
    check_inside(
        judged,
        solution,
        kind,
        NEIGHBORS.get(INSIDE[kind][0], "2.4b" if INSIDE[kind][0] != "2.4b" else "2.4a"),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", INSIDE)
def test_a_fault_inside_one_body_costs_none_of_the_ten_others(judged: Any, solution: str, kind: str) -> None:
    check_inside(judged, solution, kind)


def test_faults_in_every_body_at_once_are_each_told_for_themselves(judged: Any, solution: str) -> None:
    text = solution
    # Two kinds take seconds; the others stand for them here.
    kinds = {k: v for k, v in INSIDE.items() if k not in ("an endless loop", "a memory bomb")}
    for _, target, body, _, _ in reversed(kinds.values()):
        # A file of many syntax errors has no tree to find the next body by: the last body is replaced first.
        span = find_spans(solution, [target])[target]
        lines = text.split("\n")
        indent = " " * (8 if "." in target else 4)
        lines[span.body_first - 1 : span.last] = textwrap.indent(body, indent).split("\n")
        text = "\n".join(lines)
    report = judged(text)
    assert not_passed(report) == {item: status for item, _, _, status, _ in kinds.values()}


OUTSIDE: dict[str, tuple[Callable[[str], str], tuple[str, ...], str]] = {
    "an exception": (
        lambda text: text.replace("class MLP(", "LIMIT = int('many')  # mark\n\n\nclass MLP(", 1),
        (),
        "model_exercise.py, line LINE, outside all exercises: ValueError: invalid literal for int()",
    ),
    "a byte that is not UTF-8": (
        lambda text: text.replace('"""Two language', '"""A GPT caf\udce9 (mark), two language', 1),
        (),
        "model_exercise.py must be saved as UTF-8, got the byte 0xe9 in line 1, column 13",
    ),
    "a deleted class": (
        lambda text: re.sub(r"class Block\(.*?\n(?=def attention_scores)", "", text, flags=re.DOTALL),
        ("2.2",),
        "model_exercise.py has no Block.forward.",
    ),
    "a renamed function": (
        lambda text: text.replace("def attend(", "def attention(", 1),
        ("2.3c",),
        "model_exercise.py has no attend.",
    ),
    "a missing package": (
        lambda text: text.replace("import math\n", "import math\nimport numpyy  # mark\n", 1),
        (),
        "model_exercise.py, line LINE, outside all exercises: ModuleNotFoundError: No module named 'numpyy'",
    ),
    "an import that slipped down": (
        lambda text: text.replace("from __future__", "x = 1\nfrom __future__", 1).replace(
            "import math", "import math  # mark"
        ),
        (),
        "outside all exercises: SyntaxError: from __future__ imports must occur at the beginning",
    ),
    "no Python": (
        lambda text: text.replace("class MLP(", "x = = 3  # mark\n\n\nclass MLP(", 1),
        (),
        "model_exercise.py, line LINE, outside all exercises: SyntaxError: invalid syntax",
    ),
    "the end of the process": (
        lambda text: text.replace("class MLP(", "import os\nos._exit(3)\n\n\nclass MLP(", 1),
        (),
        "outside all exercises: your code ended the process itself (exit status 3)",
    ),
    "an endless loop": (
        lambda text: text.replace("class MLP(", "while True: pass  # mark\n\n\nclass MLP(", 1),
        (),
        "model_exercise.py, line LINE, outside all exercises: no answer after 6 seconds",
    ),
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_fault_outside_all_bodies_is_told_once_and_costs_what_depends_on_it(
    judged: Any, solution: str, kind: str
) -> None:
    change, lost, message = OUTSIDE[kind]
    text = change(solution)
    assert text != solution
    report = judged(text, "2.1", "2.2", "2.3c", "2.4e")
    assert tuple(not_passed(report)) == lost, [told(v) for v in report.verdicts]
    assert len(report.faults) == 1
    assert (
        message.replace("LINE", str(line_of(text, "mark")) if "LINE" in message else "")
        in report.faults[0].message
    )
    assert report.faults[0].costs == lost
    if kind == "a renamed function":
        assert "It has attention: was it renamed?" in told(report.verdicts[2])
    if kind == "a deleted class":
        assert "was it renamed" not in told(report.verdicts[1])


def test_what_uses_a_line_that_cannot_run_is_told_and_named(judged: Any, solution: str) -> None:
    text = solution.replace("class MLP(", "HALF = 1 / zero\n\n\nclass MLP(", 1)
    text = with_body(text, "attend", "return dropout(scores.softmax(-1)) @ v + 0 * HALF")
    text = with_body(text, "apply_causal_mask", "return scores")
    report = judged(text, "2.1", "2.3b", "2.3c")
    assert not_passed(report) == {"2.3b": Status.FAILED, "2.3c": Status.ERROR}
    assert "NameError: name 'HALF' is not defined" in told(report.verdicts[2])
    assert [fault.costs for fault in report.faults] == [("2.3c",)]


# exercise: (target, its fault as a change of the solution, the mistake that is to be named)
EIGHT = {
    "2.1": ("no GELU", 'h = F.gelu(h, approximate="tanh")', "h = h"),
    "2.2": ("no residual", "x = x + self.attn(self.ln_1(x), cache)", "x = self.attn(self.ln_1(x), cache)"),
    "2.3a": ("no 1/√D", "return scores / math.sqrt(q.shape[-1])", "return scores"),
    "2.3b": ("no mask", 'return scores.masked_fill(future, float("-inf"))', "return scores"),
    "2.3c": ("the wrong axis", "weights = scores.softmax(dim=-1)", "weights = scores.softmax(dim=-2)"),
    "2.4a": ("no positions", "self.drop(self.wte(ids) + self.wpe(positions))", "self.drop(self.wte(ids))"),
    "2.4b": ("a block skipped", "enumerate(self.h)", "enumerate(self.h[:-1])"),
    "2.4c": ("no final norm", "x = self.ln_f(x)", "x = x"),
}


def test_eight_faults_at_once_are_each_named_and_cost_nothing_else(judged: Any, solution: str) -> None:
    text = solution
    for _, right, wrong in EIGHT.values():
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    report = judged(text)
    assert not_passed(report) == dict.fromkeys(EIGHT, Status.FAILED)
    assert {v.id for v in report.verdicts if v.mistake} == set(EIGHT)
    texts = [v.mistake.text for v in report.verdicts if v.mistake]
    assert len(set(texts)) == len(texts)
    assert report.faults == ()


def test_nothing_is_left_of_all_this(pool: Any) -> None:
    deadline = time.monotonic() + 5
    while children := [c for pid in pool.pids() for c in psutil.Process(pid).children(recursive=True)]:
        assert time.monotonic() < deadline, children
        time.sleep(0.05)
