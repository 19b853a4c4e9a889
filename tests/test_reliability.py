"""What a run survives: kills, Ctrl-C, full disks, damaged and hostile files, losses that are no numbers."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from step3_pretrain import model_solution
from step3_pretrain import train as script
from step3_pretrain.run import load_run
from step3_pretrain.run.folder import RunFolder
from step3_pretrain.trainer import killing
from step3_pretrain.trainer.errors import BrokenLoss, CannotTrain
from step3_pretrain.trainer.killing import losses, survive
from step3_pretrain.trainer.loop import Trainer
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.setup import new_run, resumed
from step3_pretrain.trainer.view import View

STEPS = 8
EVERYTHING = {
    "dropout, parts, muon": {"dropout": 0.2, "accumulate": 2, "optimizer": "muon"},
    "experts, documents": {"moe": True, "dropout": 0.1, "rows": "documents"},
    "bfloat16": {"dtype": "bfloat16", "dropout": 0.1},
}


class Told(View):
    """Remembers what was said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "stories.jsonl"
    lines = (
        json.dumps({"text": f"{a} saw {b} near the {c}."}) for a in "abcde" for b in "uvwxyz" for c in "pqr"
    )
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"file:{path}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


def begun(corpus: str, cache: Path, path: Path, **more: Any) -> Trainer:
    changes = {"n_layers": 2, "d_model": 32, "intermediate_size": 64}
    found: dict[str, Any] = {
        "corpus": corpus,
        "steps": STEPS,
        "batch_size": 4,
        "block_size": 16,
        "samples": 0,
    }
    found |= {"tokenizer": "bytes", "changes": changes, "dtype": "float32", "device": "cpu", "solution": True}
    found |= {"eval_bytes": 200, "eval_every": 3, "save_every": 2, "keep": 2}
    return new_run(Options(**(found | more)), path, View(quiet=True), cache)


def again(path: Path, cache: Path, view: View | None = None, **given: Any) -> Trainer:
    return resumed(path, given, view or View(quiet=True), cache)


class Killed(BaseException):
    """Stands for kill -9 within one process: nothing after it is done but what Python itself does."""


