"""`course bench mla`: rows of the agreed names, wrong code refused before timing, options that are read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from coursekit import bench
from step2_model import latency
from step2_model.further_solution import LatentAttention, RaggedCache
from step2_model.latency.workload import config_named, parse

SMALL = "--config d_model=24,n_heads=3,kv_lora_rank=8,qk_rope_head_dim=4,qk_nope_head_dim=6,v_head_dim=5"
WORDS = [*SMALL.split(), "--prefill", "3/5,4/0", "--decode", "2,7,4", "--context", "9"]
WORDS += ["--rounds", "2", "--warmup", "1"]


def rows(*words: str) -> list[bench.Row]:
    return latency.rows(parse([*WORDS, *words]))


def test_the_rows_have_the_agreed_names() -> None:
    work = parse([])
    assert [f"decode {past}" for past in work.contexts] == ["decode 2048", "decode 8192"]
    assert work.prefill == ((64, 512), (128, 0), (256, 0), (256, 256))
    assert work.decode == (50,) * 4 + (100,) * 4 + (200,) * 4 + (400,) * 4
    assert work.rounds == 100
    sizes = (work.args.d_model, work.args.n_heads, work.args.kv_lora_rank, work.args.q_lora_rank)
    assert sizes == (2048, 16, 512, None)
    assert [row.what for row in rows()] == ["decode 9", *latency.CHALLENGE]
    assert latency.CHALLENGE == (
        "challenge decode absorbed",
        "challenge decode batched",
        "challenge prefill",
    )


def test_every_row_says_how_far_the_two_are_apart_and_on_what_they_ran() -> None:
    for row in rows():
        told = json.loads(json.dumps(row.to_json()))
        assert row.skipped is None
        assert told["ratio"] == pytest.approx(told["peer"] / told["ours"])
        assert 0 < told["error"] <= told["tolerance"] == 1e-5
        assert (told["width"], told["latent"], told["dtype"]) == (24, 8, "float32")


def test_a_bottleneck_for_queries_is_measured_too() -> None:
    assert all(
        row.ratio for row in latency.rows(replace(parse(WORDS), args=config_named("tiny,q_lora_rank=7")))
    )


def absorbed_with_wrong_scale(self: Any, x: Any, rope: Any, mask: Any = None, cache: Any = None) -> Any:
    return RIGHT["attend_absorbed"](self, x * 1.001, rope, mask, cache)


def ragged_with_stale_rope(self: Any, x: Any, rope: Any, cache: RaggedCache) -> Any:
    return RIGHT["decode_ragged"](self, x, tuple(half[:1].expand_as(half) for half in rope), cache)


def forward_that_forgets_the_past(self: Any, x: Any, rope: Any, mask: Any = None, cache: Any = None) -> Any:
    return RIGHT["forward"](self, x, rope, mask, None)


RIGHT = {name: getattr(LatentAttention, name) for name in ("attend_absorbed", "decode_ragged", "forward")}
WRONG = {
    "attend_absorbed": absorbed_with_wrong_scale,
    "decode_ragged": ragged_with_stale_rope,
    "forward": forward_that_forgets_the_past,
}


@pytest.mark.parametrize("method", WRONG)
def test_wrong_code_is_refused_before_anything_is_timed(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LatentAttention, method, WRONG[method])
    with pytest.raises(RuntimeError, match="must be within 1e-05 of transformers before anything is timed"):
        rows()


def test_in_bfloat16_all_is_skipped_where_the_machine_has_no_use_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latency, "bfloat16_gain", lambda device: 0.3)
    found = rows("--dtype", "bfloat16")
    assert [row.what for row in found] == ["decode 9", *latency.CHALLENGE]
    why = "a bfloat16 matrix product is 0.30 times as fast as a float32 one here, not 1.5"
    assert {row.skipped for row in found} == {why}
    assert {row.ratio for row in found} == {None}


def test_in_bfloat16_it_is_measured_where_it_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "bfloat16_gain", lambda device: 2.0)
    assert all(row.ratio for row in rows("--dtype", "bfloat16"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--prefill", "64"], "a request must be NEW/PAST with at least one new token, got '64'"),
        (["--decode", "50,,9"], "pasts must be whole numbers of at least 1 with commas between, got '50,,9'"),
        (["--config", "huge"], "a preset must be one of tiny, small, base, large"),
        (["--config", "tiny,heads=3"], "a change must be NAME=NUMBER with a size of the model, got heads=3"),
        (["--config", "tiny_long"], "the model must have latent attention and no YaRN, got tiny_long"),
        (["--rounds", "0"], "must be a whole number of at least 1, got '0'"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse(words)
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_options_reach_the_benchmark_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["mla", *WORDS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["rows"]
    assert [row["what"] for row in found] == ["decode 9", *latency.CHALLENGE]
    with pytest.raises(SystemExit) as end:
        bench.main(["mla", "--help"])
    assert end.value.code == 0
    assert "--prefill NEW/PAST,..." in capsys.readouterr().out


def test_a_benchmark_without_options_refuses_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["verdict", "--rounds", "3"]) == 2
    assert "course bench knows --json and --help, got '--rounds'" in capsys.readouterr().err


def test_a_bfloat16_product_is_compared_with_a_float32_one() -> None:
    assert latency.bfloat16_gain(torch.device("cpu"), size=8) > 0
