"""One worker process as the trusted side holds it: start it, give it jobs, listen, end all it started."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from typing import Any

import psutil

from coursekit.registry import COURSE_ROOT
from coursekit.workers import WorkerError
from coursekit.workers.watch import TOKEN, kill_tree, sweep


class Worker:
    """One worker process: imports done, waiting for a job."""

    def __init__(self, preload: Sequence[str], fork: bool) -> None:
        settings = json.dumps({"preload": list(preload), "fork": fork})
        self._token = uuid.uuid4().hex
        environment = os.environ | {
            TOKEN: self._token,
            "PYTHONPATH": os.pathsep.join([str(COURSE_ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(
                os.pathsep
            ),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "coursekit.workers.process", settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=COURSE_ROOT,
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        self.is_ready = False

    def wait_ready(self) -> None:
        """Wait until the imports are done."""
        if not self.is_ready:
            if "ready" not in self.listen():
                raise WorkerError("a worker process did not start: run `course doctor`")
            self.is_ready = True

    def resident(self) -> int:
        """Return the memory that the process holds, in bytes; 0 where the system does not tell.

        On Linux a page that several processes share counts by its share in each (PSS).
        """
        try:
            process = psutil.Process(self.process.pid)
            return int(getattr(process.memory_full_info(), "pss", 0) or process.memory_info().rss)
        except psutil.Error:
            return 0

    def listen(self) -> dict[str, Any]:
        """Return the next message of the process, or an empty one if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def send(self, message: dict[str, Any]) -> None:
        """Give the process a job."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise WorkerError("a worker process has ended: run the check again") from None

    def close(self) -> None:
        """End the process and everything that it started."""
        kill_tree(self.process.pid)
        sweep(self._token)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.process.wait()
