"""Reading and writing any file, untouched bodies, forbidden calls, and the stub of the real solution."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit import source
from coursekit.registry import Step, load_course

STUB = '''def f(x):
    """Return x."""
    # 1. Return it.
    raise NotImplementedError("exercise 1 is not written yet")
'''


@pytest.mark.parametrize(
    "raw",
    [
        b"x = 1\n",
        b"\xef\xbb\xbfx = 1\r\n",
        b"x = '\xe9'\n",
        b"# coding: latin-1\nx = '\xe9'\n",
        b"a\x0c\nb\rc",
        b"",
    ],
)
def test_what_was_read_is_written_back_byte_for_byte(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_bytes(raw)
    text, _ = source.read_source(path)
    source.write_source(path, text)
    assert path.read_bytes() == raw
    assert [p.name for p in tmp_path.iterdir()] == ["f.py"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"# ok\nname = 'caf\xe9'\n", "0xe9 in line 2, column 12"),
        ("x = 1\n".encode("utf-16"), "UTF-16"),
        ("é\n".encode() + b"\xff\n", "0xff in line 2, column 1"),
    ],
)
def test_a_file_that_is_not_utf_8_says_where_and_stays_readable(
    raw: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "f.py"
    path.write_bytes(raw)
    text, fault = source.read_source(path)
    assert fault is not None
    assert words in fault
    assert len(source.split_lines(text)) == raw.count(b"\n")


@pytest.mark.parametrize(
    "raw", [b"x = 1\n", b"\xef\xbb\xbfx = 1\n", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n"]
)
def test_what_python_can_read_is_no_fault(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_bytes(raw)
    text, fault = source.read_source(path)
    assert fault is None
    compile(text, "f.py", "exec")


def test_lines_are_counted_as_python_counts_them() -> None:
    text = "a\x0cb\u2028c\x1c\nd\re\r\nf"
    assert source.split_lines(text) == ["a\x0cb\u2028c\x1c\n", "d\r", "e\r\n", "f"]


@pytest.mark.parametrize(
    ("new", "untouched"),
    [
        (STUB, True),
        (STUB.replace("    # 1. Return it.\n", "    # my plan\n\n"), True),
        (STUB.replace("Return x.", "Return x, I think."), True),
        (STUB.replace("(x):", "( x ):  # why?"), True),
        (STUB.replace("\n", "\r\n") + "def g(:\n", True),
        (STUB.replace("    raise", "    x = x\n    raise"), False),
        (STUB.replace("    raise", "    return ) x\n    raise"), False),
        (STUB.replace("def f", "def g"), False),
    ],
)
def test_a_body_is_untouched_until_code_changes(new: str, untouched: bool) -> None:
    assert source.is_untouched(new, STUB, "f") is untouched


CALLS = '''import torch
import torch as pt
import torch.nn.functional as F
from torch.nn.functional import cross_entropy as ce
from torch import nn

loss_of = F.cross_entropy


def helper(a):
    return F.cross_entropy(a, a)


def f(a, b):
    """F.cross_entropy(a, b) is what this does."""
    # F.cross_entropy
    return BODY


class C:
    def aid(self, a):
        return ce(a, a)

    def m(self, a, b):
        return BODY
'''


@pytest.mark.parametrize(
    "body",
    [
        "F.cross_entropy(a, b)",
        "torch.nn.functional.cross_entropy(a, b)",
        "pt.nn.functional.cross_entropy(a, b)",
        "nn.functional.cross_entropy(a, b)",
        "ce(a, b)",
        "loss_of(a, b)",
        "getattr(F, 'cross_entropy')(a, b)",
        "sum(map(ce, a, b))",
        "helper(a)",
        "(lambda: F.cross_entropy(a, b))()",
    ],
)
@pytest.mark.parametrize("target", ["f", "C.m"])
def test_a_forbidden_function_is_found_under_every_name(body: str, target: str) -> None:
    text = CALLS.replace("BODY", body)
    found = source.forbidden_calls(text, target, ["F.cross_entropy"])
    assert [name for name, _ in found] == ["F.cross_entropy"]
    line = source.split_lines(text)[found[0][1] - 1]
    assert body in line or "helper" in body


@pytest.mark.parametrize("body", ["a", "a.cross_entropy(b)", "F.softmax(a)", "a @ b"])
def test_other_calls_are_not_forbidden(body: str) -> None:
    assert source.forbidden_calls(CALLS.replace("BODY", body), "f", ["F.cross_entropy"]) == []


def test_known_functions_are_not_searched_for_forbidden_calls() -> None:
    text = CALLS.replace("BODY", "helper(a)")
    assert source.forbidden_calls(text, "f", ["F.cross_entropy"], known=["helper"]) == []


def test_a_bare_forbidden_name_means_methods_too() -> None:
    text = CALLS.replace("BODY", "a.sort()")
    assert [name for name, _ in source.forbidden_calls(text, "f", ["sort"])] == ["sort"]


def test_a_method_that_helps_is_searched_for_forbidden_calls() -> None:
    assert source.forbidden_calls(CALLS.replace("BODY", "self.aid(a)"), "C.m", ["F.cross_entropy"])


@pytest.mark.parametrize("step", load_course(), ids=lambda step: step.folder)
def test_the_solution_and_its_stub_are_one_file(step: Step, tmp_path: Path) -> None:
    for trio in {exercise.trio for exercise in step.exercises}:
        text, fault = source.read_source(step.trio_files(trio)[1])
        assert fault is None
        exercise, stub = source.exercise_text(text, step, trio), source.stub_text(text, step, trio)
        targets = [target for item in step.of_trio(trio) for target in item.targets]
        assert source.solve(stub, exercise, targets) == exercise
        assert source.reset(exercise, stub, targets) == stub
        assert exercise.startswith(text[:200])
        for target in targets:
            assert source.is_untouched(stub, stub, target)
            assert not source.is_untouched(exercise, stub, target)
            assert source.isolate(stub, exercise, targets, targets).text == stub
        (tmp_path / "stub.py").write_text(stub, encoding="utf-8")
        ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
        rules = ["--isolated", "--line-length=110", "--select=E,F,W,B", "--ignore=F401,F722,F821"]
        done = subprocess.run(
            [ruff, "check", *rules, str(tmp_path / "stub.py")], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
