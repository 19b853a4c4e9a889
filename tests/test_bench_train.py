"""`course bench train`: rows of the agreed names, unequal losses refused, what stands beside."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from coursekit import bench
from step2_model.model_solution import ModelArgs
from step3_pretrain import bench as training

SIZES: dict[str, Any] = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_kv_heads": 2, "intermediate_size": 24}
SIZES |= {"attention": "gqa", "vocab_size": 40, "max_seq_len": 12, "tie_embeddings": True}
SMALL = ModelArgs(**SIZES)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the compiler out: a minute for what this test does not ask."""
    monkeypatch.setattr(torch, "compile", lambda model: model)


def rows() -> list[bench.Row]:
    return training.rows(SMALL, batch_size=3, repeats=1)


@pytest.mark.usefixtures("quick")
def test_a_machine_without_fast_bfloat16_says_so_in_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "bfloat16_gain", lambda device: 0.3)
    found = {row.what: row for row in rows()}
    assert list(found) == ["fp32", "bf16", "fp32 eager"]
    assert found["bf16"].ratio is None
    assert (
        found["bf16"].skipped
        == "a bfloat16 matrix product is 0.30 times as fast as a float32 one here, not 1.5"
    )
    assert found["fp32"].skipped is None


@pytest.mark.usefixtures("quick")
def test_every_row_says_what_data_and_memory_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "bfloat16_gain", lambda device: 2.0)
    for row in rows():
        told = json.loads(json.dumps(row.to_json()))
        assert told["ratio"] == pytest.approx(told["peer"] / told["ours"])
        assert 0 < told["data_share"] < 1
        assert told["parameters"] == 40 * 16 + 2 * (4 * 16 * 16 + 3 * 16 * 24 + 2 * 16) + 16
        assert told["kept_bytes"] > 4 * told["parameters"] / 2
        assert told["peer_kept_bytes"] > 4 * told["parameters"] / 2
        assert told["is_compiled"] == (row.what != "fp32 eager")


def test_the_measured_model_is_the_one_that_peers_were_measured_with() -> None:
    args = training.ARGS
    assert (args.d_model, args.n_layers, args.n_heads, args.max_seq_len) == (256, 6, 8, 256)
    assert (args.vocab_size, args.tie_embeddings, training.BATCH) == (4096, True, 16)


@pytest.mark.usefixtures("quick")
def test_unequal_losses_are_refused_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = training.models

    def unequal(args: ModelArgs, device: torch.device) -> tuple[Any, Any]:
        ours: Any
        ours, peer = right(args, device)
        with torch.no_grad():
            ours.norm.weight *= 1.5
        return ours, peer

    monkeypatch.setattr(training, "models", unequal)
    with pytest.raises(RuntimeError, match="both losses must agree within 1e-05"):
        rows()


def test_kept_bytes_counts_each_storage_once() -> None:
    weight = torch.ones(10, requires_grad=True)
    assert training.kept_bytes(lambda: (weight * weight).sum()) == 40
    assert training.kept_bytes(lambda: (weight.exp() * weight).sum()) == 80
