"""`course doctor`: does the course work on this machine? Facts, and problems with a way out."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata

import psutil
import typer

from coursekit import registry
from coursekit.practice.progress import progress_file
from coursekit.registry import COURSE_ROOT
from coursekit.render.terminal import make_console

GIB = 2**30
MIB = 2**20
NEEDED_MEMORY = 2 * GIB
# The README has a table of the same places.
TRIED = "Linux, Python 3.11, on the CPU"
NOT_RUN = ("macOS", "Windows", "GPUs", "VS Code", "Colab", "Kaggle", "dev containers")


def doctor() -> None:
    """Look at this machine: Python, libraries, memory, workers. Exit status 1 where something is amiss."""
    console = make_console()
    problems = 0
    for name, fact, problem in facts():
        console.print(f"{name:12}{fact}")
        if problem:
            problems += 1
            console.print(f"{'':12}problem: {problem}")
    console.print(f"{problems} found: see above." if problems else "Nothing is amiss.")
    raise typer.Exit(1 if problems else 0)


def facts() -> Iterator[tuple[str, str, str | None]]:
    """Yield name, fact and, where something is amiss, the problem with its way out."""
    version = platform.python_version()
    old = (
        None if sys.version_info >= (3, 11) else "the course needs Python 3.11 or newer: run python start.py"
    )
    yield "Python", f"{version}, {sys.executable}", old
    yield "system", f"{platform.platform()}, {os.cpu_count()} cores", None
    yield "tried", f"the course's tests run on {TRIED}; it was not run on {', '.join(NOT_RUN)}", None
    yield "course", str(COURSE_ROOT), _writable()
    for package, minimum in (("torch", "2.13"), ("jupyterlab", "4"), ("ipykernel", "7"), ("nbgrader", "0.9")):
        yield _package(package, minimum)
    yield _memory()
    yield _workers()
    yield _sandbox()


def _package(name: str, minimum: str) -> tuple[str, str, str | None]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return name, "not installed", "run python start.py: it installs what is missing"
    if name == "ipykernel" and not _before(version, "7.4"):
        return (
            name,
            version,
            "from 7.4 on buttons do not answer while a cell runs: pip install 'ipykernel<7.4'",
        )
    if _before(version, minimum):
        return name, version, f"the course needs {minimum} or newer: run python start.py"
    return name, version, None


def _before(version: str, other: str) -> bool:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split("+")[0].split(".") if part.isdigit()]

    return numbers(version)[: len(numbers(other))] < numbers(other)


def _writable() -> str | None:
    folder = progress_file().parent
    place = folder if folder.exists() else folder.parent
    if os.access(place, os.W_OK):
        return None
    return f"{place} cannot be written: progress and copies of your file are not kept"


def _memory() -> tuple[str, str, str | None]:
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(COURSE_ROOT)
    fact = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    fact += f"; disk: {disk.free / GIB:.0f} GiB free"
    short = None
    if memory.available < NEEDED_MEMORY:
        short = f"checks need about {NEEDED_MEMORY / GIB:.0f} GiB of free memory: close other programs"
    return "memory", fact, short


def _workers() -> tuple[str, str, str | None]:
    """Start the workers that a check would start, and say how many there are, what they hold, and the most
    that they may hold.
    """
    from coursekit.workers import WorkerError
    from coursekit.workers.pool import IDLE_MEMORY, Pool, preload_for
    from coursekit.workers.watch import MEMORY

    steps = registry.load_course()
    if not steps:
        return "workers", "none: no step has exercises yet", None
    try:
        with Pool(preload_for(steps[0])) as pool:
            size, count, is_forked = pool.resident() / MIB, len(pool.pids()), pool.fork
    except WorkerError as error:
        return "workers", "do not start", str(error)
    if is_forked:
        kind, most = "1 waits and is copied for every check", ""
    else:
        kind, most = f"{count} wait, each used once", f" (at most {IDLE_MEMORY / MIB:.0f} MiB)"
    fact = f"{kind}: {size:.0f} MiB{most} while a notebook, a check or a watch is open; "
    return "workers", fact + f"one check may take {MEMORY / MIB:.0f} MiB", None


def _sandbox() -> tuple[str, str, str | None]:
    """Say whether grading can lock submissions in; learners do not need it."""
    if shutil.which("bwrap"):
        return "sandbox", "bubblewrap found: graded code can be locked in", None
    return "sandbox", "none (only graders need it; on Linux: install bubblewrap)", None
