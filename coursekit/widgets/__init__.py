"""What a running cell shows: a live curve with a Stop button, a bar in the terminal, a table of figures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from coursekit.widgets import live
from coursekit.widgets.table import Table

__all__ = ["LossPlot", "Table", "in_notebook", "loss_view"]


def __getattr__(name: str) -> Any:
    # anywidget takes half a second to import, and the terminal does not need it.
    if name != "LossPlot":
        raise AttributeError(f"module 'coursekit.widgets' has no attribute {name!r}")
    return import_module("coursekit.widgets.loss_plot").LossPlot


def in_notebook() -> bool:
    """Say whether the code runs in a Jupyter kernel, where widgets and HTML can be shown."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


def loss_view(references: Mapping[str, float]) -> Any:
    """Return what follows a training here: a LossPlot where widgets can run, a progress bar elsewhere.

    Both have `add(x, y, fraction, text)`, `stopped` and `finish(text)`.
    """
    is_live = in_notebook() and live.are_live()
    name, module = ("LossPlot", "loss_plot") if is_live else ("LossBar", "loss_bar")
    return getattr(import_module(f"coursekit.widgets.{module}"), name)(references=dict(references))
