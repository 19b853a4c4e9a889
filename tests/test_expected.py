"""Trusted values: computed by trusted code alone, stored for the practice seed, thrown away when stale."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.judging.expected import PRACTICE_SEED, Expected
from coursekit.registry import load_step
from coursekit.workers import WorkerError


class NoPool:
    """A pool in which nothing may run: whoever uses it did not read the store."""

    def run(self, *_: Any) -> Any:
        raise AssertionError("the value must come from the store")


@pytest.fixture
def copy(toy: Any, tmp_path: Path) -> Callable[[], Any]:
    """A copy of the toy step that a test may change: each job imports it anew."""
    shutil.copytree(toy.step.path, tmp_path / "course" / toy.step.folder)
    return lambda: load_step(tmp_path / "course" / toy.step.folder)


def expect(pool: Any, step: Any, item: str, store: Path | None, seed: int = PRACTICE_SEED) -> Expected:
    return Expected(pool, step, next(e for e in step.items if e.id == item), seed, store)


def test_the_second_time_nothing_runs(toy: Any, pool: Any, tmp_path: Path) -> None:
    first = expect(pool, toy.step, "8.4", tmp_path)
    names = [m.name for m in expect(pool, toy.step, "8.2", tmp_path).mistakes]
    again = expect(NoPool(), toy.step, "8.4", tmp_path)
    assert again.run == first.run
    assert names == ["twice"]
    assert [m.name for m in expect(NoPool(), toy.step, "8.2", tmp_path).mistakes] == names


def test_values_of_a_secret_seed_are_never_stored(toy: Any, pool: Any, tmp_path: Path) -> None:
    one, two = (expect(pool, toy.step, "8.4", tmp_path, seed) for seed in (1, 2))
    assert one.run.claims[0].given != two.run.claims[0].given
    assert one.mistakes == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["checks.py", "mistakes.py", "model_solution.py"])
def test_a_change_of_the_trusted_code_makes_the_store_stale(
    copy: Any, pool: Any, tmp_path: Path, name: str
) -> None:
    store = tmp_path / "store"
    expect(pool, copy(), "8.4", store)
    path = copy().path / name
    path.write_text(path.read_text() + "\n# changed\n")
    with pytest.raises(AssertionError, match="must come from the store"):
        expect(NoPool(), copy(), "8.4", store)


@pytest.mark.parametrize("junk", [b"", b"{", b"null", b"[1, 2]", b'{"dict": {}}', b'{"int": "0x1"}'])
def test_a_store_that_was_spoiled_is_computed_anew(toy: Any, pool: Any, tmp_path: Path, junk: bytes) -> None:
    first = expect(pool, toy.step, "8.4", tmp_path)
    [stored] = tmp_path.glob("*.json")
    good = stored.read_bytes()
    stored.write_bytes(junk)
    assert expect(pool, toy.step, "8.4", tmp_path).run == first.run
    assert stored.read_bytes() == good


def test_a_store_that_cannot_be_written_costs_time_and_nothing_else(
    toy: Any, pool: Any, tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("a file stands where the folder should")
    assert expect(pool, toy.step, "8.4", tmp_path / "store").run.claims


def test_a_check_that_fails_on_the_solution_is_a_fault_of_the_course(copy: Any, pool: Any) -> None:
    path = copy().path / "model_solution.py"
    path.write_text(path.read_text().replace("return items[::-1]", "raise KeyError('mine')"))
    with pytest.raises(WorkerError, match=r"the probe of 8\.4 must run on the solution"):
        expect(pool, copy(), "8.4", None)
