"""The main program of a worker: `python -m coursekit.workers.process '{"preload": [...]}'`.

It imports what judged code will need and then serves jobs, one line of JSON each. Where the system can copy a
process safely (Linux), every job runs in a fork of this one, which itself never runs a torch operation:
forking after one hangs. Elsewhere it serves a single job and ends. A job is a folder: `job.json` goes in,
`reply.json` and `printed.txt` come out.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import importlib
import io
import json
import math
import mmap
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coursekit.workers.watch import FORKS, kill_tree, supervise

PRINT_LIMIT = 8 * 2**20
# What is printed first is written at once, so that it is there whatever ends the process.
PRINT_AT_ONCE = 2**16
# No file of a job may be larger: a little more than the largest reply.
FILE_LIMIT = 320 * 2**20
# A job whose supervisor is gone ends itself so many seconds after its time is up.
BACKSTOP = 30
PR_SET_CHILD_SUBREAPER = 36
STARTS = ("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen")


def main() -> None:
    """Serve until the input ends: the course that started this process is gone or has no more use for it."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in settings["preload"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from coursekit.workers import tasks

    gc.freeze()
    if settings["fork"]:
        _adopt_orphans()
    _say({"ready": os.getpid()})
    for line in sys.stdin:
        job = json.loads(line)
        if not settings["fork"]:
            _end_with_parent(job)
            _run(job, tasks)
        _say(_serve_in_fork(job, tasks))


def _serve_in_fork(job: dict[str, Any], tasks: Any) -> dict[str, Any]:
    parent = os.getppid()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _run(job, tasks)

    def poll() -> int | None:
        if os.getppid() != parent:
            _end_all(job)
        return _poll(pid)

    end = supervise(pid, poll, job["seconds"], job["memory"], adopter=os.getpid())
    # What the job started and left behind was adopted by this process, and ends here.
    kill_tree(os.getpid(), itself=False)
    _reap()
    return {"how": end.how, "code": end.code}


def _run(job: dict[str, Any], tasks: Any) -> None:
    """Perform the job and end the process without returning to the server's loop, whatever happens.

    Judged code may leave threads that never end and functions at exit: neither is waited for.
    """
    leave = os._exit
    folder = Path(job["folder"])
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if hasattr(signal, "alarm"):
            signal.alarm(math.ceil(job["seconds"]) + BACKSTOP)
        _redirect(folder)
        _limit_forks()
        leave(tasks.perform(folder))
    except BaseException:  # noqa: BLE001 - a fault of the course itself; the trusted side is told of it
        with contextlib.suppress(OSError):
            (folder / "fault.txt").write_text(traceback.format_exc(), encoding="utf-8")
    leave(70)


def _limit_forks() -> None:
    """Let this process and all that it forks start FORKS processes together; then starting one raises
    BlockingIOError, as it does where a system has no more.
    """
    # Memory that forks share: one counter for all of them.
    count = mmap.mmap(-1, 1)

    def watch(event: str, _: object) -> None:
        if event in STARTS:
            if count[0] >= FORKS:
                raise BlockingIOError(errno.EAGAIN, f"a check may start at most {FORKS} processes")
            count[0] += 1

    sys.addaudithook(watch)


def _end_with_parent(job: dict[str, Any]) -> None:
    """End this process soon after the one that started it, which is then no longer there to do so."""
    parent = os.getppid()
    sleep: Callable[[float], None] = time.sleep

    def watch() -> None:
        while os.getppid() == parent:
            sleep(0.5)
        _end_all(job)

    threading.Thread(target=watch, daemon=True).start()


def _end_all(job: dict[str, Any]) -> None:
    """Remove what a job has written and end its processes, this one included."""
    shutil.rmtree(job["folder"], ignore_errors=True)
    kill_tree(os.getpid())


def _redirect(folder: Path) -> None:
    """Send what the job prints to a file of limited size, and give it nothing to read."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    out = os.open(folder / "printed.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = _Capped(os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False))
    sys.stderr = sys.stdout


class _Capped(io.TextIOBase):
    """A text stream that keeps the first PRINT_LIMIT characters and drops the rest, so that a flood fills no
    disk.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = PRINT_LIMIT

    def write(self, text: str) -> int:
        if self._left > 0:
            self._stream.write(text[: self._left])
            self._left -= len(text)
            if self._left > PRINT_LIMIT - PRINT_AT_ONCE:
                self._stream.flush()
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def writable(self) -> bool:
        return True


def _poll(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return None if done == 0 else os.waitstatus_to_exitcode(status)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _adopt_orphans() -> None:
    """Make this process the parent of orphaned descendants (Linux), so that none escapes `kill_tree`."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
