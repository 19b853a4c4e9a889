"""The engine of the course: what steps ask, how answers are judged, how verdicts are told. It names no step.

Authors write checks and mistakes with the names of `coursekit.probe`; in notebooks learners use `check`,
`case`, `hint`, `learner`, `needs`, `ask` and `show`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Public name -> the module it stands in. Loaded on first use, so that `import coursekit` costs nothing.
_FACES = {
    "Rng": "probe",
    "at_most": "probe",
    "cases": "probe",
    "curve": "probe",
    "equal": "probe",
    "holds": "probe",
    "law": "probe",
    "mistake": "probe",
    "redraw": "probe",
    "reference": "probe",
    "steps": "probe",
    "variant": "probe",
    "ask": "notebook",
    "case": "practice.case",
    "check": "notebook",
    "hint": "practice.hints",
    "hunt": "hunting.widget",
    "learner": "running",
    "needs": "running",
    "show": "notebook",
}

__all__ = sorted(_FACES)


def __getattr__(name: str) -> Any:
    if name not in _FACES:
        raise AttributeError(f"module 'coursekit' has no attribute {name!r}")
    return getattr(import_module(f"coursekit.{_FACES[name]}"), name)
