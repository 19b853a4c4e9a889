"""Saves and opens the course's notebooks: as they were built on disk, with their outputs on the page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from coursekit.lab import outputs
from coursekit.practice.origin import KEY, Now

# When the kernel began to run a cell, as JupyterLab notes it with its setting `recordTiming`.
BEGAN = ("iopub.execute_input", "iopub.status.busy")


class CourseContents(AsyncLargeFileManager):
    """Files as Jupyter keeps them, but for the built notebooks: their outputs are kept beside them.

    A learner's work is in the exercise file; a notebook that changed with each run would only be in the way
    of the next update. What the learner writes into its cells is saved in it.
    """

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Save a file; of a built notebook the text, and apart from it what the cells show."""
        notebook = Path(self.root_dir, path.strip("/"))
        if model.get("type") != "notebook" or not outputs.is_built(notebook):
            return await super().save(model, path)
        kept = outputs.take_out(model["content"], notebook)
        saved = await super().save(model, path)
        try:
            outputs.write(outputs.kept_file(Path(self.root_dir), notebook), kept)
        except OSError as error:
            reason = error.strerror or error
            raise HTTPError(
                507, f"The text of {path} is saved, what its cells show could not be kept: {reason}"
            ) from error
        return saved

    async def get(self, path: str, content: bool = True, *more: Any, **options: Any) -> dict[str, Any]:
        """Return a file; a built notebook with what its cells showed when it was saved."""
        model = await super().get(path, content, *more, **options)
        root = Path(self.root_dir)
        notebook = root / path.strip("/")
        if not content or model["type"] != "notebook" or not outputs.is_built(notebook):
            return model
        kept = outputs.read(outputs.kept_file(root, notebook))
        if kept:
            since, now = await self._kernel_since(path.strip("/")), Now(root)
            outputs.put_back(
                model["content"],
                kept,
                lambda cell: _has_run_since(cell, since),
                lambda metadata: all(map(now.has, metadata.get(KEY, {}).get("rests_on", ()))),
            )
        return model

    async def _kernel_since(self, path: str) -> float | None:
        """Return when the kernel process of a notebook began (Unix time); None if it has none."""
        server = self.parent
        assert server is not None
        sessions = await server.session_manager.list_sessions()
        kernels = [session["kernel"]["id"] for session in sessions if session["path"] == path]
        if not kernels:
            return None
        try:
            pid = server.kernel_manager.get_kernel(kernels[0]).provisioner.pid
            return psutil.Process(pid).create_time()
        except (KeyError, AttributeError, TypeError, ValueError, psutil.Error):
            return None  # it has just ended, or runs on another machine


def _has_run_since(cell: outputs.Cell, since: float | None) -> bool:
    """Tell whether a cell was run in the kernel that began then: only that one still knows its widgets."""
    if since is None:
        return False
    noted = cell["metadata"].get("execution", {})
    began = next((noted[name] for name in BEGAN if name in noted), None)
    return began is None or datetime.fromisoformat(began).timestamp() >= since
