"""What the cells of a built notebook showed, kept beside the notebook: `.course/outputs/STEP/NAME.json`.

The notebook itself stays as it was built, so that an update meets no change; a page opened again shows what
it showed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coursekit.lab.left import as_it_was, original

BUILT = re.compile(r"([a-z]+_)?tutorial\.ipynb")
VIEW = "application/vnd.jupyter.widget-view+json"
Cell = dict[str, Any]


def is_built(notebook: Path) -> bool:
    """Tell whether a notebook is one that the course builds; a copy under another name is the learner's."""
    is_named = BUILT.fullmatch(notebook.name) is not None
    return is_named and notebook.with_name("exercises.toml").is_file() and notebook.is_file()


def take_out(content: dict[str, Any], notebook: Path) -> dict[str, Cell]:
    """Make the content as it was built, with the learner's own text in it; return what is kept elsewhere.

    That is what code cells show and what they remember, such as whether their output is folded.
    """
    built = json.loads(notebook.read_text(encoding="utf-8"))
    metadata = {cell.get("id"): cell["metadata"] for cell in built["cells"]}
    # Running the last cell adds an empty one below it.
    content["cells"] = [
        c for c in content["cells"] if c.get("id") in metadata or "".join(c["source"]).strip()
    ]
    content["metadata"] = built["metadata"]
    kept = {}
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            kept[cell.get("id", "")] = {
                "source": _digest(cell),
                "outputs": [original(output) for output in cell["outputs"]],
                "execution_count": cell["execution_count"],
                "metadata": cell["metadata"],
            }
            cell["outputs"], cell["execution_count"] = [], None
        cell["metadata"] = metadata.get(cell.get("id"), _lasting(cell["metadata"]))
    return kept


def put_back(
    content: dict[str, Any],
    kept: dict[str, Cell],
    is_alive: Callable[[Cell], bool],
    is_current: Callable[[Any], bool],
) -> None:
    """Give every code cell what it showed, if its text is still the same and it shows nothing by itself.

    `is_alive` tells whether a cell's widgets still have their kernel, `is_current` whether the metadata of
    an output speaks of code that is still the same; where not, what stands in its place says so.
    """
    for cell in content["cells"]:
        known = kept.get(cell.get("id", ""))
        if (
            cell["cell_type"] != "code"
            or known is None
            or cell["outputs"]
            or known["source"] != _digest(cell)
        ):
            continue
        lives = is_alive(known)
        cell["outputs"] = [
            as_it_was(
                output, is_current(output.get("metadata", {})), lives or VIEW not in output.get("data", {})
            )
            for output in known["outputs"]
        ]
        cell["execution_count"] = known["execution_count"]
        cell["metadata"] = {
            **known["metadata"],
            **cell["metadata"],
            "trusted": known["metadata"].get("trusted", False),
        }


def kept_file(root: Path, notebook: Path) -> Path:
    """Return where the outputs of a notebook of the course are kept."""
    return root / ".course" / "outputs" / notebook.relative_to(root).with_suffix(".json")


def write(file: Path, kept: dict[str, Cell]) -> None:
    """Keep outputs; a crash leaves the earlier ones. Raises OSError where they cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as open_file:
            json.dump({"version": 1, "cells": kept}, open_file)
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(file: Path) -> dict[str, Cell]:
    """Return the outputs that are kept; none where there is no such file or it is damaged."""
    try:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return cells if isinstance(cells, dict) else {}


def _lasting(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a learner's own cell without what each run changes."""
    return {key: value for key, value in metadata.items() if key not in ("execution", "trusted")}


def _digest(cell: Cell) -> str:
    return hashlib.sha256("".join(cell["source"]).encode("utf-8", errors="surrogateescape")).hexdigest()
