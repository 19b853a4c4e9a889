"""The export command: another library opens the folder and computes, writes and talks the same."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from coursekit.corpora.storyworld import END
from step2_model.exchange.compare import compare
from step3_pretrain.run import load_run
from step4_generate.exporting import beside as side
from step4_generate.exporting import command
from step4_generate.exporting.beside import beside
from step4_generate.exporting.folder import exported
from step4_generate.talk.conversation import Conversation
from step4_generate.talk.opening import open_folder
from step4_generate.talk.settings import Settings
from step4_generate.talk.template import START
from tests.tiny_runs import write_gpt, write_run

STORY = "One day, Felix wanted a white coat."
EXPERTS = {"n_experts": 4, "n_experts_per_tok": 2, "moe_intermediate_size": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    write_run(folder)
    return folder


def told(capsys: pytest.CaptureFixture[str], *arguments: Any, status: int = 0) -> tuple[str, str]:
    assert command.main([str(each) for each in (*arguments, "--solution")]) == status
    return capsys.readouterr()


def test_the_folder_opens_elsewhere_with_equal_logits_and_equal_text(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    found, _ = told(capsys, run, out)
    assert f"{out} opens in transformers as DeepseekV3ForCausalLM" in found
    assert "transformers reads the same ids and writes the same text. All " in found
    assert "parts agree" in found
    prompt, ours, theirs = found.splitlines()[-3:]
    assert prompt.startswith("  prompt        '<|endoftext|>")
    assert ours.partition("'")[2] == theirs.partition("'")[2] != "'"
    names = ("config.json", "generation_config.json", "model.safetensors", "README.md", "tokenizer.json")
    assert {file.name for file in out.iterdir()} == {*names, "tokenizer_config.json"}
    model, _, tokenizer = load_run(run)
    library = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    assert compare(model, library, torch.arange(40)[None]).first is None
    text = "One day, Zoë's kite <|user|> Who? <|assistant|>"
    assert AutoTokenizer.from_pretrained(out)(text)["input_ids"] == tokenizer.encode(
        text, tokenizer.special_tokens
    )


def test_a_dialogue_has_the_same_ids_there_and_ends_at_its_marker(run: Path, tmp_path: Path) -> None:
    opened = open_folder(run, solution=True, device="cpu")
    exported(opened, tmp_path / "out")
    library = AutoTokenizer.from_pretrained(tmp_path / "out")
    messages = [{"role": "system", "content": STORY}, {"role": "user", "content": "Who wanted the coat?"}]
    ids = library.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert ids == Conversation(opened, Settings()).ids(messages)
    assert library.eos_token == START
    assert library.model_max_length == 256
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    special = opened.tokenizer.special_tokens
    assert model.generation_config.eos_token_id == [special[START], special[END]]
    assert open_folder(tmp_path / "out", solution=True).has_dialogue


def test_a_run_of_another_corpus_has_no_template(tmp_path: Path) -> None:
    write_run(tmp_path / "run", corpus="python")
    exported(open_folder(tmp_path / "run", solution=True), tmp_path / "out")
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template is None
    content = json.loads((tmp_path / "out" / "generation_config.json").read_text(encoding="utf-8"))
    assert len(content["eos_token_id"]) == 1
    assert not open_folder(tmp_path / "out", solution=True).has_dialogue


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"attention": "gqa", "n_kv_heads": 2}, "LlamaForCausalLM"),
        ({"attention": "gqa", **EXPERTS, "router": "softmax"}, "MixtralForCausalLM"),
        (
            {**EXPERTS, "router": "sigmoid", "n_shared_experts": 1, "n_dense_layers": 1},
            "DeepseekV3ForCausalLM",
        ),
    ],
)
def test_every_kind_of_run_opens_elsewhere(
    changes: dict[str, Any], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", **changes)
    found, _ = told(capsys, tmp_path / "run", tmp_path / "out")
    assert f"as {kind}:" in found
    assert "reads the same ids and writes the same text" in found


def test_a_gpt_over_bytes_and_a_new_model_open_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_gpt(tmp_path / "gpt")
    found, _ = told(capsys, tmp_path / "gpt", tmp_path / "out")
    assert "as GPT2LMHeadModel:" in found
    assert "reads the same ids and writes the same text" in found
    told(capsys, "tiny", tmp_path / "new", "--no-compare")
    other = open_folder(tmp_path / "new", solution=True)
    assert len(other.tokenizer) == 260
    told(capsys, "tiny", tmp_path / "again", "--no-compare", "--seed", 1)
    again = open_folder(tmp_path / "again", solution=True)
    assert not torch.equal(again.model.embed_tokens.weight, other.model.embed_tokens.weight)


def test_what_differs_is_said_and_is_no_success(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(opened: Any, folder: Path) -> Any:
        with torch.no_grad():
            opened.model.layers[1].mlp.gate_proj.weight.mul_(-1)
        return beside(opened, folder)

    monkeypatch.setattr(side, "beside", spoiled)
    found, _ = told(capsys, run, tmp_path / "out", status=1)
    assert "layers.1.mlp.gate_proj is the first part that differs" in found
    assert "writes ANOTHER text" in found
    monkeypatch.setattr(side, "beside", lambda opened, folder: other_ids(beside(opened, folder)))
    found, _ = told(capsys, run, tmp_path / "out", status=1)
    assert "transformers reads OTHER ids" in found


def other_ids(found: Any) -> Any:
    return replace(found, are_ids_equal=False)


def test_what_no_class_expresses_is_refused_by_its_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", attention="gqa", **EXPERTS, router="sigmoid", n_dense_layers=1)
    _, sentence = told(capsys, tmp_path / "run", tmp_path / "out", status=1)
    assert sentence.splitlines()[-1] == (
        "this model cannot be exported: router must be 'softmax' to be exchanged, got 'sigmoid'"
    )
    assert not (tmp_path / "out").exists()


def test_nothing_else_is_overwritten(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    for folder in (run, tmp_path / "mine"):
        _, sentence = told(capsys, run, folder, status=1)
        assert sentence.splitlines()[-1].startswith(
            "DIR must be a new folder, or one that was exported before"
        )
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    for _ in range(2):
        told(capsys, run, tmp_path / "out", "--no-compare")
    (tmp_path / "file").write_text("", encoding="utf-8")
    _, sentence = told(capsys, run, tmp_path / "file" / "out", status=1)
    assert sentence.splitlines()[-1].startswith("DIR must be writable, got ")


def test_the_card_says_whose_code_it_is_and_what_was_measured(run: Path, tmp_path: Path) -> None:
    def card() -> str:
        exported(open_folder(run, solution=True), tmp_path / "out")
        return (tmp_path / "out" / "README.md").read_text(encoding="utf-8")

    assert card().startswith("---\nlibrary_name: transformers\n")
    assert "| the reference's | " in card()
    assert "tokenizer.apply_chat_template(" in card()
    assert "answered right" not in card()
    training = json.loads((run / "training.json").read_text(encoding="utf-8"))
    training["parts"] = {"2.8": "yours", "2.7": "solved for you"}
    (run / "training.json").write_text(json.dumps(training), encoding="utf-8")
    (run / "metrics.jsonl").write_text('{"step": 12, "bits_per_byte": 1.25}\n', encoding="utf-8")
    judged = {"loss": {"above": 0.5}, "answers": {"right": 0.75}, "samples": {"grammatical": 0.5}}
    (run / "report.json").write_text(json.dumps({"judged": judged}), encoding="utf-8")
    text = card()
    assert "| the learner's own | 1 | 2.8 |" in text
    assert "| solved for the learner | 1 | 2.7 |" in text
    assert "1.2500 bits per byte" in text
    assert "75% of questions about held-out stories answered right" in text
    os.utime(run / "report.json", (0, 0))
    assert "answered right" not in card(), "a report older than the weights says nothing of them"


def test_wrong_usage_is_told_as_such(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(run)]) == 2
    assert "DIR" in capsys.readouterr().err
    _, sentence = told(capsys, run / "none", run / "out", status=1)
    assert sentence.startswith("RUN must be the folder of a run")
