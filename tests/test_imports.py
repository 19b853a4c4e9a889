"""The four floors hold: imports run downward only, in no circle, and coursekit names no step."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursekit.dev.floors import floor_faults
from coursekit.registry import COURSE_ROOT

HOUSE = {
    "coursekit/__init__.py": "",
    "coursekit/probe.py": '"""Checks of step1_low, for example."""\nimport json\n',
    "coursekit/judge.py": "from coursekit import probe\n\n\ndef late():\n    from coursekit import tell\n",
    "coursekit/tell.py": "from coursekit import judge\n",
    "step1_low/__init__.py": "",
    "step1_low/model_solution.py": "import torch\n",
    "step1_low/checks.py": "from coursekit.probe import check\n",
    "step1_low/mistakes.py": "from step1_low.model_solution import f\n",
    "step2_high/__init__.py": "",
    "step2_high/model_solution.py": "from step1_low.model_solution import f\n",
    "step2_high/train.py": "import coursekit.probe\nfrom . import model_solution\n",
}
FAULTS = {
    "coursekit imports a step": ("coursekit/tell.py", "import step1_low.checks\n", "coursekit knows no step"),
    "inside a function": (
        "coursekit/tell.py",
        "def f():\n    from step1_low import checks\n",
        "knows no step",
    ),
    "by name": (
        "coursekit/tell.py",
        'import importlib\nimportlib.import_module("step1_low.checks")\n',
        "no step",
    ),
    "coursekit names a step": ("coursekit/tell.py", 'DEFAULT = "step1_low"\n', "must name no step"),
    "a step imports a higher one": (
        "step1_low/train.py",
        "from step2_high import train\n",
        "lower steps only",
    ),
    "a solution imports coursekit": ("step1_low/model_solution.py", "import coursekit.probe\n", "taken away"),
    "a relative import": ("step1_low/checks.py", "from . import model_solution\n", "checks know no solution"),
    "a check imports a solution": (
        "step2_high/checks/loss.py",
        "from step1_low import model_solution\n",
        "checks know no solution",
    ),
    "a solution rests on an exercise": (
        "step2_high/model_solution.py",
        "from step1_low.model_exercise import f\n",
        "rests on solutions",
    ),
    "a circle": ("coursekit/probe.py", "from coursekit.tell import x\n", "in no circle, got coursekit."),
}


def build_house(root: Path, changes: dict[str, str]) -> Path:
    for name, text in (HOUSE | changes).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_the_course_holds_its_four_floors() -> None:
    assert list(floor_faults(COURSE_ROOT)) == []


def test_a_house_in_order_has_no_faults(tmp_path: Path) -> None:
    assert list(floor_faults(build_house(tmp_path, {}))) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_upward_import_is_said(tmp_path: Path, fault: str) -> None:
    name, text, words = FAULTS[fault]
    found = list(floor_faults(build_house(tmp_path, {name: text})))
    assert found
    assert all(words in sentence for sentence in found), found
