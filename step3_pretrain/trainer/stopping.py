"""Ctrl-C and a polite kill: the step that is under way is finished, and the run is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether somebody asked the run to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def status(self) -> int:
        """What a shell is told: 130 after Ctrl-C, 143 after a polite kill."""
        return 0 if self.signal is None else 128 + self.signal


@contextmanager
def listening() -> Iterator[Stop]:
    """Yield a Stop that the first Ctrl-C or SIGTERM sets; the second ends the program at once.

    A thread other than the main one gets no signals: there Ctrl-C is what it always is.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: FrameType | None) -> None:
        stop.signal = number
        for each, handler in old.items():
            signal.signal(each, handler)

    for number in old:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
