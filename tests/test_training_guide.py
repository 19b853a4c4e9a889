"""docs/training_guide.md: its bills are those of the script, and its symptoms come from their causes."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch

from coursekit.corpora import prepared
from coursekit.registry import COURSE_ROOT
from step3_pretrain import model_solution
from step3_pretrain import train as script
from step3_pretrain.run.folder import RunFolder
from step3_pretrain.trainer import dry
from step3_pretrain.trainer.building import new_model
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import BrokenLoss, CannotTrain
from step3_pretrain.trainer.loop import Trainer
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.precision import DTYPES
from step3_pretrain.trainer.samples import continuations
from step3_pretrain.trainer.setup import new_run, resumed
from step3_pretrain.trainer.view import View

GUIDE = (COURSE_ROOT / "docs" / "training_guide.md").read_text(encoding="utf-8")
BILLS = re.findall(r"```sh\n(course train [^\n]*)\n```\n```text\n(.*?)\n```", GUIDE, re.DOTALL)
ROWS = [row.split(" | ")[0].strip("| ") for row in GUIDE.rpartition("|---|---|---|\n")[2].split("\n|")]
# Shown in the chapter instead, where the faults are planted that it comes from.
ELSEWHERE = {"The loss is below the floor"}
TRIGGERED: set[str] = set()
TOY = {"n_layers": 2, "d_model": 32, "intermediate_size": 64}
USUAL = 1e-2


def triggers(*symptoms: str) -> Callable[[Any], Any]:
    """Mark the test that shows a row of the guide's table, by the beginning of its symptom."""

    def mark(test: Any) -> Any:
        for symptom in symptoms:
            (row,) = (row for row in ROWS if row.startswith(symptom))
            TRIGGERED.add(row)
        return test

    return mark


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixty lines about who has what."""
    path = tmp_path_factory.mktemp("corpus") / "lines.jsonl"
    lines = [
        f"{name} has the {thing}. It lies in the {place}."
        for name in ("Ada", "Leo", "Mia", "Tom", "Uma")
        for thing in ("kite", "ball", "drum", "map")
        for place in ("oak", "barn", "sea")
    ]
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
    return f"file:{path}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


def toy(corpus: str, **more: Any) -> Options:
    found: dict[str, Any] = {"corpus": corpus, "steps": 25, "batch_size": 4, "block_size": 32}
    found |= {"vocab_size": 300, "changes": TOY, "lr": USUAL, "samples": 0, "eval_bytes": 500}
    found |= {"solution": True, "dtype": "float32", "device": "cpu", "eval_every": 1_000, "warmup": 2}
    return Options(**(found | more))


def trained(corpus: str, cache: Path, path: Path, **more: Any) -> Trainer:
    trainer = new_run(toy(corpus, **more), path, View(quiet=True), cache)
    assert trainer.train() == 0
    return trainer


def losses(path: Path) -> list[float]:
    return [line["loss"] for line in RunFolder(path).lines("metrics.jsonl") if "loss" in line]


def held_out(path: Path) -> list[float]:
    lines = RunFolder(path).lines("metrics.jsonl")
    return [line["bits_per_byte"] for line in lines if "bits_per_byte" in line]


@pytest.mark.parametrize("bill", BILLS, ids=lambda bill: bill[0][13:50])
def test_a_bill_of_the_guide_is_what_the_script_prints(
    bill: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry, "choose_device", lambda name: "cpu")
    monkeypatch.setattr(dry, "choose_dtype", lambda name, device: DTYPES.get(name, torch.float32))
    monkeypatch.setattr(dry, "seconds_of_product", lambda device, dtype: 1e-3)
    monkeypatch.setattr(dry, "trial", lambda *_: 1.0)
    arguments = shlex.split(bill[0])[2:]
    assert script.main([*arguments, "--dry-run", "--solution"]) == 0
    printed = capsys.readouterr().out.split("\n")
    assert printed[:3] == bill[1].split("\n")
    assert printed[3].startswith("time ")


def test_the_guide_has_bills_and_names_no_option_that_there_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(BILLS) == 5
    assert script.main(["--help"]) == 0
    told = capsys.readouterr().out
    # Options of other programs' lines are not the script's; those of the page are long ones in backticks.
    named = set(re.findall(r"`(--[a-z-]+)", GUIDE)) | set(re.findall(r" (--[a-z-]+)", " ".join(dict(BILLS))))
    assert len(named) > 15
    for option in named - {"--logdir", "--nproc-per-node"}:
        assert re.search(rf"{option}\b(?!-)", told), option


@triggers("The run stops: ")
def test_a_rate_that_is_far_too_high_stops_the_run_and_keeps_its_batch(
    corpus: str, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(BrokenLoss, match="the gradients must be numbers, got a length of nan"):
        trained(corpus, cache, tmp_path / "run", lr=1000.0)
    (batch,) = (tmp_path / "run").glob("failed-step-*.json")
    assert len(json.loads(batch.read_text())["ids"]) == 4
    # What was saved just before is damaged already: its weights are as large as the rate.
    trainer = resumed(tmp_path / "run", {}, View(quiet=True), cache)
    assert max(p.abs().max() for p in trainer.model.parameters()) > 100
    trained(corpus, cache, tmp_path / "lower", lr=USUAL)


@triggers("The loss rises above its first value")
def test_a_rate_that_is_too_high_lifts_the_loss_first(corpus: str, cache: Path, tmp_path: Path) -> None:
    trained(corpus, cache, tmp_path / "high", lr=10.0, steps=80)
    trained(corpus, cache, tmp_path / "usual", steps=80)
    high, usual = losses(tmp_path / "high"), losses(tmp_path / "usual")
    assert max(high) > 10 * high[0]
    assert max(usual) < 1.2 * usual[0]
    assert high[-1] < high[0]
    assert held_out(tmp_path / "high")[-1] > 1.3 * held_out(tmp_path / "usual")[-1]


@triggers("The loss stays where it began")
def test_a_rate_that_is_far_too_low_moves_nothing(corpus: str, cache: Path, tmp_path: Path) -> None:
    trained(corpus, cache, tmp_path / "low", lr=1e-8)
    trained(corpus, cache, tmp_path / "usual")
    low, usual = losses(tmp_path / "low"), losses(tmp_path / "usual")
    assert mean(low[-8:]) == pytest.approx(mean(low[:8]), abs=0.2)
    assert usual[-1] < usual[0] - 1


def step_of(dtype: torch.dtype) -> tuple[float, float]:
    """Return which share of the matrices' weights three steps leave as they are, and how the loss changes."""
    chain = Chain(True)
    sizes = {"d_model": 32, "n_layers": 1, "vocab_size": 64, "max_seq_len": 32, "intermediate_size": 32}
    model = new_model(chain, chain.model.ModelConfigs.tiny(**sizes, attention="gqa"), 0).to(dtype)
    # Weights of a model that has learned for a while are larger than its first ones.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    before = [p.clone() for p in model.parameters() if p.dim() == 2]
    optimizer = model_solution.AdamW(model.parameters(), 1e-5, weight_decay=0.0)
    ids = torch.randint(64, (4, 32), generator=torch.Generator().manual_seed(0))
    seen = [float(model_solution.training_step(model, optimizer, ids)) for _ in range(3)]
    after = [p for p in model.parameters() if p.dim() == 2]
    same = sum(int((a == b).sum()) for a, b in zip(before, after)) / sum(p.numel() for p in before)
    return same, seen[-1] - seen[0]