def die_at(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let a run die when it asks for the batch of a step."""
    batch = trainer.batch

    def dying(number: int) -> Any:
        if number == step:
            raise Killed
        return batch(number)

    monkeypatch.setattr(trainer, "batch", dying)
    with pytest.raises(Killed):
        trainer.train()


@pytest.mark.parametrize("more", EVERYTHING.values(), ids=EVERYTHING)
def test_a_run_that_goes_on_has_the_losses_of_an_undisturbed_one(
    corpus: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    begun(corpus, cache, tmp_path / "whole", **more).train()
    # Once before the first checkpoint, once between two.
    die_at(begun(corpus, cache, tmp_path / "killed", **more), monkeypatch, step=1)
    torch.rand(7)
    die_at(again(tmp_path / "killed", cache), monkeypatch, step=5)
    torch.rand(7)
    assert again(tmp_path / "killed", cache).train() == 0
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == STEPS + 3
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_kill_9_loses_nothing_but_the_steps_since_the_last_checkpoint(tmp_path: Path) -> None:
    seen = survive(tmp_path, num_kills=2, seed=3, steps=30, calm=script.main)
    assert seen["equal"], seen
    assert len(seen["killed_after_step"]) == 2


def test_a_comparison_sees_a_single_bit(tmp_path: Path) -> None:
    for name, loss in (("a", 1.0), ("b", 1.0000000000000002)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": loss}) + "\n")
    assert killing.losses(tmp_path / "a") != killing.losses(tmp_path / "b")


def test_ctrl_c_saves_and_says_how_to_go_on(
    corpus: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(corpus, cache, tmp_path / "whole").train()
    trainer, view = begun(corpus, cache, tmp_path / "run"), Told()
    trainer.view, batch = view, trainer.batch

    def press(step: int) -> Any:
        if step == 4:
            signal.raise_signal(signal.SIGINT)
        return batch(step)

    monkeypatch.setattr(trainer, "batch", press)
    before = signal.getsignal(signal.SIGINT)
    assert trainer.train() == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert view.said[-1] == f"Stopped and saved after step 5. Go on with: --resume {tmp_path / 'run'}"
    assert RunFolder(tmp_path / "run").checkpoints()[0][0] == 5
    assert again(tmp_path / "run", cache).train() == 0
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_run_killed_while_it_writes_a_checkpoint_goes_on(
    corpus: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(corpus, cache, tmp_path / "whole").train()
    trainer = begun(corpus, cache, tmp_path / "run")
    path = tmp_path / "run"

    def half(tensors: Any, target: Any, metadata: Any = None) -> None:
        save_file(tensors, target, metadata)
        if Path(target).name.startswith("step-00000004"):
            os.truncate(target, os.path.getsize(target) // 2)
            # kill -9 takes nothing away.
            os.rename(target, path / "checkpoints" / "step-00000099.safetensors.part")
            Path(target).write_bytes(b"")
            raise Killed

    monkeypatch.setattr(model_solution, "save_file", half)
    with pytest.raises(Killed):
        trainer.train()
    monkeypatch.undo()
    assert [step for step, _ in RunFolder(path).checkpoints()] == [2]
    with open(path / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 5, "lo')  # a line that was not finished
    assert again(path, cache).train() == 0
    assert losses(path) == losses(tmp_path / "whole")
    assert not list(path.rglob("*.part"))


def test_a_damaged_checkpoint_is_told_and_passed_over(corpus: str, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    begun(corpus, cache, path).train()
    wanted = losses(path)
    newest = RunFolder(path).checkpoints()[0][1]
    os.truncate(newest, newest.stat().st_size - 100)
    view = Told()
    assert again(path, cache, view).train() == 0
    told = [line for line in view.said if line.startswith("Passed over: ")]
    assert len(told) == 1
    assert str(newest) in told[0]
    assert losses(path) == wanted
    for _, checkpoint in RunFolder(path).checkpoints():
        checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(CannotTrain, match="must have a good checkpoint to go on from, got 2 in"):
        again(path, cache)


def test_a_checkpoint_of_another_run_is_told(corpus: str, cache: Path, tmp_path: Path) -> None:
    begun(corpus, cache, tmp_path / "run").train()
    begun(corpus, cache, tmp_path / "seed", seed=1).train()
    begun(corpus, cache, tmp_path / "wide", changes={"n_layers": 1}).train()
    for other, words in (
        ("seed", "must be of this run, got other options"),
        ("wide", "must hold the weights"),
    ):
        view, newest = Told(), RunFolder(tmp_path / "run").checkpoint(STEPS)
        newest.write_bytes(RunFolder(tmp_path / other).checkpoint(STEPS).read_bytes())
        assert again(tmp_path / "run", cache, view).step == STEPS - 2
        assert words in next(line for line in view.said if line.startswith("Passed over"))


def test_options_that_make_another_run_are_refused_and_others_taken(
    corpus: str, cache: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    begun(corpus, cache, path).train()
    with pytest.raises(CannotTrain, match="--batch-size must be that of the run, 4, got 8"):
        again(path, cache, batch_size=8)
    with pytest.raises(CannotTrain, match="--output must be a new folder"):
        begun(corpus, cache, path)
    assert again(path, cache, steps=STEPS + 4).train() == 0
    assert [line["step"] for line in RunFolder(path).lines("metrics.jsonl") if "loss" in line][
        -1
    ] == STEPS + 4
    (path / "config.json").write_text(
        (path / "config.json").read_text().replace('"n_layers": 2', '"n_layers": 3')
    )
    with pytest.raises(CannotTrain, match="must go on with the model that it began with"):
        again(path, cache)


def test_a_corpus_that_changed_is_told(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": f"number {number} is here"}) for number in range(60)]
    file.write_text("\n".join(lines), encoding="utf-8")
    begun(f"file:{file}", cache, tmp_path / "run").train()
    file.write_text("\n".join(lines[:50]), encoding="utf-8")
    with pytest.raises(CannotTrain, match="must go on with the data that it began with"):
        again(tmp_path / "run", cache)


def test_a_full_disk_costs_only_the_steps_since_the_last_checkpoint(
    corpus: str, cache: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")
    begun(corpus, cache, tmp_path / "whole").train()
    path = tmp_path / "run"
    trainer = begun(corpus, cache, path)
    save = trainer._save

    def full_after_the_first() -> None:
        """The system's own limit on the size of a file stands for a disk that is full."""
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        if trainer.step > 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, old[1]))
        try:
            save()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)

    trainer._save = full_after_the_first  # type: ignore[method-assign]
    with pytest.raises(CannotTrain) as error:
        trainer.train()
    assert "the disk must take" in str(error.value)
    assert "the checkpoint of step 2 stands" in str(error.value)
    assert f"--resume {path}" in str(error.value)
    assert not list(path.rglob("*.part"))
    assert again(path, cache).train() == 0
    assert losses(path) == losses(tmp_path / "whole")


