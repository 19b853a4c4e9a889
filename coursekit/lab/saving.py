"""Keeps the course's own notebooks as they were built when JupyterLab saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BUILT = ("tutorial.ipynb", "further_tutorial.ipynb")


def without_outputs(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
    """Save a built notebook without outputs, counts and empty new cells; every other file as it is.

    A learner's work is in the exercise file; a notebook that changed with each run would only be in the way
    of the next update. What the learner writes into its cells is kept. Jupyter calls this before it saves.
    """
    target = Path(contents_manager.root_dir, path.strip("/"))
    is_built = target.name in BUILT and target.with_name("exercises.toml").is_file() and target.is_file()
    if model.get("type") != "notebook" or not is_built:
        return
    built = json.loads(target.read_text(encoding="utf-8"))
    metadata = {cell.get("id"): cell["metadata"] for cell in built["cells"]}
    notebook = model["content"]
    # Running the last cell adds an empty one below it.
    notebook["cells"] = [
        c for c in notebook["cells"] if c.get("id") in metadata or "".join(c["source"]).strip()
    ]
    notebook["metadata"] = built["metadata"]
    for cell in notebook["cells"]:
        cell["metadata"] = metadata.get(cell.get("id"), cell["metadata"])
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
