"""The main program of a worker: `python -m coursekit.workers.process '{"preload": [...]}'`.

It imports what judged code will need and then serves jobs, one line of JSON each. Where the system can copy a
process safely (Linux), every job runs in a fork of this one, which itself never runs a torch operation:
forking after one hangs. Elsewhere it serves a single job and ends. A job is a folder: `job.json` goes in,
`reply.json` and `printed.txt` come out.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from coursekit.workers.watch import kill_tree, supervise

PRINT_LIMIT = 8 * 2**20
PR_SET_CHILD_SUBREAPER = 36


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
            _redirect(Path(job["folder"]))
            tasks.perform(Path(job["folder"]))
            return
        _say(_serve_in_fork(job, tasks))


def _serve_in_fork(job: dict[str, Any], tasks: Any) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        _run_child(Path(job["folder"]), tasks)
    end = supervise(pid, lambda: _poll(pid), job["seconds"], job["memory"])
    # What the job started and left behind was adopted by this process, and ends here.
    kill_tree(os.getpid(), itself=False)
    _reap()
    return {"how": end.how, "code": end.code}


def _run_child(folder: Path, tasks: Any) -> None:
    """Perform the job and end the process without returning to the server's loop, whatever happens."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _redirect(folder)
        tasks.perform(folder)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a fault of the course itself; the trusted side is told of it
        with contextlib.suppress(OSError):
            (folder / "fault.txt").write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(70)


def _redirect(folder: Path) -> None:
    """Send what the job prints to a file of limited size, and give it nothing to read."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.open(folder / "printed.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = _Capped(os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False))
    sys.stderr = sys.stdout


class _Capped:
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
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False

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
