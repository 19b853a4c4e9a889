"""The style sheets that widgets share; a page gets a widget's program and its looks as one text each."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "page.css"
EXPLORER = (PAGE, HERE / "explorer.css", HERE / "explorer_parts.css")


def joined(*files: Path) -> str:
    """Return the text of these files one after another."""
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
