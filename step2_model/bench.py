"""`course bench verdict`: how long from a saved file to a verdict, against pytest with the same
assertions.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from coursekit import bench
from coursekit.judging.expected import PRACTICE_SEED
from coursekit.judging.judge import Judge
from coursekit.judging.verdict import Status
from coursekit.registry import find_item
from coursekit.render.html import report_html
from coursekit.source import exercise_text

EXERCISE = "2.3a"
REPEATS = 7

# The peer: what a course without this engine would run. It imports the learner's file and the solution,
# drives both with
# the same probe and the same numbers, and asserts that all values agree.
PEER = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from coursekit.judging.compare import run_distance
from coursekit.judging.loader import implementation, load_marked
from coursekit.registry import find_item
from coursekit.judging.runs import run_probe

HERE = Path(__file__).parent


def test_exercise():
    step, item = find_item("{exercise}")
    checks = load_marked(step, "checks")
    spec = spec_from_file_location("learner", HERE / "model_exercise.py")
    learner = module_from_spec(spec)
    sys.modules["learner"] = learner
    spec.loader.exec_module(learner)
    want = run_probe(checks, item.id, implementation(step, item, None), {seed})
    assert run_distance(want, run_probe(checks, item.id, learner, {seed})) <= 1
"""


def rows() -> list[bench.Row]:
    """Return the rows "verdict warm" and "verdict cold".

    Warm is the way of `check()` in a running kernel and of `course watch`: the file is saved anew, read,
    judged and rendered by workers that wait. Cold is `course check` in a fresh shell, with the trusted values
    stored, as they are after any first check.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder))


def _measure(folder: Path) -> list[bench.Row]:
    file, test = folder / "model_exercise.py", folder / "test_exercise.py"
    test.write_text(PEER.format(exercise=EXERCISE, seed=PRACTICE_SEED), encoding="utf-8")
    warm = _warm_check(file)
    warm()
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", os.devnull]
    cold = ["-m", "coursekit.cli.app", "check", EXERCISE, "--file", str(file)]
    seconds = bench.interleaved(
        {
            "warm": warm,
            "cold": partial(bench.start, *cold),
            "pytest": partial(bench.start, *pytest, str(test)),
            "import torch": partial(bench.start, "-c", "import torch"),
        },
        REPEATS,
    )
    middle = bench.medians(seconds)
    row = partial(bench.lower_is_better, peer=middle["pytest"], peer_name="pytest started anew")
    told: dict[str, Any] = {"repeats": REPEATS, "exercise": EXERCISE}
    beyond: dict[str, Any] = {
        "import_torch": middle["import torch"],
        "beyond_import": middle["cold"] - middle["import torch"],
    }
    return [
        row("verdict warm", middle["warm"], **told),
        row("verdict cold", middle["cold"], **beyond, **told),
    ]


def _warm_check(file: Path) -> Callable[[], None]:
    """Return what happens at a save: the file is written, judged by warm workers, and the report rendered."""
    step, item = find_item(EXERCISE)
    judge = Judge()
    text = exercise_text(step.trio_files("model")[1].read_text(encoding="utf-8"), step, "model")

    def save_and_check() -> None:
        file.write_text(text, encoding="utf-8")
        report = judge.report(step, [item], file)
        assert report.verdicts[0].status is Status.PASSED, report
        assert report_html(report, step)

    return save_and_check
