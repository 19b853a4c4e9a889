"""Watch one job: end it when its time or memory is spent, and leave no process of its behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

# What one check may hold in memory, its own interpreter and torch (about 0.3 GiB) included.
MEMORY = 2 * 2**30
GRACE = 0.05
MEMORY_EVERY = 0.05


@dataclass(frozen=True)
class End:
    """How a job ended: "exit" with a status, "signal" with its number, "timeout", "memory" or "stopped"."""

    how: str
    code: int = 0


def supervise(pid: int, poll: Callable[[], int | None], seconds: float, memory: int) -> End:
    """Wait until the job of this process is over, or its limits are reached, and say which.

    `poll` returns the exit status (negative: the signal) or None while the process runs. `memory` is in
    bytes, counted over the process and its children.
    """
    deadline = time.monotonic() + seconds
    next_look = 0.0
    pause = 0.001
    while (code := poll()) is None:
        now = time.monotonic()
        if now > deadline:
            return _end(pid, poll, End("timeout"))
        if now > next_look:
            if resident(pid) > memory:
                return _end(pid, poll, End("memory"))
            next_look = now + MEMORY_EVERY
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)
    return End("exit", code) if code >= 0 else End("signal", -code)


def resident(pid: int) -> int:
    """Return the bytes that a process and its children hold in memory; 0 if it is gone."""
    try:
        process = psutil.Process(pid)
        return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0


def kill_tree(pid: int, itself: bool = True) -> None:
    """Kill every descendant of a process and, unless told otherwise, the process itself."""
    try:
        process = psutil.Process(pid)
        family = process.children(recursive=True)
    except psutil.Error:
        return
    for member in [*family, process] if itself else family:
        try:
            member.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(family, timeout=1)


def _end(pid: int, poll: Callable[[], int | None], end: End) -> End:
    kill_tree(pid)
    while poll() is None:
        time.sleep(GRACE / 10)
    return end
