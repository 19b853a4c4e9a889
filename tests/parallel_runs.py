"""Runs of several processes, one after another in one start of `torchrun`; what they saw goes to a file.

torchrun --nproc-per-node 2 tests/parallel_runs.py FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from step3_pretrain.parallel.world import World, joined
from step3_pretrain.run.folder import METRICS, RunFolder
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.setup import new_run, resumed
from step3_pretrain.trainer.view import View

STEPS, SAVED = 4, 2
USUAL: dict[str, Any] = {
    "preset": "tiny",
    "changes": {"n_layers": 2, "d_model": 32, "intermediate_size": 48},
    "vocab_size": 300,
    "max_documents": 60,
    "block_size": 32,
    "batch_size": 8,
    "steps": STEPS,
    "save_every": SAVED,
    "eval_bytes": 500,
    "samples": 0,
    "dtype": "float32",
    "dropout": 0.2,
    "solution": True,
}
# By name: what differs from USUAL. Without dropout two processes compute what one does.
RUNS: dict[str, dict[str, Any]] = {
    "ddp": {"parallel": "ddp", "dropout": 0.0, "accumulate": 2},
    "fsdp": {"parallel": "fsdp", "dropout": 0.0},
    "muon": {"parallel": "fsdp", "dropout": 0.0, "optimizer": "muon"},
    "experts": {"parallel": "ddp", "dropout": 0.0, "moe": True},
    "dropout": {"parallel": "fsdp"},
}


def losses(folder: Path) -> list[list[float]]:
    """Return losses and balance losses of a run's steps."""
    lines = [line for line in RunFolder(folder).lines(METRICS) if "loss" in line]
    return [[line["loss"], line.get("aux_loss") or 0.0] for line in lines]


def again(folder: Path, name: str, given: dict[str, Any], world: World, cache: Path) -> list[list[float]]:
    """Return the losses of a copy of the run that loses its last checkpoint and goes on from the first."""
    copy = folder / f"{name}-again-{world.size}"
    if world.is_first:
        shutil.copytree(folder / name, copy)
        run = RunFolder(copy)
        run.checkpoints()[0][1].rename(folder / f"{copy.name}-last")
        run.cut(METRICS, SAVED)
    world.wait()
    resumed(copy, given, View(quiet=True), cache, world).train()
    return losses(copy)


def in_several(folder: Path) -> None:
    """Make all runs, each of them twice, the second one from its first checkpoint."""
    cache, found = folder / "cache", {}
    with joined("cpu") as world:
        for name, changes in RUNS.items():
            new_run(Options(**{**USUAL, **changes}), folder / name, View(quiet=True), cache, world).train()
            found[name] = losses(folder / name)
            found[f"{name} again"] = again(folder, name, {}, world, cache)
        # What one process has written, two go on with.
        found["adopted"] = again(folder, "alone", {"parallel": "fsdp"}, world, cache)
        try:
            new_run(Options(**{**USUAL, "batch_size": 3}), folder / "odd", View(quiet=True), cache, world)
        except CannotTrain as error:
            found["odd"] = str(error)
        if world.is_first:
            (folder / "seen.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    in_several(Path(sys.argv[1]))
