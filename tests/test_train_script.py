"""The training script: what it makes, what it refuses, whose code it runs, what its options change."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.loading import load
from coursekit.registry import COURSE_ROOT, find_step
from coursekit.source import exercise_text, stub_text
from step3_pretrain import train as script
from step3_pretrain.run import load_run
from step3_pretrain.run.folder import RunFolder
from step3_pretrain.trainer import chain as chains
from step3_pretrain.trainer import dry, experts, precision, tokenizers
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.plan import plan
from step3_pretrain.trainer.setup import new_run, resumed
from step3_pretrain.trainer.tokenizers import encoder_for
from step3_pretrain.trainer.view import View

PLACES, NAMES = ("oak", "barn", "well", "sea"), ("Ada", "Leo", "Mia", "Tom", "Uma")
# Of unequal lengths, so that parts of a batch predict unequally many tokens.
STORIES = [
    f"The {thing} lies in the {place}. Who has it? {name}!" + " Nobody else." * (len(name + place) % 3)
    for thing in ("kite", "ball", "drum", "map")
    for place in PLACES
    for name in NAMES
]
TOY = {"n_layers": 2, "d_model": 32, "intermediate_size": 64}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A corpus of eighty lines, so that nothing has to be generated."""
    path = tmp_path_factory.mktemp("corpus") / "stories.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in STORIES), encoding="utf-8")
    return f"file:{path}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


def toy(corpus: str, **more: Any) -> Options:
    found: dict[str, Any] = {
        "corpus": corpus,
        "steps": 6,
        "batch_size": 4,
        "block_size": 32,
        "solution": True,
    }
    found |= {"vocab_size": 300, "changes": TOY, "dtype": "float32", "device": "cpu", "samples": 1}
    return Options(**(found | {"eval_bytes": 500} | more))


def run_of(corpus: str, cache: Path, path: Path, **more: Any) -> list[dict[str, Any]]:
    assert new_run(toy(corpus, **more), path, View(quiet=True), cache).train() == 0
    return RunFolder(path).lines("metrics.jsonl")


def losses(lines: list[dict[str, Any]]) -> list[float]:
    return [line["loss"] for line in lines if "loss" in line]


def test_a_run_leaves_all_that_others_need(corpus: str, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    lines = run_of(corpus, cache, path, steps=12, save_every=3, keep=2, eval_every=4)
    assert {file.name for file in path.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.json"),
        *("checkpoints", "metrics.jsonl", "samples.jsonl", "tensorboard"),
    }
    names = sorted(file.name for file in (path / "checkpoints").iterdir())
    assert names == ["step-00000009.safetensors", "step-00000012.safetensors"]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 13))
    assert [line["step"] for line in lines if "bits_per_byte" in line] == [4, 8, 12]
    first = losses(lines)[0]
    model, args, tokenizer = load_run(path)
    assert abs(first - math.log(len(tokenizer))) < 0.1
    assert min(losses(lines)) < first - 0.2
    assert (args.n_layers, args.vocab_size) == (2, len(tokenizer))
    assert not model.training
    assert list((path / "tensorboard").iterdir())


def test_a_loaded_run_is_the_trained_model_and_exports(corpus: str, cache: Path, tmp_path: Path) -> None:
    from step2_model.exchange.models import trained_model

    trainer = new_run(toy(corpus, steps=2), tmp_path / "run", View(quiet=True), cache)
    trainer.train()
    ids = torch.arange(20)[None] % 256
    trained, loaded, exported = trainer.model.eval(), load_run(tmp_path / "run")[0], None
    exported = trained_model(tmp_path / "run", solution=True).eval()
    with torch.no_grad():
        wanted = trained(ids).logits
        assert torch.equal(loaded(ids).logits, wanted)
        assert torch.equal(exported(ids).logits, wanted)


