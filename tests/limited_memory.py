"""A limit on what a process may hold, for programs that tests run in processes of their own (Linux only)."""

from __future__ import annotations

import resource
from pathlib import Path


def limit_memory(megabytes: int, larger: Path) -> None:
    """Let this process hold so much more than now, and see that the limit bites: the file does not fit."""
    status = Path("/proc/self/status").read_text().splitlines()
    used = next(line for line in status if line.startswith("VmData"))
    limit = 1024 * int(used.split()[1]) + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        larger.read_bytes()
    except MemoryError:
        return
    print("the limit does not bite")
