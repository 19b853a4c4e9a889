"""Places in files as what one can click: in a terminal by its escape codes, on a page by its address."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from rich.style import Style
from rich.text import Text


def place_text(file: str, line: int | None = None, environment: Mapping[str, str] = os.environ) -> Text:
    """Return "file:line" as one types it in the current folder, a hyperlink where the terminal has them.

    rich leaves the link out where nothing but plain text is read: in files, pipes and dumb terminals.
    """
    path = Path(file)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    link = _address(path, line, environment)
    return Text(f"{shown}:{line}" if line else str(shown), style=Style(link=link) if link else "")


def _address(path: Path, line: int | None, environment: Mapping[str, str]) -> str | None:
    """Return what a click opens, or None where the terminal opens "file:line" by itself, and better."""
    if environment.get("TERM_PROGRAM") == "vscode" or not path.is_absolute():
        return None
    address = path.as_uri()
    is_kitty = "KITTY_WINDOW_ID" in environment or environment.get("TERM") == "xterm-kitty"
    return f"{address}#{line}" if is_kitty and line else address


def href(file: str, fragment: str = "") -> str:
    """Return a file's address on a page whose notebook runs in the current folder; the fragment as it is.

    JupyterLab opens a file at a line by `line=` and the line's number, counted from 0.
    """
    relative = Path(os.path.relpath(file, Path.cwd())).as_posix()
    return quote(relative) + (f"#{quote(fragment, safe='=')}" if fragment else "")
