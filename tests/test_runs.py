"""Run folders: what they say of themselves, and what `course run inspect` says of them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.corpora import storyworld
from coursekit.corpora.sources import documents
from coursekit.mine import State
from step3_pretrain.run import command, inspecting, judged
from step3_pretrain.run.folder import RunFolder, free_name
from step3_pretrain.run.pages import quoted, table
from step3_pretrain.run.parts import by_author, used
from step3_pretrain.run.record import read_record
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.samples import continuations
from step3_pretrain.trainer.setup import new_run, resumed
from step3_pretrain.trainer.tokenizers import Encoder, encoder_for
from step3_pretrain.trainer.view import View
from tests.tiny_runs import write_run

CHAIN = Chain(True)
CORE = CHAIN.model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of stories, far too short to learn any."""
    path = tmp_path_factory.mktemp("runs") / "short"
    changes = {"n_layers": 1, "d_model": 32, "intermediate_size": 64}
    small: dict[str, Any] = {"vocab_size": 400, "block_size": 160, "max_documents": 60, "batch_size": 2}
    small |= {"changes": changes, "samples": 0, "eval_bytes": 500, "device": "cpu", "dtype": "float32"}
    options = Options(solution=True, steps=10, moe=True, **small)
    assert new_run(options, path, View(quiet=True), tmp_path_factory.mktemp("shards")).train() == 0
    return path


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    tokenizer = CHAIN.text.Tokenizer([], CHAIN.core.SPECIAL_TOKENS)
    return encoder_for(CHAIN, tokenizer, "storyworld")


class Oracle(torch.nn.Module):
    """Stands for a model that knows some stories by heart, and goes on as the first that fits does."""

    def __init__(self, rows: list[list[int]], vocab_size: int, spoil: bool = False) -> None:
        super().__init__()
        self.args = CORE.ModelConfigs.tiny(vocab_size=vocab_size, max_seq_len=1_000)
        self.rows, self.weight, self.spoil = rows, torch.nn.Parameter(torch.zeros(1)), spoil

    def forward(self, ids: torch.Tensor, cache: Any = None) -> Any:
        logits = torch.zeros(*ids.shape, self.args.vocab_size)
        for b, row in enumerate(ids.tolist()):
            known = next(known for known in self.rows if known[: len(row)] == row)
            for t in range(len(row)):
                logits[b, t, known[t + 1] if t + 1 < len(known) else 0] = 50.0
        return CORE.ModelOutput(logits, None, None)


