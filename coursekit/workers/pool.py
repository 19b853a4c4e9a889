"""The trusted side of the workers: hand a job over, wait, and get back what came of it.

On Linux one warm process forks a fresh copy of itself for every job (tens of milliseconds). Elsewhere, where
forking is not safe or not there, warm spare processes wait, each is used once and replaced in the background.
Set COURSE_WORKERS=spares to use spares on Linux too.
"""

from __future__ import annotations

import ast
import atexit
import os
import shutil
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.registry import Step
from coursekit.workers import WorkerError
from coursekit.workers.watch import MEMORY, End, supervise
from coursekit.workers.worker import Worker

PRINTED = 4_000
SPARES = 2
# What the spares of one pool may hold together while they wait, in bytes, and what one is taken to hold
# before one has been measured. There is always one: without it nothing could be judged.
IDLE_MEMORY = 2**30
UNMEASURED = 2**29


@dataclass(frozen=True)
class Outcome:
    """What came of a job: how its process ended, its reply if it gave one, the start of what it printed.

    `stack` is where its Python code was shortly before its time was up, `lost` why a job that came to its end
    could not reply, `is_loaded` whether the learner's file had been loaded.
    """

    end: End
    reply: Any = None
    printed: str = ""
    stack: str = ""
    lost: str = ""
    is_loaded: bool = False


class Pool:
    """Warm workers for one set of imports. Use it as a context manager, or let `shared_pool` keep it."""

    def __init__(self, preload: Sequence[str] = (), fork: bool | None = None) -> None:
        self.preload = tuple(preload)
        self.fork = can_fork() if fork is None else fork
        self._lock = threading.Lock()
        self._workers: deque[Worker] = deque()
        self._size = UNMEASURED
        self.warm()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm(self) -> None:
        """Start what is missing of the warm processes, as IDLE_MEMORY has room; returns at once."""
        wanted = 1 if self.fork else max(1, min(SPARES, IDLE_MEMORY // self._size))
        while len(self._workers) < wanted:
            self._workers.append(Worker(self.preload, self.fork))

    def run(self, job: dict[str, Any], seconds: float, memory: int = MEMORY) -> Outcome:
        """Do a job in a process of its own and return what came of it. One job at a time; others wait."""
        with self._lock:
            folder = Path(tempfile.mkdtemp(prefix="course-job-"))
            try:
                _write_job(folder, job)
                end = (
                    self._run_forked(folder, seconds, memory)
                    if self.fork
                    else self._run_spare(folder, seconds, memory)
                )
                return _outcome(folder, end)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _run_forked(self, folder: Path, seconds: float, memory: int) -> End:
        worker = self._workers[0]
        try:
            worker.wait_ready()
            worker.send({"folder": str(folder), "seconds": seconds, "memory": memory})
            told = worker.listen()
        except BaseException:
            self._replace(worker)
            raise
        if not told:
            self._replace(worker)
            return End("lost")
        return End(told["how"], told["code"])

    def _run_spare(self, folder: Path, seconds: float, memory: int) -> End:
        worker = self._workers.popleft()
        try:
            worker.wait_ready()
            self._size = worker.resident() or UNMEASURED
            worker.send({"folder": str(folder), "seconds": seconds})
            self.warm()
            return supervise(worker.process.pid, worker.process.poll, seconds, memory)
        finally:
            worker.close()

    def _replace(self, worker: Worker) -> None:
        worker.close()
        self._workers.remove(worker)
        self.warm()

    def resident(self) -> int:
        """Wait until the warm workers are ready, and return what they hold together, in bytes."""
        for worker in self._workers:
            worker.wait_ready()
        return sum(worker.resident() for worker in self._workers)

    def pids(self) -> list[int]:
        """Return the process ids of the warm workers."""
        return [worker.process.pid for worker in self._workers]

    def close(self) -> None:
        """End all workers."""
        while self._workers:
            self._workers.pop().close()


def can_fork() -> bool:
    """Tell whether jobs run in forks of one warm process: on Linux, unless COURSE_WORKERS says "spares"."""
    return sys.platform == "linux" and os.environ.get("COURSE_WORKERS") != "spares"


def preload_of(sources: Sequence[Path], root: Path) -> tuple[str, ...]:
    """Return the modules that these files import from outside the course, to be imported before a job
    comes.
    """
    names: set[str] = set()
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return tuple(sorted(name for name in names if not (root / name.split(".")[0]).exists()))


_pools: dict[tuple[str, ...], Pool] = {}


def shared_pool(preload: Sequence[str]) -> Pool:
    """Return the pool of this process for these imports; it is closed when the process ends."""
    key = tuple(preload)
    if key not in _pools:
        _pools[key] = Pool(key)
    return _pools[key]


@atexit.register
def close_shared() -> None:
    """End the workers of all shared pools."""
    while _pools:
        _pools.popitem()[1].close()


def preload_for(step: Step) -> tuple[str, ...]:
    """Return the modules that judging a step needs: those its solutions import from outside the course."""
    return preload_of(sorted(step.path.glob("*_solution.py")), step.root)


def pool_of(step: Step) -> Pool:
    """Return this process's warm workers for a step; the first call starts them and returns at once."""
    return shared_pool(preload_for(step))


# The wire needs NumPy: imported at last, while the worker is importing too, and not before it starts.
def _write_job(folder: Path, job: dict[str, Any]) -> None:
    from coursekit.judging import wire

    wire.save(folder, "job", wire.freeze(job))


def _outcome(folder: Path, end: End) -> Outcome:
    from coursekit.judging import wire

    printed = _read(folder / "printed.txt", PRINTED)
    fault = _read(folder / "fault.txt")
    if fault:
        raise WorkerError(f"the course itself failed in a worker:\n{fault}")
    try:
        return Outcome(end, wire.load(folder, "reply"), printed)
    except (FileNotFoundError, wire.WireError):
        stack = _read(folder / "stack.txt")
        if stack and end.how == "signal":
            # The stack is noted when nine tenths of the time are spent, by C code that reads the frames of a
            # running loop: it can crash on one that just changes. What there is to tell is the loop.
            end = End("timeout")
        stack = stack if end.how == "timeout" else ""
        return Outcome(end, None, printed, stack, _read(folder / "lost.txt"), (folder / "loaded").exists())


def _read(path: Path, limit: int = 100_000) -> str:
    """Return the start of a text that a worker wrote; nothing where no plain file is."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        text = file.read(4 * limit).decode("utf-8", errors="replace")
    return text if len(text) <= limit else text[:limit] + "\n... (the rest is left out)"
