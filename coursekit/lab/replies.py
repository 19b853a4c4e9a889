"""Lets a kernel of ipykernel 7.1 to 7.3 lose no cell of a Run All (fixed in ipykernel 7.4: issue 1554 there).

These kernels read requests through a stream and send replies past it, over the same socket. A request that
arrives while a reply is sent can then lie unread for ever: the kernel is idle, the cells stay at [*]. Sent
through the stream as well, a reply makes it look again. The profile that `start.py` writes loads this module
as an IPython extension, before the first request; elsewhere the first `from coursekit import check` does it.
"""

from __future__ import annotations

import sys
from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Mend the kernel of a shell; nothing where it has none or needs nothing."""
    kernel = getattr(shell, "kernel", None)
    thread, stream = getattr(kernel, "shell_channel_thread", None), getattr(kernel, "shell_stream", None)
    manager: Any = getattr(thread, "manager", None)
    if stream is not None and hasattr(manager, "_shell_socket"):
        manager._shell_socket = stream


def mend_this_kernel() -> None:
    """Mend the kernel that this code runs in; nothing elsewhere."""
    if "IPython" in sys.modules:
        load_ipython_extension(sys.modules["IPython"].get_ipython())
