"""Single keys from a terminal, without Enter, on every system; none where there is no keyboard."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WAIT = 0.1


@contextmanager
def listening(tell: Callable[[str], None]) -> Iterator[bool]:
    """Call `tell` with each key pressed while the block runs; yields whether there is a keyboard to listen
    to.

    `tell` is called in another thread. Ctrl-C still interrupts.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield False
        return
    done = threading.Event()
    with _single_keys():
        thread = threading.Thread(target=_read, args=(tell, done), daemon=True)
        thread.start()
        try:
            yield True
        finally:
            done.set()
            thread.join(timeout=1)


def _read(tell: Callable[[str], None], done: threading.Event) -> None:
    while not done.is_set():
        key = _key()
        if key:
            tell(key)


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def _single_keys() -> Iterator[None]:
        yield

    def _key() -> str:
        if msvcrt.kbhit():
            return msvcrt.getwch()
        time.sleep(WAIT)
        return ""

else:
    import os
    import select
    import termios
    import tty

    @contextmanager
    def _single_keys() -> Iterator[None]:
        """Hand keys over one by one, unseen, and put the terminal back as it was."""
        old = termios.tcgetattr(sys.stdin)
        try:
            tty.setcbreak(sys.stdin)
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, old)

    def _key() -> str:
        ready, _, _ = select.select([sys.stdin], [], [], WAIT)
        if not ready:
            return ""
        pressed = os.read(sys.stdin.fileno(), 16)
        if not pressed:
            time.sleep(WAIT)  # the terminal is gone
        # Arrow and function keys send several characters: they mean nothing here.
        return pressed.decode("utf-8", errors="ignore") if len(pressed) == 1 else ""
