"""The evidence on growth trains at every size it says, beside the library, and draws it; the evidence on
ratios measures what pages say.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from coursekit.evidence import file_of
from step1_tokenizer import bench, growth
from step1_tokenizer.experiments import measure


def test_a_small_measurement_goes_the_way_of_the_large_one(tmp_path: Path) -> None:
    found = growth.evidence((0.05, 0.1), (16, 32), (0.05, 24), tmp_path / "images" / "growth.png")
    assert [row["merges"] for row in found["by_text"]] == [24, 24]
    assert [row["merges"] for row in found["by_merges"]] == [16, 32]
    texts = growth.cut(growth.library_text(0.1), 0.05)
    first = found["by_text"][0]
    assert first["bytes"] == len("".join(texts).encode()) < found["by_text"][1]["bytes"]
    assert first["distinct_words"] == measure.repeated(texts)[1] < found["by_text"][1]["distinct_words"]
    assert [row["bytes"] for row in found["by_merges"]] == [first["bytes"]] * 2
    assert found["claims"]["merges equal those of tokenizers"]
    assert found["claims"]["distinct words grow more slowly than the text"]
    assert (tmp_path / "images" / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_both_ways_are_timed_on_the_same_texts_and_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, int, int]] = []
    for name in ("train", "train_library"):
        note = partial(lambda name, texts, merges: done.append((name, len(texts), merges)), name)
        monkeypatch.setattr(growth, name, note)
    monkeypatch.setattr(growth, "_same", lambda *_: True)
    clock = count(1)
    monkeypatch.setattr(bench.bench, "once", lambda run: run() or next(clock))
    found = growth.evidence((0.05, 0.2), (16, 32), (0.2, 24), tmp_path / "growth.png")
    rows = [*found["by_text"], *found["by_merges"]]
    assert [row[key] for row in rows for key in ("ours_s", "tokenizers_s")] == list(range(1, 9))
    assert [name for name, *_ in done] == ["train", "train_library"] * 4
    assert [merges for *_, merges in done] == [24] * 4 + [16, 16, 32, 32]
    small, large = done[0][1], done[2][1]
    assert [texts for _, texts, _ in done] == [small] * 2 + [large] * 6
    assert small < large


@pytest.mark.parametrize(("slower", "holds"), [(1, True), (50, False)])
def test_training_that_grows_faster_than_the_text_breaks_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slower: int, holds: bool
) -> None:
    times = iter([1, 1, slower, 1, 1, 1])
    monkeypatch.setattr(bench.bench, "once", lambda run: next(times))
    claims = growth.evidence((0.05, 0.1), (16,), (0.05, 24), tmp_path / "growth.png")["claims"]
    assert claims["training grows more slowly than the text"] is holds


def test_a_text_that_cannot_fill_the_vocabulary_breaks_the_claim_on_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "library_text", lambda _: ["ab ab"])
    monkeypatch.setattr(bench.bench, "once", lambda run: 1)
    claims = growth.evidence((0.05,), (16,), (0.05, 16), tmp_path / "growth.png")["claims"]
    assert not claims["merges equal those of tokenizers"]


def test_other_merges_than_the_library_s_end_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode: Any = bench.encode_fast
    monkeypatch.setattr(bench, "encode_fast", lambda *given: encode(*given)[1:])
    with pytest.raises(RuntimeError, match="must equal those of"):
        growth.evidence((0.05,), (16,), (0.05, 16), tmp_path / "growth.png")


def test_the_picture_shows_seconds_over_megabytes_and_over_merges() -> None:
    by_text = [{"bytes": 1e6 * n, "merges": 8, "ours_s": n, "tokenizers_s": 2 * n} for n in (1, 3)]
    by_merges = [{"bytes": 1e6, "merges": n, "ours_s": n, "tokenizers_s": 3 * n} for n in (5, 7)]
    lines: list[Any] = [line for axes in growth.draw(by_text, by_merges).axes for line in axes.lines]
    assert [(line.get_label(), list(line.get_xdata()), list(line.get_ydata())) for line in lines] == [
        ("this course", [1, 3], [1, 3]),
        ("tokenizers", [1, 3], [2, 6]),
        ("this course", [5, 7], [5, 7]),
        ("tokenizers", [5, 7], [15, 21]),
    ]


def test_the_library_is_read_to_the_size_that_is_asked_for() -> None:
    texts = growth.library_text(0.2)
    assert 200_000 <= sum(len(text.encode()) for text in texts) < 700_000
    assert growth.cut(texts, 0.05) == texts[: len(growth.cut(texts, 0.05))]


def test_what_is_installed_and_what_cannot_be_read_is_no_part_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "a.py": b"a = 1\n",
        "bad.py": b"# coding: utf-8\n'\xff'\n",
        "site-packages/b.py": b"b = 1\n",
        "x/dist-packages/c.py": b"c = 1\n",
        "test/d.py": b"d = 1\n",
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert growth.library_text(1) == ["a = 1\n", "d = 1\n"]


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
    monkeypatch.setattr(bench, "split_words", lambda text: [word.strip() for word in split(text)])
    with pytest.raises(RuntimeError, match="merges must equal"):
        bench.Workload(texts, 32).compare()
    monkeypatch.setattr(bench, "split_words", split)
    monkeypatch.setattr(bench, "encode_fast", lambda text, *_: list(text.encode()))
    with pytest.raises(RuntimeError, match="ids must equal those of tiktoken"):
        bench.Workload(texts, 32).compare()