@pytest.mark.parametrize("rows", ["blocks", "documents"])
def test_parts_of_a_batch_see_what_the_whole_sees(
    corpus: str, cache: Path, tmp_path: Path, rows: str
) -> None:
    whole = run_of(corpus, cache, tmp_path / "whole", rows=rows)
    parts = run_of(corpus, cache, tmp_path / "parts", rows=rows, accumulate=4)
    other = run_of(corpus, cache, tmp_path / "other", rows=rows, seed=1)
    assert losses(parts) == pytest.approx(losses(whole), abs=2e-5)
    assert losses(other)[0] != pytest.approx(losses(whole)[0], abs=2e-5)


@pytest.mark.parametrize(
    "more",
    [
        {"optimizer": "muon", "schedule": "stable"},
        {"dtype": "bfloat16", "attention": "mha"},
        {"tokenizer": "bytes", "attention": "gqa", "epochs": 0.5, "steps": None},
        {"preset": "tiny_long", "changes": TOY | {"q_lora_rank": 16}},
        {"minutes": 0.01, "steps": None},
    ],
    ids=lambda more: "-".join(map(str, more.values()))[:30],
)
def test_every_option_trains(corpus: str, cache: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    lines = run_of(corpus, cache, tmp_path / "run", **more)
    assert len(losses(lines)) >= 1
    assert all(math.isfinite(loss) for loss in losses(lines))
    assert lines[-1]["final"]


def test_a_scaler_trains_in_float16_and_is_kept(corpus: str, cache: Path, tmp_path: Path) -> None:
    run_of(corpus, cache, tmp_path / "run", dtype="float16", steps=3)
    trainer = resumed(tmp_path / "run", {"steps": 4}, View(quiet=True), cache)
    assert trainer.stepper.scaler.is_enabled()
    assert trainer.stepper.scaler.state_dict()["_growth_tracker"] == 3
    assert trainer.train() == 0


def test_the_balance_loss_enters_and_is_kept_apart(corpus: str, cache: Path, tmp_path: Path) -> None:
    softmax = {"moe": True, "attention": "gqa", "steps": 12}
    none = run_of(corpus, cache, tmp_path / "none", balance=0.0, **softmax)
    much = run_of(corpus, cache, tmp_path / "much", balance=10.0, **softmax)
    steps = [line for line in much if "loss" in line]
    # What is kept as the loss is the model's own, whatever the coefficient.
    trainer = new_run(toy(corpus, balance=10.0, **softmax), tmp_path / "new", View(quiet=True), cache)
    ids, labels = trainer.batch(0)
    output = trainer.model(ids, labels=labels)
    assert steps[0]["loss"] == none[0]["loss"] == output.loss.item()
    assert steps[0]["aux_loss"] == output.aux_loss.item()
    # Two choices of eight experts: the balance loss is 2 where all are equally busy.
    assert all(1.5 < line["aux_loss"] < 8 for line in steps)
    assert losses(much)[-1] != losses(none)[-1]
    loads = [line["load"] for line in steps if "load" in line]
    assert all(sum(layer) == pytest.approx(1, abs=1e-3) for load in loads for layer in load)
    # Bits per byte hold the loss alone: with a balance loss of about 20 in it they would be far above.
    assert much[-1]["bits_per_byte"] < 1.3 * none[-1]["bits_per_byte"]


def test_a_routers_bias_follows_the_load_that_was_measured() -> None:
    model = Chain(True).full_model
    args = model.ModelArgs(d_model=16, n_layers=1, n_heads=2, n_kv_heads=2, attention="gqa", vocab_size=32,
                           intermediate_size=16, max_seq_len=32, n_experts=4, n_experts_per_tok=1,
                           moe_intermediate_size=8, router="sigmoid")  # fmt: skip
    torch.manual_seed(0)
    full = model.FullTransformer(args)
    gate = full.layers[0].mlp.gate
    loads = experts.Loads(full, rate=0.25)
    with torch.no_grad():
        gate.e_score_correction_bias.copy_(torch.tensor([5.0, 0.0, 0.0, 0.0]))
    ids = torch.arange(32)[None] % 32
    full.train()(ids)
    with torch.no_grad():
        gate.e_score_correction_bias.copy_(torch.tensor([0.0, 5.0, 0.0, 0.0]))
        full.eval()(ids)  # evaluation is not counted
        gate.e_score_correction_bias.copy_(torch.tensor([5.0, 0.0, 0.0, 0.0]))
    assert loads.settle() == [[1.0, 0.0, 0.0, 0.0]]
    assert gate.e_score_correction_bias.tolist() == [4.75, 0.25, 0.25, 0.25]
    assert [count.sum().item() for count in loads.counts] == [0]


REFUSED = {
    "two lengths": ({"steps": 1, "minutes": 1.0}, "one length, got --steps and --minutes"),
    "an odd part": ({"batch_size": 4, "accumulate": 3}, "a multiple of --accumulate, got 4 and 3"),
    "no rate": ({"lr": 0.0}, "--lr must be above 0, got 0.0"),
    "no such preset": ({"preset": "huge"}, "--preset must be one of tiny, small"),
    "a field there is not": ({"changes": {"n_layer": 2}}, "--set must name one of d_model, n_layers"),
    "a model that cannot be": ({"changes": {"n_layers": 0}}, "n_layers must be a whole number of at least 1"),
    "too few tokens": ({"vocab_size": 200}, "at least 256 bytes + 4 special tokens, got 200"),
    "no such tokenizer": ({"tokenizer": "/nowhere/at all"}, "--tokenizer must be own, bytes, a folder or"),
    "no CUDA": ({"device": "cuda"}, "--device must be one that this machine has (cpu), got cuda"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_no_run_can_have_is_one_sentence(corpus: str, cache: Path, tmp_path: Path, fault: str) -> None:
    more, words = REFUSED[fault]
    if fault == "no CUDA" and (torch.cuda.is_available() or torch.backends.mps.is_available()):
        pytest.skip("this machine has another device")
    with pytest.raises(CannotTrain) as error:
        new_run(toy(corpus, **({"steps": None} if fault == "two lengths" else {}) | more),
                tmp_path / "run", View(quiet=True), cache)  # fmt: skip
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_the_command_line_ends_with_a_status_and_a_sentence(
    corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--steps", "many"]) == 2
    assert script.main(["--set", "n_layers"]) == 1
    assert "--set must be NAME=VALUE" in capsys.readouterr().err
    assert script.main(["--corpus", "file:/nowhere", "--solution", "--output", str(tmp_path / "a")]) == 1
    assert "must name a file or a folder that is there" in capsys.readouterr().err
    assert script.main(["--resume", str(tmp_path)]) == 1
    assert "--resume must name the folder of a run" in capsys.readouterr().err


def learners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text_of: Any) -> None:
    """Let the learner's files be these texts."""

    def file(step_name: str, trio: str) -> Any:
        step = find_step(step_name)
        path = tmp_path / step_name / f"{trio}_exercise.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(step, trio), encoding="utf-8")
        return load(path, step, trio, stand_in=False)

    monkeypatch.setattr(chains, "_learners", file)


def test_an_unfinished_exercise_ends_the_run_in_its_own_sentence(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    learners(
        tmp_path, monkeypatch, lambda step, trio: stub_text(step.trio_files(trio)[1].read_text(), step, trio)
    )
    status = script.main(["--corpus", corpus, "--tokenizer", "bytes", "--steps", "1",
                          "--output", str(tmp_path / "run")])  # fmt: skip
    said = capsys.readouterr().err.strip().splitlines()
    assert status == 1
    assert said[-1].startswith("exercise 1.")
    assert not (tmp_path / "run").exists()
    assert said[-1].endswith(("course solve 1.1", "course solve 1.5", "course solve 1.8"))


def test_what_the_learners_code_raises_is_told_with_its_line(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def text_of(step: Any, trio: str) -> str:
        text = exercise_text(step.trio_files(trio)[1].read_text(), step, trio)
        return text.replace("    loss.backward()\n", "    loss.backward(int(1 / 0))\n")

    learners(tmp_path, monkeypatch, text_of)
    given = [
        "--tokenizer",
        "bytes",
        "--steps",
        "1",
        "--block-size",
        "16",
        "--set",
        "n_layers=1",
        "--dtype",
        "float32",
    ]
    status = script.main([*given, "--corpus", corpus, "--output", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert status == 1
    assert "model_exercise.py stopped with ZeroDivisionError" in said
    assert "training_step: loss.backward(int(1 / 0))" in said
    assert said.strip().endswith("Next: course check step3_pretrain")
    assert "trainer/loop.py" not in said


def test_the_learners_own_files_train_as_the_reference_does(
    corpus: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learners(
        tmp_path,
        monkeypatch,
        lambda step, trio: exercise_text(step.trio_files(trio)[1].read_text(), step, trio),
    )
    own = run_of(corpus, cache, tmp_path / "own", solution=False, steps=3)
    reference = run_of(corpus, cache, tmp_path / "reference", steps=3)
    assert losses(own) == losses(reference)
    kept = json.loads((tmp_path / "own" / "training.json").read_text())
    assert {"1.5", "2.10b", "3.7"} <= kept["parts"].keys()


def test_a_remembered_word_is_the_word_encoded() -> None:
    chain = Chain(True)
    special = chain.core.SPECIAL_TOKENS
    tokenizer = chain.text.Tokenizer.train(STORIES, 320, special)
    encode = encoder_for(chain, tokenizer, "storyworld")
    texts = [f"{story}  <|user|> it's\n\n {story}<|end|>" for story in STORIES]
    assert [encode(text) for text in texts] == [tokenizer.encode(text, special) for text in texts]
    assert encode.has_memory
    assert len(encode.words) > 10
    # In a text of others the markers are text.
    assert encoder_for(chain, tokenizer, "python")("<|end|>") == tokenizer.encode_ordinary("<|end|>")


def test_a_tokenizer_whose_words_have_neighbors_is_asked_for_whole_texts() -> None:
    chain = Chain(True)

    class Odd(chain.text.Tokenizer):  # type: ignore[name-defined,misc]
        def encode(self, text: str, allowed_special: Any = (), refuse: bool = True) -> list[int]:
            return list(reversed(super().encode(text, allowed_special, refuse)))

    tokenizer = Odd([], chain.core.SPECIAL_TOKENS)
    encode = encoder_for(chain, tokenizer, "python")
    assert [encode(text) for text in STORIES] == [tokenizer.encode(text) for text in STORIES]
    assert not encode.has_memory


def test_bfloat16_is_chosen_where_it_is_half_as_fast_again(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {torch.float32: 3.0, torch.bfloat16: 2.0}
    monkeypatch.setattr(precision, "seconds_of_product", lambda device, dtype: times[dtype])
    assert precision.choose_dtype("auto", "cpu") == torch.bfloat16
    times[torch.bfloat16] = 2.1
    assert precision.choose_dtype("auto", "cpu") == torch.float32
    assert precision.choose_dtype("float16", "cpu") == torch.float16


def test_a_plan_counts_steps_or_follows_the_clock() -> None:
    chain = Chain(True)
    steps = plan(Options(steps=100), 10_000, 32)
    assert (steps.total, steps.warmup, steps.by_clock) == (100, 5, False)
    assert plan(Options(epochs=2.0, batch_size=4), 1_280, 4 * 32).total == 20
    clock = plan(Options(minutes=1.0), 10_000, 32)
    assert clock.rate(chain, 7, 60.0, 1.0) == 0.0
    assert clock.rate(chain, 7, 3.0, 1.0) == pytest.approx(1.0)
    assert clock.fraction(7, 30.0) == 0.5
    due = [
        step for step in range(1, 26) if plan(Options(steps=25), 1, 1).is_due(None, (step - 1, 0), (step, 0))
    ]
    assert due == [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]


def test_a_dry_run_says_what_it_would_cost_and_makes_nothing(corpus: str, cache: Path) -> None:
    bill = dry.dry_run(toy(corpus, optimizer="muon"), View(quiet=True))
    count = sum(p.numel() for p in Chain(True).model.Transformer(
        Chain(True).model.ModelConfigs.tiny(
            max_seq_len=32, vocab_size=300, tie_embeddings=False, **TOY)).parameters())  # fmt: skip
    assert f"parameters  {count:,} (Transformer, tiny)" in bill
    assert "6 steps, 768 tokens" in bill
    assert "tried in float32 on cpu" in bill


def test_activations_are_counted_as_they_are_kept() -> None:
    model = Chain(True).model
    for args in (model.ModelConfigs.tiny(), model.ModelConfigs.tiny(attention="gqa")):
        real, kept = model.Transformer(args), {}
        own = {parameter.untyped_storage()._cdata for parameter in real.parameters()}

        def keep(tensor: torch.Tensor, own: Any = own, kept: Any = kept) -> torch.Tensor:
            if tensor.untyped_storage()._cdata not in own:
                kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        ids = torch.zeros(2, 256, dtype=torch.long)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            real(ids, labels=ids)
        wanted = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        assert dry.activation_bytes(args, 2, torch.float32, "cpu") == pytest.approx(wanted, rel=0.01)


def test_an_encoder_remembers_words_up_to_a_limit_and_encodes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = Chain(is_reference=True)
    tokenizer = chain.text.Tokenizer([(116, 104)], chain.core.SPECIAL_TOKENS)
    monkeypatch.setattr(tokenizers, "MOST_REMEMBERED", 2)
    encode = encoder_for(chain, tokenizer, "python")
    for text in ["the one the two", *(f"that is {n} the" for n in range(2 * tokenizers.COMPARED))]:
        assert encode(text) == tokenizer.encode(text)
    assert len(encode.words) == 2


# Trains on a small corpus first, so that all that torch keeps is there before the limit.
LIMITED = """
import sys
from pathlib import Path
import torch
from step3_pretrain.run.folder import METRICS, RunFolder
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.setup import new_run
from step3_pretrain.trainer.view import View

sys.path.insert(0, "tests")
from limited_memory import limit_memory
torch.set_num_threads(1)
small, large, folder = map(Path, sys.argv[1:])
sizes = {"n_layers": 1, "d_model": 32, "intermediate_size": 64}
for path in (small, large):
    if path == large:
        limit_memory(32, path)
    options = Options(corpus=f"file:{path}", steps=3, batch_size=2, block_size=32, vocab_size=300,
                      solution=True, samples=0, eval_bytes=2_000, changes=sizes)
    trainer = new_run(options, folder / path.stem, View(quiet=True), folder / "cache")
    trainer.train()
    lines = RunFolder(folder / path.stem).lines(METRICS)
    print(path.stem, trainer.data.stream.num_bytes, *(line["loss"] for line in lines if "loss" in line))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts a process's own data against a limit")
def test_a_text_larger_than_the_memory_trains(tmp_path: Path) -> None:
    for name, blocks in (("small", 2), ("large", 450)):
        with (tmp_path / f"{name}.txt").open("w", encoding="utf-8") as file:
            for block in range(blocks):
                file.write("".join(f"paragraph {block} {n}{' word' * 18} end\n\n" for n in range(1000)))
    size = (tmp_path / "large.txt").stat().st_size
    assert size > 1.5 * 32 * 2**20
    line = [sys.executable, "-c", LIMITED, *(str(tmp_path / f"{name}.txt") for name in ("small", "large"))]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*line, str(tmp_path)], cwd=COURSE_ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, *_ in told] == ["small", "large"]
    assert int(told[1][1]) > 0.8 * size, "the training side is encoded whole"
    assert all(0 < float(loss) < 7 for _, _, *losses in told for loss in losses)