def test_metrics_that_the_disk_does_not_take_end_the_run_in_a_sentence(
    corpus: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from step3_pretrain.trainer import metrics

    trainer = begun(corpus, cache, tmp_path / "run")
    write = metrics._write

    def full(file: Any, line: dict[str, Any]) -> None:
        if line["step"] == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, line)

    monkeypatch.setattr(metrics, "_write", full)
    with pytest.raises(
        CannotTrain, match=r"No space left on device; the checkpoint of step 2 stands. Then make room"
    ):
        trainer.train()


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoiled(
    corpus: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = tmp_path / "run"
    trainer = begun(corpus, cache, path)
    batch = trainer.batch

    def spoil(step: int) -> Any:
        if step == 5 and what == "loss":
            trainer.model.norm.weight.register_hook(torch.zeros_like)
            trainer.model.register_forward_hook(
                lambda model, given, output: output._replace(loss=output.loss * float("nan"))
            )
        elif step == 5:
            trainer.model.norm.weight.register_hook(lambda grad: grad * float("inf"))
        return batch(step)

    monkeypatch.setattr(trainer, "batch", spoil)
    with pytest.raises(BrokenLoss) as error:
        trainer.train()
    said = str(error.value)
    assert said.startswith("step 5 was not taken: ")
    assert "of sample_blocks with seed=0 and step=5" in said
    assert "the last good checkpoint is that of step 4" in said
    kept = json.loads((path / "failed-step-00000005.json").read_text())
    assert kept["ids"] == batch(5)[0].tolist()
    assert all(bool(weight.isfinite().all()) for weight in trainer.model.parameters())
    assert all(bool(t.isfinite().all()) for t in load_file(path / "model.safetensors").values())
    assert again(path, cache).train() == 0


class Hostile:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_in_a_run_folder_is_unpickled(corpus: str, cache: Path, tmp_path: Path) -> None:
    from step3_pretrain.run.inspecting import inspected

    path, trap = tmp_path / "run", tmp_path / "trap"
    begun(corpus, cache, path).train()
    for target in (path / "checkpoints" / "step-00000099.safetensors", path / "model.safetensors",
                   path / "optimizer.pt", path / "samples.jsonl"):  # fmt: skip
        torch.save(Hostile(trap), target)
        assert target.stat().st_size
    pickled = pickle.dumps(Hostile(trap))
    (path / "model.safetensors").write_bytes(pickled)
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        load_run(path)
    for call in (lambda: inspected(path), lambda: again(path, cache).train()):
        with suppress(ValueError):
            call()
    assert not trap.exists()
    # The trap is one: what unpickles it springs it.
    pickle.loads(pickled)
    assert trap.exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.json", "{", "must be JSON"),
        ("config.json", "[]", "must be that of a run of this course"),
        ("config.json", '{"wide": 3}', "must be that of a run of this course"),
        ("model.safetensors", "x", "must be a whole safetensors file"),
        ("tokenizer.json", "{}", "tokenizer.json"),
    ],
)
def test_a_damaged_run_folder_is_one_sentence(
    corpus: str, cache: Path, tmp_path: Path, name: str, text: str, words: str
) -> None:
    begun(corpus, cache, tmp_path / "run", steps=1).train()
    (tmp_path / "run" / name).write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        load_run(tmp_path / "run")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"a run must hold config\.json and model\.safetensors, got"):
        load_run(tmp_path)
