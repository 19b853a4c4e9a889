"""Single keys from a terminal, without Enter, on every system; none where there is no keyboard."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Keyboard:
    """Tells each key that is pressed while it is open, in a thread of its own. Ctrl-C still interrupts.

    `has_keys` is False where standard input is no terminal; opening it then does nothing.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._keys: _Keys | None = None
        self._thread: threading.Thread | None = None
        self.has_keys = sys.stdin is not None and sys.stdin.isatty()

    def __enter__(self) -> Keyboard:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Begin to listen."""
        if not self.has_keys or self._thread is not None:
            return
        self._keys = _Keys()
        self._thread = threading.Thread(target=self._listen, args=(self._keys,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and leave the terminal as it was."""
        if self._keys is not None:
            self._keys.close()
        if self._thread is not None:
            self._thread.join(timeout=2)
        self._keys = self._thread = None

    def renew(self) -> None:
        """Set the terminal anew after the program was stopped (Ctrl-Z): shells take it back."""
        if self._keys is not None:
            self._keys.set_single()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the keyboard to another program while the block runs."""
        self.close()
        try:
            yield
        finally:
            self.open()

    def _listen(self, keys: _Keys) -> None:
        while (key := keys.next()) is not None:
            if key:
                self._tell(key)


if sys.platform == "win32":
    import msvcrt
    import time

    class _Keys:
        """Keys of a Windows console."""

        def __init__(self) -> None:
            self._is_open = True

        def set_single(self) -> None:
            """Do nothing: a Windows console always hands over single keys."""

        def next(self) -> str | None:
            """Return the next key; an empty text while there is none, None once it is closed."""
            if msvcrt.kbhit():
                return msvcrt.getwch()
            time.sleep(0.1)
            return "" if self._is_open else None

        def close(self) -> None:
            self._is_open = False

else:
    import os
    import select
    import termios
    import tty

    class _Keys:
        """Keys of a terminal, one by one and unseen; waiting for one costs nothing."""

        def __init__(self) -> None:
            self._old = termios.tcgetattr(sys.stdin)
            self._wake, self._waker = os.pipe()
            self.set_single()

        def set_single(self) -> None:
            """Let the terminal hand over each key at once."""
            tty.setcbreak(sys.stdin)

        def next(self) -> str | None:
            """Wait for a key and return it; empty for one that means nothing, None once it is closed."""
            try:
                ready, _, _ = select.select([sys.stdin, self._wake], [], [])
                if self._wake in ready:
                    os.close(self._wake)
                    return None
                pressed = os.read(sys.stdin.fileno(), 16)
            except OSError:
                return None
            if not pressed:
                return None  # the terminal is gone
            # Arrow and function keys send several characters: they mean nothing here.
            return pressed.decode("utf-8", errors="ignore") if len(pressed) == 1 else ""

        def close(self) -> None:
            os.close(self._waker)
            with suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._old)
