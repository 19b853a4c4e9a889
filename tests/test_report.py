"""A model's report finds what is broken, describes what is there, and leaves the model as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from step2_model import report
from step2_model.further_solution import FullTransformer
from step2_model.model_solution import GPT, GPTConfig, KVCache, ModelConfigs, Transformer
from step2_model.report import command

SMALL = {"n_layers": 2, "d_model": 32, "intermediate_size": 48, "vocab_size": 61, "max_seq_len": 40}
BUILDS: dict[str, Callable[[], Any]] = {
    "GPT": lambda: GPT(GPTConfig(61, 40, n_layer=2, n_head=2, n_embd=32)),
    "MLA": lambda: Transformer(ModelConfigs.tiny(**SMALL)),
    "grouped": lambda: Transformer(ModelConfigs.tiny(attention="gqa", n_kv_heads=2, **SMALL)),
    "experts": lambda: FullTransformer(ModelConfigs.tiny_moe(**SMALL)),
}


def build(name: str) -> Any:
    torch.manual_seed(0)
    return BUILDS[name]()


def failed(model: Any) -> list[str]:
    return [finding.what for finding in report.validate_model(model).findings if not finding.holds]


@pytest.mark.parametrize("name", BUILDS)
def test_a_whole_model_passes_everything_and_is_left_as_it_was(name: str) -> None:
    model = build(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = report.validate_model(model)
    assert found.passed, str(found)
    assert len(found.findings) == 7
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def looks_ahead(model: Any) -> None:
    attention = model.layers[0].self_attn
    old = attention.forward
    attention.forward = lambda x, *rest: old(x, *rest) + x.mean(dim=1, keepdim=True)


def never_looks_back(model: Any) -> None:
    for layer in model.layers:
        layer.self_attn.forward = lambda x, *rest: x


def has_an_idle_part(model: Any) -> None:
    model.idle = torch.nn.Linear(3, 3)


def has_a_dead_layer(model: Any) -> None:
    torch.nn.init.zeros_(model.layers[0].mlp.gate_proj.weight)


def forgets_the_first(model: Any) -> None:
    class Forgetful(KVCache):
        def read(self) -> Any:
            k, v = super().read()
            return (k[..., 1:, :], v[..., 1:, :]) if k.shape[-2] > 20 else (k, v)

    model.new_cache = lambda: [Forgetful() for _ in model.layers]


def overflows(model: Any) -> None:
    torch.nn.init.constant_(model.norm.weight, float("inf"))


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (looks_ahead, "causality"),
        (never_looks_back, "use of the past"),
        (has_an_idle_part, "gradient flow"),
        (has_a_dead_layer, "dead parameters"),
        (forgets_the_first, "cache"),
        (overflows, "finite numbers"),
    ],
)
def test_what_is_broken_is_found_by_its_name(harm: Callable[[Any], None], what: str) -> None:
    model = build("MLA")
    harm(model)
    assert what in failed(model)


def test_an_expert_that_nobody_chooses_is_found_by_its_number() -> None:
    model = build("experts")
    model.layers[1].mlp.gate.e_score_correction_bias[3] = -10
    found = report.validate_model(model)
    (dead,) = [finding for finding in found.findings if not finding.holds]
    assert dead.what == "dead parameters"
    assert "experts.down_proj[3]" in dead.seen


def test_a_model_that_raises_fails_in_words_and_the_rest_is_looked_at() -> None:
    model = build("MLA")
    model.new_cache = lambda: 1 / 0
    found = report.validate_model(model)
    (broken,) = [finding for finding in found.findings if not finding.holds]
    assert (broken.what, broken.seen) == ("cache", "ZeroDivisionError: division by zero")


def test_statistics_are_those_of_the_numbers() -> None:
    model = build("GPT")
    with torch.no_grad():
        model.ln_f.weight.copy_(torch.arange(32.0))
    (row,) = [row for row in report.weight_statistics(model) if row["name"] == "ln_f.weight"]
    assert (row["shape"], row["count"], row["min"], row["max"], row["zeros"]) == ([32], 32, 0.0, 31.0, 1 / 32)
    assert row["mean"] == pytest.approx(15.5)
    assert row["std"] == pytest.approx(((32**2 - 1) / 12) ** 0.5)


def test_every_kind_of_parameter_has_a_panel_with_its_name(tmp_path: Path) -> None:
    figure = report.plot_weights(build("MLA"), tmp_path / "w.png")
    titles = [ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert "self_attn.kv_b_proj.weight" in titles
    assert len(titles) == len(set(titles)) == 12
    assert (tmp_path / "w.png").read_bytes().startswith(b"\x89PNG")


def test_speed_is_measured_for_reading_training_and_writing() -> None:
    model = build("grouped").train()
    found = report.benchmark_model(model, batch=2, length=9, repeats=1)
    assert (found["batch"], found["length"]) == (2, 9)
    for job, tokens in (("read", 18), ("train", 18), ("write", 2)):
        assert found[f"{job}_tokens_per_second"] == pytest.approx(1000 * tokens / found[f"{job}_ms"])
    assert found["weights_bytes"] == 4 * sum(parameter.numel() for parameter in model.parameters())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(ValueError, match="length 2, got 1, 1, 1"):
        report.benchmark_model(model, length=1, repeats=1)


def test_the_page_needs_no_other_file_and_says_what_the_json_says(tmp_path: Path) -> None:
    model = build("experts")
    folder = report.save_report(model, model.args, tmp_path / "out", title="A <small> model")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "report.html",
        "report.json",
        "weights.png",
    ]
    page = (folder / "report.html").read_text(encoding="utf-8")
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert "A &lt;small&gt; model" in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page.replace("<!doctype html>", "")
    assert f"{told['parameters']:,} parameters" in page
    assert told["passed"]
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["n_experts"] == 8
    for row in told["weights"]:
        assert row["name"] in page


def test_the_command_reports_on_a_preset_and_on_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["report", "tiny", "--solution", "--out", str(tmp_path / "r")]) == 0
    assert "ok     causality" in capsys.readouterr().out
    assert (tmp_path / "r" / "report.html").is_file()
    assert command.main(["report", "nothing", "--out", str(tmp_path / "n")]) == 1
    assert "or a preset of tiny, small" in capsys.readouterr().err
    assert not (tmp_path / "n").exists()


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="model must be a GPT or a Transformer of this step, got Linear"):
        report.validate_model(torch.nn.Linear(2, 2))
