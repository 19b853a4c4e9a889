"""The corpus is the machine's own standard library, split without leaks; its baselines are counted right."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.budget import Budget
from coursekit.corpora import Corpus, MissingCorpus, TextFile, baselines, join, split_by_file
from coursekit.corpora.python import python_library


@pytest.fixture(scope="module")
def library() -> Corpus:
    return python_library()


def test_the_library_is_megabytes_of_source_without_tests_packages_and_generated_tables(
    library: Corpus,
) -> None:
    files = [*library.train, *library.held_out]
    assert sum(len(file.data) for file in files) > 4_000_000
    names = {file.name for file in files}
    assert {"argparse.py", "json/decoder.py", "asyncio/events.py"} <= names
    folders = {part for name in names for part in Path(name).parts[:-1]}
    assert not folders & {"test", "tests", "site-packages", "encodings", "idlelib", "__pycache__"}


def test_every_file_is_utf8_with_unix_line_ends(library: Corpus) -> None:
    for file in [*library.train, *library.held_out]:
        assert "\r" not in file.data.decode("utf-8"), file.name


def test_about_a_tenth_of_the_files_is_held_out_and_none_stands_on_both_sides(library: Corpus) -> None:
    train, held_out = ({file.name for file in side} for side in (library.train, library.held_out))
    assert not train & held_out
    assert not {file.data for file in library.train} & {file.data for file in library.held_out}
    assert 0.05 < len(held_out) / len(train | held_out) < 0.2


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(min_size=1, max_size=6), max_size=30))
def test_no_content_is_ever_on_both_sides_and_none_is_lost(texts: dict[str, bytes]) -> None:
    corpus = split_by_file("any", [TextFile(name, data) for name, data in texts.items()], share=0.5)
    train, held_out = ([file.data for file in side] for side in (corpus.train, corpus.held_out))
    assert not set(train) & set(held_out)
    assert sorted(train + held_out) == sorted({data for data in texts.values() if data.strip()})


def test_a_file_stays_on_its_side_whatever_other_files_there_are() -> None:
    files = [TextFile(f"{i}.py", b"%d" % i) for i in range(60)]
    whole, part = split_by_file("any", files), split_by_file("any", files[10:30])
    assert part.held_out
    assert set(part.held_out) == set(whole.held_out) & set(files[10:30])


def test_a_copy_of_a_held_out_file_is_not_trained_on() -> None:
    alone = split_by_file("any", [TextFile(f"{i}.py", b"%d" % i) for i in range(60)])
    copied = alone.held_out[0]
    copies = [TextFile(f"{copied.name}.copy{i}", copied.data) for i in range(20)]
    both = split_by_file("any", [*alone.train, *alone.held_out, *copies])
    assert both == alone


def test_a_sample_holds_whole_held_out_files_within_the_limit_and_is_the_same_every_time(
    library: Corpus,
) -> None:
    sample = library.sample(100_000)
    assert 50_000 < len(join(sample)) <= 100_000
    assert set(sample) < set(library.held_out)
    assert sample == library.sample(100_000)
    with pytest.raises(ValueError, match=r"room for a file of .* bytes, got 1"):
        library.sample(1)


def test_a_python_without_its_sources_says_so_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "os.py").write_text("pass\n", encoding="utf-8")
    with pytest.raises(MissingCorpus, match=r"got 0\.0 MB in 1 files.*conda.*start\.py"):
        python_library(tmp_path)


def test_a_source_in_another_encoding_is_read_as_python_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coursekit.corpora.python.LEAST_BYTES", 1)
    (tmp_path / "old.py").write_bytes("# coding: latin-1\r\nname = 'é'\r\n".encode("latin-1"))
    corpus = python_library(tmp_path)
    assert join(corpus.train + corpus.held_out) == "# coding: latin-1\nname = 'é'\n".encode()


def test_gzip_is_counted_in_bits_over_the_bytes_themselves() -> None:
    files = [TextFile("a", b"spam and eggs " * 50), TextFile("b", b"eggs and spam " * 50)]
    packed = [len(gzip.compress(file.data, 9)) for file in files]
    assert baselines.gzip_bits_by_file(files) == 8 * sum(packed) / 1400
    assert baselines.gzip_bits(files) == 8 * len(gzip.compress(join(files), 9)) / 1400
    assert baselines.gzip_bits(files) < baselines.gzip_bits_by_file(files)


def test_gzip_finds_nothing_in_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    assert 8.0 < baselines.gzip_bits([TextFile("noise", noise)]) < 8.05


def test_the_unigram_and_the_bigram_are_probabilities_and_nothing_is_impossible() -> None:
    train = b"the theme of the thesis" * 20
    assert baselines.unigram(train).sum() == pytest.approx(1)
    assert baselines.bigram(train).sum(axis=1) == pytest.approx(np.ones(256))
    assert baselines.bigram(train).min() > 0
    assert baselines.bigram(train)[ord("t"), ord("h")] > 0.98


def test_a_unigram_of_two_equal_bytes_costs_one_bit_and_a_bigram_of_their_cycle_none() -> None:
    train = b"ab" * 100_000
    assert baselines.unigram_bits(b"abab", train) == pytest.approx(1.0, abs=0.01)
    assert baselines.bigram_bits(b"abab", train, before=train) == pytest.approx(0.0, abs=0.01)
    assert baselines.bigram_bits(b"baba", train, before=train) > 3


def test_the_environment_cuts_a_budget_and_never_raises_it() -> None:
    budget = Budget(seconds=180, steps=100, held_out_bytes=1000)
    assert budget.within_environment({}) == budget
    cut = budget.within_environment({"COURSE_BUDGET": "seconds=5, steps=2000,bytes=10"})
    assert cut == Budget(seconds=5, steps=100, held_out_bytes=10)


@pytest.mark.parametrize("wanted", ["minutes=3", "steps=many", "steps", "steps=0", "seconds=nan"])
def test_a_budget_that_cannot_be_read_is_named(wanted: str) -> None:
    with pytest.raises(ValueError, match="got"):
        Budget().within_environment({"COURSE_BUDGET": wanted})


def test_the_fraction_used_is_that_of_the_scarcer_good() -> None:
    budget = Budget(seconds=10, steps=100)
    assert budget.used(5, 1) == 0.5
    assert budget.used(1, 90) == 0.9
    assert budget.used(11, 1) == 1.0
    assert Budget(steps=4).used(math.pi, 1) == 0.25
