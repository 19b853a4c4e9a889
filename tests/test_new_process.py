"""A check in two parts: the second runs in a new process, where nothing of the first is but its files."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.dev.trials import audit_item
from coursekit.judging import runs
from coursekit.judging.expected import Expected
from coursekit.judging.judge import Judge
from coursekit.judging.loader import load_file
from coursekit.judging.runs import Run, files_from_data, observe, run_from_data, run_probe, run_to_data
from coursekit.judging.verdict import Status, Verdict
from coursekit.probe import MAX_HANDED_ON, Rng
from coursekit.registry import Step, load_step
from coursekit.source import exercise_text
from coursekit.workers.pool import Pool

ENTRY = """
[step]
number = 9
title = "Notes"
question = "What is still there tomorrow?"
tutorial = "docs/notes.md"

[[exercise]]
id = "9.1"
title = "A note"
targets = ["write_note", "read_note"]
points = 3
minutes = 1
difficulty = 1
needs = []
writeup = "docs/notes.md"
timeout = 3
hints = ["Write it down."]
"""
SOLUTION = '''
"""Notes on paper."""

from pathlib import Path


def write_note(path: Path, number: int) -> None:
    """Write a number into a file."""
    path.write_text(str(number))


def read_note(path: Path) -> int:
    """Return the number that was written into a file, in another process too."""
    return int(path.read_text())
'''
CHECKS = """
import os
import tempfile
from pathlib import Path

from coursekit.probe import cases, check, holds, new_process


@check("9.1")
def writes(m, rng):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "note"
        m.write_note(path, rng.integer(10, 99))
        yield "what is written can be read", m.read_note(path)
        yield holds("it is a number", m.read_note(path), is_number)
        return {"note": path.read_bytes(), "process": str(os.getpid()).encode()}


@new_process("9.1")
def reads(m, rng, files):
    number = rng.integer(10, 99)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "moved"
        path.write_bytes(files["note"])
        yield "it can be read in another process", m.read_note(path)
        yield holds("it is the number", [m.read_note(path), number], is_same)
    yield "the process is another one", files["process"] == str(os.getpid()).encode()


def is_number(seen, given):
    return type(seen) is int


def is_same(seen, given):
    return seen[0] == seen[1]
