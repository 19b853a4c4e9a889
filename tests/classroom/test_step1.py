"""Step 1 in a class: nothing has no points, both solutions have all of them, one file its part."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.slow
def test_untouched_files_earn_0_both_solutions_everything_and_one_its_part(teach: Any) -> None:
    taught = teach("1")
    core = {"model_exercise.py": taught.solutions["model_exercise.py"]}
    handed_in = {"untouched": taught.stubs, "solution": taught.solutions, "core-only": taught.stubs | core}
    assert taught.grade(handed_in) == {
        "untouched": 0.0,
        "solution": sum(taught.points.values()),
        "core-only": taught.points["model"],
    }
