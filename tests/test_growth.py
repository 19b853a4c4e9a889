"""The evidence on growth trains at every size it says, beside the library, and draws it."""

from __future__ import annotations

from pathlib import Path

from step1_tokenizer import growth


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
