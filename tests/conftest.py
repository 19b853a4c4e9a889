"""What the tests share: a toy course in a temporary folder, warm workers, and a judge that uses them."""

from __future__ import annotations

import os
import signal
import textwrap
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Every process of this run carries it, so that tests can tell what is left of theirs.
os.environ["COURSE_TEST_RUN"] = uuid.uuid4().hex
# A shell's background job starts with Ctrl-C ignored and hands that on to its children, which the tests
# interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
TOY = Path(__file__).parent / "toy"
STEP2 = Path(__file__).parent.parent / "step2_model"


# What a test leaves in these decides what the processes of every later test import.
STEERING = ("PATH", "HOME", "PYTHON", "JUPYTER", "IPYTHON")
BEFORE = pytest.StashKey[dict[str, str]]()


def steering() -> dict[str, str]:
    """Return the variables of the environment that steer Python and Jupyter."""
    return {name: value for name, value in os.environ.items() if name.startswith(STEERING)}


def pytest_sessionstart(session: pytest.Session) -> None:
    session.stash[BEFORE] = steering()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Fail the last test of a file that leaves the environment changed, when its fixtures are gone."""
    yield
    if nextitem is None or nextitem.path != item.path:
        before, item.session.stash[BEFORE] = item.session.stash[BEFORE], steering()
        assert steering() == before, "the tests of this file changed the environment for all later ones"


def replaced(text: str, bodies: Mapping[str, str]) -> str:
    """Return the text with other bodies for these functions and methods."""
    from coursekit.source import find_spans

    for target, body in bodies.items():
        span = find_spans(text, [target])[target]
        lines = text.splitlines()
        indent = " " * (8 if "." in target else 4)
        new = textwrap.indent(textwrap.dedent(body).strip("\n"), indent).splitlines()
        lines[span.body_first - 1 : span.last] = new
        text = "\n".join(lines) + "\n"
    return text


@pytest.fixture(scope="session")
def with_bodies() -> Callable[[str, Mapping[str, str]], str]:
    """Return what gives a text other bodies."""
    return replaced


class Toy:
    """A toy course: a step with all four kinds of claims, and learner's files made from its solution."""

    def __init__(self, root: Path) -> None:
        from coursekit.registry import load_step
        from coursekit.source import exercise_text, stub_text

        self.root = root
        folder = root / "step8_toy"
        folder.mkdir(parents=True)
        for path in TOY.glob("*.*"):
            (folder / path.name).write_bytes(path.read_bytes())
        self.step = load_step(folder)
        solution = (folder / "model_solution.py").read_text(encoding="utf-8")
        self.solution = exercise_text(solution, self.step, "model")
        self.stub = stub_text(solution, self.step, "model")
        self.items = {item.id: item for item in self.step.items}

    def with_bodies(self, **bodies: str) -> str:
        """Return the solution with other bodies: `double="return 3 * x"`, `Pair__push="pass"`."""
        return replaced(self.solution, {name.replace("__", "."): body for name, body in bodies.items()})

    def line_of(self, text: str, part: str) -> int:
        """Return the number of the first line that holds the part, counted from 1."""
        return next(n for n, line in enumerate(text.split("\n"), start=1) if part in line)


@pytest.fixture(scope="session")
def pool() -> Iterator[Any]:
    """Warm workers with what step 2 imports, the default kind of this system."""
    from coursekit.workers.pool import Pool, preload_of

    with Pool(preload_of(sorted(STEP2.glob("*_solution.py")), STEP2.parent)) as shared:
        yield shared


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The toy course, the same for all tests: nothing writes into it but the store of expected values."""
    return Toy(tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="session")
def judge(toy: Toy, pool: Any) -> Any:
    """A judge of the toy course with the practice seed and a store."""
    from coursekit.judging.judge import Judge

    return Judge(root=toy.root, pool=pool)


@pytest.fixture
def report(judge: Any, toy: Toy, tmp_path: Path) -> Callable[..., Any]:
    """Judge a text as the learner's file of the toy step: `report(text, "8.1", "8.2")`."""

    def run(text: str | bytes, *ids: str) -> Any:
        path = tmp_path / "model_exercise.py"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        items = [toy.items[i] for i in ids] if ids else list(toy.step.exercises)
        return judge.report(toy.step, items, path)

    return run
