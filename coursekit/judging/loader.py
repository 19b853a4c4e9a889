"""Load what a step is judged with: its checks, its mistakes, and implementations built from its solution.

Everything here runs trusted code; the learner's file is loaded in `worker.py` alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from coursekit.probe import marked
from coursekit.registry import Exercise, Milestone, Step

_copies = itertools.count()


def load_marked(step: Step, name: str) -> list[ModuleType]:
    """Import `NAME` of the step ("checks", "mistakes"), a module or a package with all its modules."""
    if str(step.root) not in sys.path:
        sys.path.insert(0, str(step.root))
    module = importlib.import_module(f"{step.folder}.{name}")
    names = [info.name for info in pkgutil.iter_modules(getattr(module, "__path__", []))]
    return [module, *(importlib.import_module(f"{step.folder}.{name}.{sub}") for sub in sorted(names))]


def load_file(path: Path) -> ModuleType:
    """Import one file under a name of its own: further mistakes and variants (`course dev audit --with
    FILE`).
    """
    return _import_copy(path, f"coursekit_file_{next(_copies)}")


def solution_copy(
    step: Step, item: Exercise | Milestone, patches: Mapping[str, Callable[..., Any]]
) -> ModuleType:
    """Return a fresh copy of the item's solution in which each patched target ("MLP.forward") is replaced."""
    _, path = step.trio_files(item.trio)
    module = _import_copy(path, f"coursekit_copy_{next(_copies)}_{path.stem}")
    for target, function in patches.items():
        owner, _, name = target.rpartition(".")
        setattr(getattr(module, owner) if owner else module, name, function)
    return module


def _import_copy(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def implementation(step: Step, item: Exercise | Milestone, function: Callable[..., Any] | None) -> ModuleType:
    """Return the solution with a mistake or variant in place of the item's targets; the plain solution for
    None.

    A mistake of one target is the function itself; one of a pair or a milestone returns a dict from target to
    function.
    """
    if function is None:
        return solution_copy(step, item, {})
    is_single = len(item.targets) == 1
    return solution_copy(step, item, {item.targets[0]: function} if is_single else function())


def reference_implementation(step: Step, item: Exercise | Milestone, checks: Sequence[ModuleType]) -> Any:
    """Return what the item is compared with: its @reference if it has one, else the solution."""
    makers = marked(checks, "reference", item.id)
    return makers[0]() if makers else implementation(step, item, None)
