"""`course bench generate`: rows of the agreed names, other tokens refused, what is skipped and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from coursekit import bench
from coursekit.registry import find_step
from step2_model.model_solution import ModelArgs
from step4_generate import bench as generation
from step4_generate.model_solution import generate_cached

SIZES: dict[str, Any] = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_kv_heads": 2, "intermediate_size": 24}
SIZES |= {"attention": "gqa", "vocab_size": 40, "max_seq_len": 12, "tie_embeddings": True}
SMALL = ModelArgs(**SIZES)
WORK = generation.Work(batch_size=3, prompt=5, new=7)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the compiler out: a minute for what this test does not ask."""
    monkeypatch.setattr(torch, "compile", lambda model: model)


def rows() -> dict[str, bench.Row]:
    return {row.what: row for row in generation.rows(SMALL, WORK, repeats=1)}


@pytest.mark.usefixtures("quick")
def test_a_machine_without_fast_bfloat16_says_so_in_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "bfloat16_gain", lambda device: 0.3)
    found = rows()
    assert list(found) == ["batch 1", "batch 3", "batch 3 compiled", "batch 3 compiled bf16"]
    why = "a bfloat16 matrix product is 0.30 times as fast as a float32 one here, not 1.5"
    assert found["batch 3 compiled bf16"].skipped == why
    assert found["batch 3 compiled bf16"].ratio is None
    assert [row.skipped for row in found.values()][:3] == [None] * 3


@pytest.mark.usefixtures("quick")
def test_every_row_says_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "bfloat16_gain", lambda device: 2.0)
    found = rows()
    assert len(found) == 4
    for name, row in found.items():
        told = json.loads(json.dumps(row.to_json()))
        assert told["ratio"] == pytest.approx(told["peer"] / told["ours"])
        assert told["tokens_per_s"] == pytest.approx((1 if name == "batch 1" else 3) * 7 / told["ours"])
        assert (told["prompt"], told["new_tokens"], told["repeats"]) == (5, 7, 1)
        assert told["ratio_inference_mode"] > 0
        assert told["is_compiled"] == ("compiled" in name)


def test_the_rows_of_the_benchmark_have_the_agreed_names() -> None:
    assert generation.Work().batch_size == 16
    args = generation.ARGS
    assert (args.d_model, args.n_layers, args.n_heads, args.vocab_size) == (256, 6, 8, 4096)
    assert args.max_seq_len == generation.Work().prompt + generation.Work().new
    names = {e.name: e.module for e in find_step("4").entries if e.kind == "benchmark"}
    assert names["generate"] == "step4_generate.bench"


def test_without_a_compiler_the_compiled_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCompiler(TorchDynamoException):
        pass

    def compiled(model: Any) -> Callable[..., Any]:
        model.forward = lambda *args, **kwargs: fail()
        return model

    def fail() -> None:
        raise NoCompiler

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(generation, "bfloat16_gain", lambda device: 0.3)
    found = rows()
    assert found["batch 3 compiled"].skipped == "torch cannot compile here: NoCompiler"
    assert found["batch 3"].skipped is None, "what is eager is measured all the same"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("way", ["batch 1", "batch 3", "compiled"])
def test_another_token_is_refused_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    def late(model: Any, ids: Tensor, new: int, window: int) -> Any:
        columns = [column.clone() for column in generate_cached(model, ids, new, window)]
        is_meant = {"batch 1": len(ids) == 1, "batch 3": len(ids) == 3, "compiled": hasattr(model, "made")}
        if is_meant[way]:
            columns[-1][-1] = (columns[-1][-1] + 1) % 40
        return columns

    def marked(model: Any) -> Any:
        model.made = True
        return model

    def never(runs: Any, repeats: int) -> Any:
        assert way != "batch 1", "timed before it was compared"
        return {name: [1.0] for name in runs}

    monkeypatch.setattr(torch, "compile", marked)
    monkeypatch.setattr(generation, "generate_cached", late)
    monkeypatch.setattr(generation, "bfloat16_gain", lambda device: 0.3)
    monkeypatch.setattr(bench, "interleaved", never)
    with pytest.raises(RuntimeError, match=r"must write the \d+ tokens that transformers writes, got \d+"):
        rows()


def test_bfloat16_is_compared_by_its_logits() -> None:
    ours, _ = generation.models(SMALL, 0, torch.device("cpu"))
    text = WORK.prompts(40, torch.device("cpu"))
    other, _ = generation.models(SMALL, 0, torch.device("cpu"))
    assert 0 < generation.compare_logits(other.bfloat16(), ours, text) < generation.TOLERANCE
    with torch.no_grad():
        other.norm.weight.mul_(1.5)
    with pytest.raises(RuntimeError, match=r"logits must agree within 0\.05 of the largest, got"):
        generation.compare_logits(other, ours, text)


def test_what_is_written_has_no_near_ties() -> None:
    work, device = generation.Work(), torch.device("cpu")
    model, _ = generation.models(generation.ARGS, work.seed, device)
    ids, nearest = work.prompts(generation.ARGS.vocab_size, device), []

    def choose(logits: Tensor) -> Tensor:
        first, second = logits.topk(2).values.unbind(dim=1)
        nearest.append(float((first - second).min()))
        return logits.argmax(dim=-1)

    columns = list(generate_cached(model, ids, work.new, ids.shape[1] + work.new, choose))
    assert min(nearest) > 2e-4, "in float32 sums of another order move a logit by about 1e-6"
    assert all(len(set(row)) > 10 for row in torch.stack(columns, dim=1).tolist())
