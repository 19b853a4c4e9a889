"""What a run says while it goes: lines, and bars where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


class View:
    """Writes to standard error. `quiet` says nothing at all; bars appear on a terminal alone."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: tqdm | None = None

    def say(self, text: str) -> None:
        """Write a line, above the bar if there is one."""
        if not self.quiet:
            tqdm.write(text, file=sys.stderr)

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Yield what counts documents and tokens."""
        with tqdm(desc=what, unit=" documents", disable=self.quiet or None, leave=False) as bar:

            def count(documents: int, tokens: int) -> None:
                bar.update(documents - bar.n)

            yield count

    @contextmanager
    def training(self, done: float) -> Iterator[None]:
        """Show how much of the run is done while the block runs, with the time that is left."""
        form = "{percentage:3.0f}%|{bar}| {elapsed}{postfix}"
        hidden = self.quiet or None
        with tqdm(total=1.0, initial=done, bar_format=form, disable=hidden, leave=False) as self.bar:
            yield
        self.bar = None

    def step(self, fraction: float, left: float, text: str) -> None:
        """Move the bar of a training to a fraction."""
        if self.bar is not None and not self.bar.disable:
            self.bar.set_postfix_str(f"{in_words(left)} left, {text}", refresh=False)
            self.bar.update(fraction - self.bar.n)


def in_words(seconds: float) -> str:
    """Return a time as one says it: "45 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