"""
MISTAKES = '''
from coursekit.probe import mistake, variant

KEPT = {}


@mistake("9.1")
def kept_in_mind():
    """Your note stays in memory and is gone with the process."""

    def write(path, number):
        KEPT["number"] = number
        path.write_text("see above")

    return {"write_note": write, "read_note": lambda path: KEPT.get("number", -1)}


@mistake("9.1")
def off_by_one():
    """Your note is read one too high."""
    return {"read_note": lambda path: int(path.read_text()) + 1}


@mistake("9.1")
def never_large():
    """Your note refuses numbers of two digits."""

    def write(path, number):
        raise OverflowError("one digit")

    return {"write_note": write}


@variant("9.1")
def in_hex():
    """Another way to write numbers."""
    return {
        "write_note": lambda path, number: path.write_bytes(number.to_bytes(2, "big")),
        "read_note": lambda path: int.from_bytes(path.read_bytes(), "big"),
    }
'''
WRITES = "    path.write_text(str(number))"
READS = "    return int(path.read_text())"
IN_MIND = "    global kept\n    kept = number\n    path.touch()"


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Step:
    folder = tmp_path_factory.mktemp("course") / "step9_notes"
    folder.mkdir()
    texts = {"exercises.toml": ENTRY, "model_solution.py": SOLUTION, "checks.py": CHECKS}
    for name, text in (texts | {"mistakes.py": MISTAKES}).items():
        (folder / name).write_text(text.lstrip("\n"), encoding="utf-8")
    return load_step(folder)


@pytest.fixture
def judged(step: Step, pool: Any, tmp_path: Path) -> Callable[..., Verdict]:
    """Judge the solution with other bodies."""

    def run(writes: str = WRITES, reads: str = READS, workers: Any = pool) -> Verdict:
        text = exercise_text(SOLUTION.lstrip("\n"), step, "model")
        path = tmp_path / "model_exercise.py"
        path.write_text(text.replace(WRITES, writes).replace(READS, reads), encoding="utf-8")
        return Judge(root=step.root, pool=workers).report(step, step.exercises, path).verdicts[0]

    return run


def test_right_code_passes_both_parts(judged: Any) -> None:
    verdict = judged()
    assert (verdict.status, verdict.score) == (Status.PASSED, 3), verdict


def test_spare_workers_that_cannot_fork_run_both_parts_too(judged: Any) -> None:
    with Pool(fork=False) as spares:
        assert judged(workers=spares).status is Status.PASSED
        verdict = judged(IN_MIND, "    return globals().get('kept', -1)", workers=spares)
    assert verdict.mistake.name == "kept_in_mind"


def test_what_stays_in_memory_is_gone_in_the_second_part_and_the_mistake_is_named(judged: Any) -> None:
    verdict = judged(IN_MIND, "    return globals().get('kept', -1)")
    assert verdict.status is Status.FAILED
    assert verdict.claim == "it can be read in another process"
    assert (verdict.mistake.name, verdict.claim_number) == ("kept_in_mind", 2)


def test_an_exception_of_the_second_part_is_told_in_the_learners_line(judged: Any) -> None:
    verdict = judged(IN_MIND, "    print('reading')\n    return kept")
    assert verdict.status is Status.ERROR
    assert "NameError: name 'kept' is not defined" in verdict.detail
    assert verdict.printed == "reading\n" * 3


@pytest.mark.parametrize(
    ("end", "status"), [("while True: pass", Status.TIMEOUT), ("__import__('os')._exit(3)", Status.CRASHED)]
)
def test_a_second_part_that_comes_to_no_end_is_told_as_such(judged: Any, end: str, status: Status) -> None:
    body = f"    if path.name == 'moved':\n        {end}\n{READS}"
    assert judged(reads=body).status is status


def test_a_first_part_that_fails_is_the_message_whatever_the_second_does(judged: Any) -> None:
    verdict = judged(reads="    return int(path.read_text()) + 1")
    assert verdict.claim == "what is written can be read"
    assert verdict.mistake.name == "off_by_one"


def test_a_file_too_large_to_be_handed_on_is_refused(judged: Any) -> None:
    verdict = judged(f"    path.write_text(str(number) + ' ' * {MAX_HANDED_ON})")
    assert (verdict.status, verdict.claim_number) == (Status.FAILED, 2)


FORGED = ["3", "[]", "{'note': 3}", "{'note': {'bytes': 'xy'}}", "{'note': {}}", "{'other': {'bytes': ''}}"]


@pytest.mark.parametrize("files", FORGED)
def test_files_that_a_learners_process_makes_up_are_no_answer(judged: Any, files: str) -> None:
    forge = f"lambda run: make(run) | {{'files': {files}}}"
    body = f"    import coursekit.workers.tasks as t\n    make = t.run_to_data\n    t.run_to_data = {forge}"
    verdict = judged(f"{body}\n{WRITES}")
    assert verdict.status in (Status.FAILED, Status.ERROR, Status.CRASHED)


def test_a_check_of_one_part_does_not_go_on_with_files_that_are_made_up(report: Any, toy: Any) -> None:
    body = """
    import coursekit.workers.tasks as t
    make = t.run_to_data
    t.run_to_data = lambda run: make(run) | {"files": {"note": {"bytes": ""}}}
    return 2 * x
    """
    assert report(toy.with_bodies(double=body), "8.1").verdicts[0].status is not Status.PASSED


def test_the_trusted_runs_are_whole_and_decided(step: Step, pool: Any) -> None:
    expected = Expected(pool, step, step.exercises[0], 7, None)
    assert [claim.value for claim in expected.run.claims[1::2]] == [True, True]
    assert expected.run.claims[-1].value is False, "another process"
    known = {mistake.name: mistake.run for mistake in expected.mistakes}
    assert [claim.value for claim in known["kept_in_mind"].claims[2:4]] == [-1, False]
    assert [claim.value for claim in known["off_by_one"].claims[1::2]] == [True, False]
    assert known["never_large"].raised is not None
    assert known["never_large"].claims == ()


def test_the_audit_runs_the_second_part_in_another_process(step: Step) -> None:
    row = audit_item(step, "9.1", None, [20, 1], [1])
    assert row.slipped == []
    assert (row.mistakes, row.rejected, row.named) == (3, 3, 3)
    assert (row.variants, row.accepted) == (1, 1)


def test_the_audit_builds_what_a_further_file_adds_in_the_other_process_too(
    step: Step, tmp_path: Path
) -> None:
    further = tmp_path / "more.py"
    further.write_text(MISTAKES.replace("KEPT", "HELD").replace("def kept_in_mind", "def held"))
    row = audit_item(step, "9.1", further, [20], [1])
    assert {slip.name for slip in row.slipped} == set()
    assert {one["same_as"] for one in row.same_as} == {"kept_in_mind", "off_by_one", "never_large"}


def test_a_promise_of_files_that_is_not_kept_is_a_fault_of_the_check(tmp_path: Path) -> None:
    for name, text in {
        "forgets": CHECKS.replace('return {"note"', '{"note"'),
        "alone": CHECKS.replace('@new_process("9.1")', ""),
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
        solution = tmp_path / "model.py"
        solution.write_text(SOLUTION)
        with pytest.raises(ValueError, match=r"hand on files if a second part follows"):
            run_probe([load_file(tmp_path / f"{name}.py")], "9.1", load_file(solution), 3)


def test_files_travel_with_a_run_and_are_no_part_of_the_whole() -> None:
    first = Run((), None, ("one",), {"a": b"\x00\xff"})
    assert run_from_data(run_to_data(first)) == first
    whole = runs.joined(first, Run((), None, ("two",)))
    assert (whole.returns, whole.files) == (("one", "two"), None)
    with pytest.raises(ValueError, match="at most"):
        files_from_data({"a": {"bytes": "00" * (MAX_HANDED_ON + 1)}})


def test_what_a_probe_yields_is_frozen_when_it_is_yielded() -> None:
    import torch

    def probe() -> Any:
        x = torch.zeros(2)
        yield "x", x
        x += 1
        yield "x", x

    claims: list[Any] = []
    assert observe(probe(), claims) is None
    assert [claim.value.data.tolist() for claim in claims] == [[0, 0], [1, 1]]


def test_the_second_part_draws_the_numbers_of_the_first_again(tmp_path: Path) -> None:
    path = tmp_path / "drawing.py"
    path.write_text(
        textwrap.dedent(
            """
            from coursekit.probe import check, new_process

            @check("9.1")
            def first(m, rng):
                yield "drawn", rng.integer(0, 10**9)
                return {}

            @new_process("9.1")
            def second(m, rng, files):
                yield "drawn", rng.integer(0, 10**9)
            """
        )
    )
    one, two = runs.whole_probe([load_file(path)], "9.1", None, 5)
    assert one == two
    assert Rng(0).integer(0, 10**9) != one[1]
