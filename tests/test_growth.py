"""The evidence on growth trains at every size it says, beside the library, and draws it; the evidence on
ratios measures what pages say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coursekit.evidence import file_of
from step1_tokenizer import bench, growth


def test_a_small_measurement_goes_the_way_of_the_large_one(tmp_path: Path) -> None:
    found = growth.evidence((0.05, 0.1), (16, 32), (0.05, 24), tmp_path / "images" / "growth.png")
    assert [row["merges"] for row in found["by_text"]] == [24, 24]
    assert [row["merges"] for row in found["by_merges"]] == [16, 32]
    assert found["by_text"][0]["bytes"] < found["by_text"][1]["bytes"]
    assert found["claims"]["merges equal those of tokenizers"]
    assert found["claims"]["distinct words grow more slowly than the text"]
    assert (tmp_path / "images" / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_library_is_read_to_the_size_that_is_asked_for() -> None:
    texts = growth.library_text(0.2)
    assert 200_000 <= sum(len(text.encode()) for text in texts) < 700_000
    assert growth.cut(texts, 0.05) == texts[: len(growth.cut(texts, 0.05))]


SMALL = bench.Size(num_bytes=60_000, merges=48, rescan_bytes=20_000, rescan_merges=16, repeats=1)


def test_a_small_benchmark_has_the_rows_of_the_large_one() -> None:
    kept = json.loads(file_of("tokenizer").read_text(encoding="utf-8"))
    found = bench.evidence(SMALL)
    assert [row["what"] for row in found["rows"]] == [row["what"] for row in kept["rows"]]
    assert {row["merges"] for row in found["rows"]} == {48, 16}
    assert all(row["ours"] > 0 and row["peer"] > 0 and row["ratio"] > 0 for row in found["rows"])
    assert found["claims"].keys() == kept["claims"].keys()


def test_what_the_chapters_say_of_speed_is_what_was_measured() -> None:
    kept = json.loads(file_of("tokenizer").read_text(encoding="utf-8"))
    ratio = {row["what"]: row["ratio"] for row in kept["rows"]}
    assert ratio["train vs plain rescan"] >= 200
    assert ratio["encode warm vs tokenizers"] > 1
    chapter = (file_of("tokenizer").parents[1] / "tutorials" / "step1_tokenizer.md").read_text("utf-8")
    assert chapter.count("hundreds of times faster") == 2
    assert "encode faster than a library in Rust" in chapter


def test_nothing_is_timed_unless_merges_and_ids_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = bench.texts_of("python", 20_000)
    bench.Workload(texts, 32).compare()
    split: Any = bench.split_words
    monkeypatch.setattr(bench, "split_words", lambda text: split(text)[1:])
    with pytest.raises(RuntimeError, match="merges must equal"):
        bench.Workload(texts, 32).compare()
    monkeypatch.setattr(bench, "split_words", split)
    monkeypatch.setattr(bench, "encode_fast", lambda text, *_: list(text.encode()))
    with pytest.raises(RuntimeError, match="ids must equal those of tiktoken"):
        bench.Workload(texts, 32).compare()
