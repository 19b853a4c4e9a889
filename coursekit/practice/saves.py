"""Hear of every save of some files, in whatever way an editor saves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from watchfiles import watch as watch_files

# How long the files must be at rest before a save counts, in milliseconds: one save is often several writes.
REST = 50


@contextlib.contextmanager
def saves(files: Sequence[Path], tell: Callable[[Path], None]) -> Iterator[None]:
    """Call `tell` with a file after every save of it, and after its loss, while the block runs.

    Folders are watched, not files: editors save by writing another file and renaming it. A file that is a
    link is watched where it points to, too. `tell` is called in another thread.
    """
    places = {place: file for file in files for place in (_absolute(file), file.resolve())}
    folders = sorted({place.parent for place in places if place.parent.is_dir()})
    done = threading.Event()

    def follow() -> None:
        for changes in watch_files(
            *folders,
            watch_filter=lambda _, changed: Path(changed) in places,
            debounce=4 * REST,
            step=REST,
            stop_event=done,
            recursive=False,
            raise_interrupt=False,
        ):
            for file in sorted({places[Path(changed)] for _, changed in changes}):
                tell(file)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=2)


def _absolute(file: Path) -> Path:
    return file.parent.resolve() / file.name
