"""kill -9 at random steps, again and again: the losses of the run must be those of one that nobody disturbs.

Each life of the killed run is a process of its own. Checkpoints are written after every step, so that many
kills come while one is written.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from coursekit.registry import COURSE_ROOT
from step3_pretrain.run.folder import METRICS, RunFolder

STEPS = 60
KILLS = 10
# A model and data so small that a step takes less than writing its checkpoint; dropout and two parts of a
# batch, so that generators and gradients are in the middle of something.
TOY = """
--solution --corpus python --max-documents 10 --tokenizer bytes --block-size 32 --batch-size 4 --accumulate 2
--dropout 0.1 --set n_layers=1 --set d_model=32 --save-every 1 --eval-every 20 --eval-bytes 2000 --samples 0
--dtype float32 --device cpu --quiet
""".strip()


def evidence() -> dict[str, Any]:
    """Kill a run ten times, eager and compiled, and compare its losses with an undisturbed run's, bit for
    bit.
    """
    found, claims = {}, {}
    for mode in ("eager", "compiled"):
        with tempfile.TemporaryDirectory() as folder:
            seen = survive(Path(folder), KILLS, seed=0, more=["--compile"] if mode == "compiled" else [])
        found[mode] = seen
        claims[f"{mode}: {KILLS} kills, and every loss is bitwise equal"] = seen["equal"]
    return {"seeds": [0], "results": found, "claims": claims}


def survive(
    folder: Path,
    num_kills: int,
    seed: int,
    more: Sequence[str] = (),
    steps: int = STEPS,
    calm: Callable[[Sequence[str]], int] | None = None,
) -> dict[str, Any]:
    """Train undisturbed, then with so many kills at random steps; return where and whether all losses agree.

    `equal` compares every loss of every step, and every evaluation, exactly. `calm` runs the script where
    nobody disturbs it; by default in a process of its own.
    """
    calm = in_a_process if calm is None else calm
    whole, killed = folder / "whole", folder / "killed"
    options = [*TOY.split(), "--steps", str(steps), *more]
    finish(calm([*options, "--output", str(whole)]))
    draw = random.Random(seed)
    at = sorted(draw.sample(range(2, steps - 1), num_kills))
    hit, drafts = [], 0
    for step in at:
        again = RunFolder(killed).is_run
        process = start(
            ["--resume", str(killed), "--quiet"] if again else [*options, "--output", str(killed)]
        )
        hit.append(kill_after(process, RunFolder(killed), step, draw.uniform(0, 0.02)))
        drafts += any(killed.rglob("*.part"))
    finish(calm(["--resume", str(killed), "--quiet"]))
    return {
        "killed_after_step": hit,
        "killed_while_writing": drafts,
        "steps": steps,
        "equal": losses(whole) == losses(killed) and len(losses(whole)) >= steps,
    }


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the script in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(COURSE_ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "step3_pretrain.train", *arguments]
    return subprocess.Popen(command, cwd=COURSE_ROOT, env=environment)


def in_a_process(arguments: Sequence[str]) -> int:
    """Run the script to its end; return its exit status."""
    return start(arguments).wait()


def finish(status: int) -> None:
    """Raise RuntimeError where a run that nobody disturbed did not end well."""
    if status != 0:
        raise RuntimeError(f"a run must end well, got status {status}")


def kill_after(process: subprocess.Popen[bytes], run: RunFolder, step: int, delay: float) -> int:
    """Kill a run once it has seen a step, and a moment later; return the last step that it saw."""
    while process.poll() is None and last_step(run) < step:
        time.sleep(0.002)
    time.sleep(delay)
    if process.poll() is not None:
        raise RuntimeError(
            f"a run must be alive at step {step} to be killed, got status {process.returncode}"
        )
    process.send_signal(signal.SIGKILL)
    process.wait()
    return last_step(run)


def last_step(run: RunFolder) -> int:
    """Return the last step in the metrics of a run, or 0."""
    lines = run.lines(METRICS)
    return int(lines[-1]["step"]) if lines else 0


def losses(path: Path) -> list[tuple[Any, ...]]:
    """Return all that must not change: steps, losses, learning rates, gradients, evaluations."""
    names = ("step", "loss", "lr", "norm", "aux_loss", "bits_per_byte")
    return [tuple(line.get(name) for name in names) for line in RunFolder(path).lines(METRICS)]