@triggers("In a loop of your own the loss stays")
def test_weights_in_half_precision_do_not_move() -> None:
    whole, fell = step_of(torch.float32)
    half, _ = step_of(torch.bfloat16)
    assert whole < 0.05
    assert fell < 0
    assert half > 0.9


@triggers("The first loss is far above ln V")
def test_weights_that_begin_too_large_show_in_the_first_loss(
    corpus: str, cache: Path, tmp_path: Path
) -> None:
    trainer = new_run(toy(corpus), tmp_path / "run", View(quiet=True), cache)
    ids, labels = trainer.batch(0)
    even = math.log(len(trainer.tokenizer))
    assert abs(trainer.model(ids, labels=labels).loss.item() - even) < 0.1
    with torch.no_grad():
        trainer.model.lm_head.weight.mul_(100)
    assert trainer.model(ids, labels=labels).loss.item() > even + 3


@triggers("The training loss falls, the held-out loss rises", "It writes its documents word for word")
def test_few_documents_seen_many_times_are_learned_by_heart(corpus: str, cache: Path, tmp_path: Path) -> None:
    more: dict[str, Any] = {"steps": 150, "eval_every": 10, "rows": "documents"}
    few = trained(corpus, cache, tmp_path / "few", max_documents=3, samples=4, **more)
    trained(corpus, cache, tmp_path / "all", **more)
    bits = held_out(tmp_path / "few")
    # Which of the three it is cannot be known at its first token: that stays.
    assert losses(tmp_path / "few")[-1] < 0.25
    assert bits[-1] > min(bits) + 0.5
    assert bits[-1] > held_out(tmp_path / "all")[-1] + 1
    texts = [few.tokenizer.decode(document) for document in few.documents]
    written = RunFolder(tmp_path / "few").lines("samples.jsonl")[-1]["samples"]
    assert sum(text in texts for text in written) >= 3


