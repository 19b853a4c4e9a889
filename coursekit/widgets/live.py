"""Whether widgets can run where this notebook is shown: COURSE_WIDGETS=off says that they cannot."""

from __future__ import annotations

import os
from typing import Any

VARIABLE = "COURSE_WIDGETS"
VIEW = "application/vnd.jupyter.widget-view+json"


def are_live() -> bool:
    """Return whether widgets may be shown; where not, what stands in for them is shown alone."""
    return os.environ.get(VARIABLE, "on").lower() not in ("off", "0", "no")


def switch_off() -> None:
    """Show pictures and text in place of widgets from here on, in this kernel."""
    os.environ[VARIABLE] = "off"


def shown(data: dict[str, Any]) -> dict[str, Any]:
    """Return the forms of an output that this place can show: without the widget where none can live."""
    return data if are_live() else {form: what for form, what in data.items() if form != VIEW}