def test_answers_and_their_distance_are_judged(encoder: Encoder) -> None:
    end_of_text = encoder.tokenizer.special_tokens["<|endoftext|>"]
    asked = list(storyworld.questions(12))
    assert all(not q.is_right("nothing") for q in asked)
    # Every answer of the nearer half is known, no answer of the farther half.
    middle = sorted(q.distance for q in asked)[len(asked) // 2]
    rows = [
        [end_of_text, *encoder(q.prompt + (q.answer if q.distance < middle else " No.") + "<|end|>")]
        for q in asked
    ]
    found = judged.judged_answers(Oracle(rows, len(encoder.tokenizer)), encoder, end_of_text, 12)
    near = sum(q.distance < middle for q in asked)
    assert found["asked"] == 12
    assert found["right"] == near / 12
    shares = [group["right"] for group in found["by_distance"]]
    assert shares[0] == 1
    assert shares[-1] == 0
    assert sum(group["asked"] for group in found["by_distance"]) == 12
    bounds = [(group["nearest"], group["farthest"]) for group in found["by_distance"]]
    assert bounds == sorted(bounds)


def test_samples_are_judged_by_the_parser() -> None:
    good = storyworld.story(0)
    cut, wrong = good[: len(good) // 2], good.replace(" ", "  ", 1)
    found = judged.judged_samples([good, good, cut, wrong])
    assert found == {"grammatical": 0.5, "true": 1.0, "broken_off": 0.25}


def test_the_loss_of_a_uniform_model_is_that_of_its_tokens(encoder: Encoder) -> None:
    class Uniform(Oracle):
        def forward(self, ids: torch.Tensor, cache: Any = None) -> Any:
            return CORE.ModelOutput(torch.zeros(*ids.shape, self.args.vocab_size), None, None)

    end_of_text = encoder.tokenizer.special_tokens["<|endoftext|>"]
    lost = judged.judged_loss(Uniform([], 260), encoder, end_of_text, 5)
    texts = list(islice(documents("storyworld", "held_out"), 5))
    tokens = sum(len(encoder(text)) + 1 for text in texts)
    size = sum(len(text.encode()) for text in texts)
    assert lost.bits_per_byte == pytest.approx(tokens * torch.tensor(260.0).log2().item() / size, rel=1e-6)


def test_continuations_end_where_they_should_and_move_no_generator() -> None:
    torch.manual_seed(0)
    model = CORE.Transformer(CORE.ModelConfigs.tiny(vocab_size=50, max_seq_len=24, n_layers=1)).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    state = torch.get_rng_state()
    prompts = [[1, 2, 3], [4], [5, 6, 7]]
    drawn = [continuations(model, prompts, 0, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    likeliest = continuations(model, prompts, 0, torch.Generator(), temperature=0)
    model.eval()
    for prompt, ids in zip(prompts, likeliest, strict=True):
        whole = [*prompt, *ids]
        assert len(whole) == 24 or len(ids) < 24
        logits = model(torch.tensor([whole])).logits[0].argmax(-1).tolist()
        assert logits[len(prompt) - 1 : len(whole) - 1] == ids
        assert 0 not in ids
        if len(whole) < 24:
            assert logits[-1] == 0
    # Each row is what it would be alone.
    assert continuations(model, [[4]], 0, torch.Generator(), temperature=0) == [likeliest[1]]


def test_inspect_writes_a_report_and_a_card(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = inspecting.inspected(run, answers=3, samples=2)
    assert text.startswith("# The run short")
    found = json.loads((run / "report.json").read_text())
    lines = RunFolder(run).lines("metrics.jsonl")
    assert found["bits_per_byte"] == lines[-1]["bits_per_byte"]
    assert found["judged"]["answers"]["asked"] <= 3
    assert found["judged"]["loss"]["floor"] < found["judged"]["loss"]["bits_per_byte"]
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    written = (run / "MODEL_CARD.md").read_text()
    assert "| the reference's |" in written
    assert "3.8" in written
    for name in ("REPORT.md", "MODEL_CARD.md"):
        assert all(
            line == line.rstrip() or line.startswith("    ") for line in (run / name).read_text().split("\n")
        )


def test_the_command_says_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("sys.argv", ["course run", "inspect", str(tmp_path)])
    assert command.main() == 1
    assert "RUN must be the folder of a run" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["course run", "look"])
    assert command.main() == 2


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        (lambda record: [record], "a list"),
        (lambda record: record | {"options": "none"}, "no options"),
        (lambda record: {name: record[name] for name in record if name != "plan"}, "none with plan"),
        (lambda record: {name: record[name] for name in record if name != "options"}, "none with options"),
        (lambda record: record | {"plan": {"total": 12}}, "none with by_clock"),
        (lambda record: record | {"num_tokens": "many"}, "num_tokens 'many'"),
        (lambda record: record | {"parts": []}, "parts []"),
        (
            lambda record: record | {"options": {"preset": "huge"}},
            "options that do not hold: --preset must be",
        ),
        (lambda record: record | {"options": {"batch_size": "8"}}, "options that do not hold: "),
    ],
)
def test_a_record_that_training_did_not_write_is_told_so(
    tmp_path: Path, damage: Callable[[Any], Any], got: str
) -> None:
    write_run(tmp_path)
    path = tmp_path / "training.json"
    good = json.loads(path.read_text(encoding="utf-8"))
    assert read_record(tmp_path)["options"]["corpus"] == "storyworld"
    path.write_text(json.dumps(damage(good)), encoding="utf-8")
    told = f"{path} must be the record that training writes, got {got}"
    with pytest.raises(ValueError, match=re.escape(told)):
        inspecting.inspected(tmp_path)
    with pytest.raises(CannotTrain, match=re.escape(told)):
        resumed(tmp_path, {}, View(quiet=True))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_run_with_a_damaged_file_does_not_go_on_and_says_which(tmp_path: Path, name: str) -> None:
    write_run(tmp_path)
    (tmp_path / name).write_text("{", encoding="utf-8")
    with pytest.raises(CannotTrain, match=re.escape(f"{tmp_path / name} must be JSON")):
        resumed(tmp_path, {}, View(quiet=True))


def test_a_record_of_an_older_course_has_the_options_that_it_lacks_at_their_defaults(tmp_path: Path) -> None:
    write_run(tmp_path)
    path = tmp_path / "training.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["options"]["schedule"]
    path.write_text(json.dumps(record), encoding="utf-8")
    assert read_record(tmp_path)["options"]["schedule"] == Options().schedule


def test_a_card_names_the_parts_that_a_run_passes_through() -> None:
    tiny = CORE.ModelConfigs.tiny
    plain = used(Options(dtype="float32", rows="blocks"), tiny(), {})
    assert plain[0] == "1.1"
    assert {"2.11a", "3.2", "3.3", "3.5", "3.7", "1.10"} <= set(plain)
    assert not {"2.9", "3.9", "3.10a", "3.12a", "2.13b", "3.13", "1.4"} & set(plain)
    slow = used(Options(dtype="float32"), tiny(attention="gqa"), {"1.10": State.UNWRITTEN.value})
    assert {"1.2", "1.3", "1.4", "2.9"} <= set(slow)
    assert not {"1.10", "2.11a"} & set(slow)
    asked = Options(dtype="bfloat16", accumulate=2, optimizer="muon", schedule="stable", rows="documents")
    much = used(asked, CORE.ModelConfigs.tiny_moe(), {})
    assert {"3.9", "3.10a", "3.12a", "3.12b", "3.13", "3.14", "2.13b", "2.13c", "2.13d", "2.12a"} <= set(much)
    assert not {"3.2", "3.3", "3.5"} & set(much)
    states = {"1.1": State.YOURS.value, "1.2": State.SOLVED.value}
    mine = by_author(["1.1", "1.2", "1.3"], states)
    assert mine == {
        "the learner's own": ["1.1"],
        "solved for the learner": ["1.2"],
        "the reference's": ["1.3"],
    }


def test_every_part_that_a_run_names_is_an_exercise() -> None:
    from coursekit.registry import find_item

    models = (
        CORE.ModelConfigs.tiny_moe(),
        CORE.ModelConfigs.tiny_long(),
        CORE.ModelConfigs.tiny(attention="gqa"),
    )
    rows = []
    for optimizer, schedule in (("adamw", "cosine"), ("muon", "stable")):
        options = Options(dtype="bfloat16", accumulate=2, optimizer=optimizer, schedule=schedule)
        rows += [used(options, args, {}) for args in models]
    for name in {name for row in rows for name in row}:
        assert find_item(name)


def test_lines_that_a_kill_cut_off_do_not_count(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    assert [line["step"] for line in run.lines("metrics.jsonl")] == [1, 2, 3]
    run.cut("metrics.jsonl", 2)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'
    assert run.lines("samples.jsonl") == []


def test_checkpoints_are_found_by_their_steps_and_nothing_else(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    for name in ("step-00000009.safetensors", "step-100000000.safetensors", "step-00000010.safetensors.part",
                 "step-1.safetensors", "notes.txt"):  # fmt: skip
        (tmp_path / "checkpoints" / name).write_text("")
    assert [step for step, _ in run.checkpoints()] == [100_000_000, 9]
    assert run.checkpoint(9) == run.checkpoints()[1][1]


def test_a_new_run_gets_a_name_that_is_free(tmp_path: Path) -> None:
    assert free_name(tmp_path, ("tiny", "file:/a b/c.txt")).name == "tiny-file-a-b-c-txt"
    (tmp_path / "tiny-python").mkdir()
    (tmp_path / "tiny-python-2").mkdir()
    assert free_name(tmp_path, ("tiny", "python")).name == "tiny-python-3"


def test_texts_in_a_report_are_no_markdown() -> None:
    draw = random.Random(0)
    text = "".join(chr(draw.randrange(1, 300)) for _ in range(500)) + "\n# no title\n"
    assert all(line.startswith("    ") and line.isprintable() for line in quoted(text))
    assert list(table(("a",), [("x|y",)]))[-1] == "| x\\|y |"


def test_the_load_of_every_layer_with_experts_is_drawn(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from step3_pretrain.run import curves

    drawn: list[tuple[int, list[float]]] = []
    monkeypatch.setattr(
        curves, "draw_load", lambda ax, loads, layer: drawn.append((layer, loads[-1]["load"][layer]))
    )
    curves.plot_run(RunFolder(run).lines("metrics.jsonl"), run / "again.png")
    assert [layer for layer, _ in drawn] == [0]
    assert len(drawn[0][1]) == 8
    assert sum(drawn[0][1]) == pytest.approx(1, abs=1e-3)
