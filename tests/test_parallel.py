"""Several processes train what one does: the same losses at the same global batch, shared checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from coursekit.judging.loader import load_file
from coursekit.registry import COURSE_ROOT
from step3_pretrain.parallel import sharded
from step3_pretrain.parallel.world import ALONE, World, joined
from step3_pretrain.run.folder import RunFolder
from step3_pretrain.run.loading import load_run
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.setup import new_run, resumed
from step3_pretrain.trainer.view import View

runs = load_file(Path(__file__).with_name("parallel_runs.py"))
RUNS, SAVED, STEPS, USUAL = runs.RUNS, runs.SAVED, runs.STEPS, runs.USUAL
# Sums over the rows of a batch in another order, through four steps.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run of one process, and with all runs of two."""
    folder = tmp_path_factory.mktemp("parallel")
    plain = {**USUAL, "dropout": 0.0}
    new_run(Options(**plain), folder / "alone", View(quiet=True), folder / "cache").train()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(COURSE_ROOT)}
    done = subprocess.run(
        [*command, str(COURSE_ROOT / "tests" / "parallel_runs.py"), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
    return found


def alone(folder: Path, name: str) -> list[list[float]]:
    """Return the losses of the same run in one process."""
    path = folder / f"{name}-alone"
    if not path.exists():
        new_run(Options(**{**USUAL, **RUNS[name]}), path, View(quiet=True), folder / "cache").train()
    found: list[list[float]] = runs.losses(path)
    return found


@pytest.mark.parametrize("name", ["ddp", "fsdp", "muon"])
def test_two_processes_have_the_losses_of_one(folder: Path, seen: dict[str, Any], name: str) -> None:
    one, two = torch.tensor(alone(folder, name)), torch.tensor(seen[name])
    assert one.shape == (STEPS, 2)
    assert one[0, 0] - one[-1, 0] > 0.01
    torch.testing.assert_close(two, one, rtol=TOLERANCE, atol=TOLERANCE)


def test_experts_are_balanced_over_the_rows_of_each_process(folder: Path, seen: dict[str, Any]) -> None:
    one, two = torch.tensor(alone(folder, "experts")), torch.tensor(seen["experts"])
    # The first loss is the mean over all rows; the balance loss, a product of two means, is not.
    torch.testing.assert_close(two[0, 0], one[0, 0], rtol=TOLERANCE, atol=TOLERANCE)
    assert 1e-6 < (two[:, 1] - one[:, 1]).abs().max() < 0.1
    torch.testing.assert_close(two[:, 0], one[:, 0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_two_goes_on_bit_for_bit(seen: dict[str, Any], name: str) -> None:
    assert len(seen[name]) == STEPS
    assert seen[f"{name} again"] == seen[name]


def test_dropout_draws_other_numbers_in_each_process(folder: Path, seen: dict[str, Any]) -> None:
    # How far apart is chance, and small in a new model, whose logits are: some steps on, and more than
    # rounding, which other runs stay within at every step.
    assert abs(alone(folder, "dropout")[-1][0] - seen["dropout"][-1][0]) > 10 * TOLERANCE
    with safe_open(shard(folder / "dropout", 0), "pt") as file:
        names = file.offset_keys()
        states = {name: file.get_tensor(name) for name in names if name.startswith("generator")}
    with safe_open(shard(folder / "dropout", 1), "pt") as file:
        states |= {n: file.get_tensor(n) for n in file.offset_keys() if n.startswith("generator")}
    assert set(states) >= {"generator.0.cpu", "generator.1.cpu"}
    assert not torch.equal(states["generator.0.cpu"], states["generator.1.cpu"])


def shard(run: Path, number: int) -> Path:
    newest = RunFolder(run).checkpoints()[0][1]
    return sorted(newest.glob("*.safetensors"))[number]


@pytest.mark.parametrize("name", ["ddp", "muon"])
def test_one_process_goes_on_with_what_two_have_written(folder: Path, name: str) -> None:
    found = torch.tensor(runs.again(folder, name, {}, ALONE, folder / "cache"))
    torch.testing.assert_close(
        found, torch.tensor(runs.losses(folder / name)), rtol=TOLERANCE, atol=TOLERANCE
    )


def test_two_processes_go_on_with_what_one_has_written(folder: Path, seen: dict[str, Any]) -> None:
    one, two = torch.tensor(runs.losses(folder / "alone")), torch.tensor(seen["adopted"])
    torch.testing.assert_close(two, one, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(two[:SAVED], one[:SAVED], rtol=0, atol=0)


def test_a_run_of_two_is_read_as_any_other(folder: Path) -> None:
    model, args, tokenizer = load_run(folder / "fsdp")
    other, _, _ = load_run(folder / "fsdp-alone") if (folder / "fsdp-alone").exists() else (None, 0, 0)
    ids = torch.tensor([tokenizer.encode("One day")])
    logits = model(ids).logits
    assert logits.shape[-1] == len(tokenizer) == args.vocab_size
    if other is not None:
        torch.testing.assert_close(logits, other(ids).logits, rtol=1e-3, atol=1e-3)


def test_no_file_of_a_checkpoint_of_two_is_a_pickle(folder: Path) -> None:
    newest = RunFolder(folder / "fsdp").checkpoints()[0][1]
    assert newest.is_dir()
    assert {path.suffix for path in newest.iterdir()} == {".safetensors", ".json"}
    assert not list(newest.parent.glob("*.part"))


def test_rows_that_cannot_be_shared_out_are_refused(seen: dict[str, Any]) -> None:
    assert seen["odd"] == "--batch-size must be a multiple of processes times --accumulate, got 3, 2 and 1"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> RunFolder:
    """Return a copy of a run of two that has only its first checkpoint."""
    import shutil

    shutil.copytree(folder / "ddp", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    shutil.rmtree(run.checkpoints()[0][1])
    return run


def test_a_shard_that_is_cut_off_is_told(folder: Path, copy: RunFolder) -> None:
    model, optimizer = _fresh(copy, folder)
    path = shard(copy.path, 0)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="step-00000002 must be a whole checkpoint, got"):
        sharded.load(copy.checkpoints()[0][1], model, optimizer, ALONE)


def test_a_state_that_is_missing_is_told(folder: Path, copy: RunFolder) -> None:
    model, optimizer = _fresh(copy, folder)
    (copy.checkpoints()[0][1] / sharded.STATE).unlink()
    with pytest.raises(ValueError, match="step-00000002 must be a whole checkpoint, got"):
        sharded.load(copy.checkpoints()[0][1], model, optimizer, ALONE)


def test_another_models_checkpoint_is_told_by_its_first_weight(folder: Path, copy: RunFolder) -> None:
    from step2_model.model_solution import ModelConfigs, Transformer
    from step3_pretrain.model_solution import AdamW

    other = Transformer(ModelConfigs.tiny(n_layers=2, d_model=48, vocab_size=300, intermediate_size=48))
    with pytest.raises(ValueError, match=r"must hold the weights of this model, got embed_tokens\.weight"):
        sharded.load(copy.checkpoints()[0][1], other, AdamW(other.parameters()), ALONE)


def _fresh(run: RunFolder, folder: Path) -> tuple[Any, Any]:
    trainer = resumed(run.path, {}, View(quiet=True), folder / "cache")
    return trainer.model, trainer.optimizer


def test_outside_of_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with joined("cpu") as world:
        assert world == World(rank=0, size=1)
    ids = torch.arange(8).view(4, 2)
    assert torch.equal(torch.cat([World(rank, 2).rows(ids) for rank in (0, 1)]), ids)