@triggers("It writes the same few tokens")
def test_a_model_that_has_learned_little_repeats_itself_at_temperature_0(
    corpus: str, cache: Path, tmp_path: Path
) -> None:
    trainer = trained(corpus, cache, tmp_path / "run", steps=8)
    end = trainer.data.end_of_text

    def variety(temperature: float) -> float:
        generator = torch.Generator().manual_seed(0)
        rows = continuations(trainer.model, [[end]] * 8, -1, generator, temperature)
        return sum(len(set(row)) / len(row) for row in rows) / len(rows)

    assert variety(0.0) < 0.3
    assert variety(1.0) > 0.6


def bill(**more: Any) -> str:
    return dry.dry_run(Options(dtype="float32", device="cpu", solution=True, **more), View(quiet=True))


def amount(told: str, name: str) -> float:
    """Return a number of bytes of a bill."""
    number, unit = re.findall(rf"{name}[^,]*? ([\d.]+) (kB|MB|GB)", told)[0]
    return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bills without a trial, which takes time and is not asked about."""
    monkeypatch.setattr(dry, "seconds_of_product", lambda device, dtype: 1e-3)
    monkeypatch.setattr(dry, "trial", lambda *_: 1.0)


@pytest.mark.usefixtures("untried")
@triggers("Out of memory, and `--dry-run` says")
def test_parts_of_a_batch_take_a_part_of_the_memory() -> None:
    whole, parts = bill(), bill(accumulate=4)
    assert amount(whole, "activations") > 0.9 * amount(whole, "memory")
    assert amount(parts, "activations") == pytest.approx(amount(whole, "activations") / 4, rel=0.01)
    # That the losses stay the same: tests/test_train_script.py.


@pytest.mark.usefixtures("untried")
@triggers("Out of memory, and weights, gradients")
def test_what_belongs_to_the_weights_shrinks_with_the_model_and_with_muon() -> None:
    wide: dict[str, Any] = {"batch_size": 1, "block_size": 32}
    large, narrow = {"d_model": 512, "intermediate_size": 1408}, {"d_model": 256, "intermediate_size": 704}
    told, muon = bill(changes=large, **wide), bill(changes=large, optimizer="muon", **wide)
    small = bill(changes=narrow, **wide)
    assert amount(told, "activations") < 0.5 * amount(told, "memory")
    assert amount(muon, "optimizer") < 0.6 * amount(told, "optimizer")
    assert amount(small, "weights") < 0.5 * amount(told, "weights")


@triggers("It takes long before the first step")
def test_a_corpus_is_encoded_once(corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = prepared.write_shards

    def counted(folder: Path, *arguments: Any, **more: Any) -> Any:
        written.append(folder.name)
        return write(folder, *arguments, **more)

    monkeypatch.setattr(prepared, "write_shards", counted)
    for name in ("first", "second"):
        new_run(toy(corpus), tmp_path / name, View(quiet=True), tmp_path / "cache")
        assert len(written) == 2  # both sides
    new_run(toy(corpus, max_documents=30), tmp_path / "third", View(quiet=True), tmp_path / "cache")
    assert len(written) > 2


@pytest.mark.usefixtures("untried")
@triggers("Every step takes long")
def test_a_bill_says_what_makes_a_step_cheaper() -> None:
    def flops(**more: Any) -> float:
        return float(re.findall(r"token, ([\d.e+]+) a step", bill(**more))[0])

    whole = flops()
    assert flops(changes={"n_layers": 2}) < 0.7 * whole
    assert flops(attention="gqa") < 0.95 * whole
    assert flops(batch_size=8) == pytest.approx(whole / 2, rel=0.01)


@triggers("`--lr must be that of the run`", "`Passed over: ...`")
def test_a_run_goes_on_as_itself_from_its_newest_checkpoint_that_is_good(
    corpus: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    trained(corpus, cache, path, steps=6, save_every=2)
    with pytest.raises(CannotTrain, match=f"--lr must be that of the run, {USUAL}, got 0.5"):
        resumed(path, {"lr": 0.5}, View(quiet=True), cache)
    newest = RunFolder(path).checkpoint(6)
    newest.write_bytes(newest.read_bytes()[:1000])
    trainer = resumed(path, {}, View(), cache)
    assert "Passed over: " in "".join(capsys.readouterr())
    assert trainer.step == 4


def test_every_row_of_the_guide_is_triggered_or_shown_elsewhere() -> None:
    assert len(ROWS) == 15
    assert set(ROWS) == TRIGGERED | ELSEWHERE
    assert not TRIGGERED & ELSEWHERE
