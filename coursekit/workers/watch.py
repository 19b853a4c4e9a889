"""Watch one job: end it when its time or memory is spent, and leave no process of its behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

# What one check may hold in memory, its own interpreter and torch (about 0.3 GiB) included.
MEMORY = 2 * 2**30
# How many processes one check may have at a time: code that forks without end must not stop the machine.
PROCESSES = 48
# How many it may start in all, counted where Python starts them: a loop that forks ends at once, harmlessly.
FORKS = 32
# The name in a worker's environment by which whatever it started is found, wherever that has moved.
TOKEN = "COURSE_WORKER"
# The exit status of a job that ran the learner's code and then could not reply: files closed, modules broken.
LOST = 71
GRACE = 0.05
MEMORY_EVERY = 0.05


@dataclass(frozen=True)
class End:
    """How a job ended: "exit" with a status, "signal" with its number, or what ended it.

    That is "timeout", "memory", "processes" (too many), or "lost": its worker was killed while it ran.
    """

    how: str
    code: int = 0


def supervise(
    pid: int, poll: Callable[[], int | None], seconds: float, memory: int, adopter: int | None = None
) -> End:
    """Wait until the job of this process is over, or its limits are reached, and say which.

    `poll` returns the exit status (negative: the signal) or None while the process runs. `memory` is in
    bytes, counted over the process and its descendants; `adopter` is the process that inherits orphans among
    them.
    """
    deadline = time.monotonic() + seconds
    next_look = 0.0
    pause = 0.001
    while (code := poll()) is None:
        now = time.monotonic()
        if now > deadline:
            return _end(pid, poll, End("timeout"))
        if now > next_look:
            family = _family(pid, adopter)
            if len(family) > PROCESSES:
                return _end(pid, poll, End("processes"))
            if _resident(family) > memory and _shared_out(family) > memory:
                return _end(pid, poll, End("memory"))
            next_look = now + MEMORY_EVERY
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)
    return End("exit", code) if code >= 0 else End("signal", -code)


def _family(pid: int, adopter: int | None) -> list[psutil.Process]:
    """Return the process and its descendants, also those that the adopter has inherited."""
    try:
        if adopter is not None:
            return list(psutil.Process(adopter).children(recursive=True))
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(family: list[psutil.Process]) -> int:
    """Return the bytes that processes hold in memory; one that has just ended holds none."""
    return sum(_bytes_of(process, "memory_info", "rss") for process in family)


def _shared_out(family: list[psutil.Process]) -> int:
    """Return the same with pages that several of them share counted once, where the system tells (slower)."""
    is_told = len(family) > 1 and sys.platform == "linux"
    return sum(_bytes_of(p, "memory_full_info", "pss") for p in family) if is_told else _resident(family)


def _bytes_of(process: psutil.Process, ask: str, what: str) -> int:
    with contextlib.suppress(psutil.Error):
        return int(getattr(getattr(process, ask)(), what))
    return 0


def kill_tree(pid: int, itself: bool = True) -> None:
    """Kill every descendant of a process and, unless told otherwise, the process itself.

    All are stopped before any is killed, and looked for again until there is none: code that forks while its
    processes are counted does not get away.
    """
    try:
        process = psutil.Process(pid)
    except psutil.Error:
        return
    if itself and process != psutil.Process():
        _stop_groups([process])
        _each([process], "suspend")
    while family := _stopped_family(process):
        _each(family, "kill")
        psutil.wait_procs(family, timeout=1)
    if itself:
        _each([process], "kill")


def _stopped_family(process: psutil.Process) -> set[psutil.Process]:
    """Return the living descendants of a process, stopped."""
    family: set[psutil.Process] = set()
    with contextlib.suppress(psutil.Error):
        while new := {p for p in process.children(recursive=True) if _is_alive(p)} - family:
            _stop_groups(new)
            _each(new, "suspend")
            family |= new
    return family


def _stop_groups(processes: Iterable[psutil.Process]) -> None:
    """Stop whole process groups: the system does this at one stroke, so that no fork slips through."""
    if sys.platform == "win32":
        return
    groups = set()
    for process in processes:
        with contextlib.suppress(OSError):
            groups.add(os.getpgid(process.pid))
    for group in groups - {os.getpgrp()}:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGSTOP)


def sweep(token: str) -> None:
    """Kill every process that carries a worker's token: what it started, even in sessions of its own.

    Not on Windows, where reading the environment of every process takes too long.
    """
    if sys.platform == "win32":
        return
    while found := [process for process in psutil.process_iter() if _carries(process, token)]:
        _each(found, "kill")
        psutil.wait_procs(found, timeout=1)


def _carries(process: psutil.Process, token: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return _is_alive(process) and process.environ().get(TOKEN) == token
    return False


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _each(processes: Iterable[psutil.Process], what: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            getattr(process, what)()


def _end(pid: int, poll: Callable[[], int | None], end: End) -> End:
    kill_tree(pid)
    while poll() is None:
        time.sleep(GRACE / 10)
    return end
