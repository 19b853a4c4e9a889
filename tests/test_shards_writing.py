"""A folder of shards is whole or not there, and writing it takes no more memory than a document."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.corpora import shard_writing
from coursekit.corpora.shards import Shards, write_shards
from coursekit.registry import COURSE_ROOT


def by_bytes(text: str) -> list[int]:
    return list(text.encode())


def write(folder: Path, texts: Any, **changes: Any) -> Shards:
    arguments: dict[str, Any] = {"vocab_size": 257, "tokenizer": "bytes", "shard_tokens": 10}
    encode = changes.pop("encode", by_bytes)
    return write_shards(folder, texts, encode, changes.pop("end", 256), **arguments | changes)


def test_the_progress_is_told_after_each_document(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write(tmp_path / "set", ["one", "", "three"], progress=lambda *now: told.append(now))
    assert told == [(1, 4), (2, 5), (3, 11)]


def test_documents_are_read_one_at_a_time_and_encoded_before_the_next_is_asked_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def texts() -> Iterator[str]:
        for text in ("one", "two"):
            asked.append(f"read {text}")
            yield text

    def encode(text: str) -> list[int]:
        asked.append(f"encode {text}")
        return [1]

    write(tmp_path / "set", texts(), encode=encode)
    assert asked == ["read one", "encode one", "read two", "encode two"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"encode": lambda text: [0, 257]}, "ids must be from 0 to 256, got 257 in document 0"),
        ({"encode": lambda text: [-1] if text == "b" else []}, "from 0 to 256, got -1 in document 1"),
        ({"end": 257}, "end_of_text must be from 0 to 256, got 257"),
        ({"shard_tokens": 0}, "shard_tokens must be at least 1, got 0"),
        ({"vocab_size": 0}, "vocab_size must be from 1 to 4,294,967,296, got 0"),
        ({"texts": []}, "documents must be at least one, got none"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        write(tmp_path / "set", **{"texts": ["a", "b"]} | changes)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    before = write(tmp_path / "set", ["a"])[:].tolist()
    with pytest.raises(FileExistsError, match=r"must not be there yet, got .*set"):
        write(tmp_path / "set", ["b"])
    assert Shards.open(tmp_path / "set")[:].tolist() == before


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    def texts() -> Iterator[str]:
        yield "a" * 100
        assert list(tmp_path.glob(".set.writing-*/tokens-00005.bin")), "it had begun"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set", texts())
    assert list(tmp_path.iterdir()) == []


KILLED_AT = """
import os, sys
from pathlib import Path
from coursekit.corpora.shards import write_shards
calls, at = 0, int(sys.argv[2])
def hook(event, arguments):
    global calls
    if event in ("open", "os.rename", "os.mkdir") and str(sys.argv[1]) in str(arguments[0]):
        calls += 1
        if calls == at:
            print("killed", event, flush=True)
            os._exit(9)
sys.addaudithook(hook)
write_shards(Path(sys.argv[1]) / "set", ["a" * 25, "b"], lambda t: list(t.encode()), 256,
             vocab_size=257, tokenizer="bytes", shard_tokens=10)
print("done", flush=True)
"""


def test_a_kill_at_any_step_leaves_nothing_or_a_whole_set(tmp_path: Path) -> None:
    steps = []
    for at in range(1, 40):
        root = tmp_path / f"at{at}"
        root.mkdir()
        line = [sys.executable, "-c", KILLED_AT, str(root), str(at)]
        said = subprocess.run(line, cwd=COURSE_ROOT, capture_output=True, text=True).stdout.split()
        is_there = (root / "set").exists()
        assert not is_there or len(Shards.open(root / "set")) == 28
        if said == ["done"]:
            break
        steps.append((said, is_there))
        assert write(root / "set2", ["a"]), "what a killed writer left is in nobody's way"
    written = [said[1] for said, is_there in steps if not is_there]
    assert written[:2] == ["os.mkdir"] * 2
    assert {"os.rename"} < set(written)
    assert len(written) > 5


ENDLESS = """
import itertools, sys
from pathlib import Path
from coursekit.corpora.shards import write_shards
texts = (print(n, flush=True) or "a" for n in itertools.count())
write_shards(Path(sys.argv[1]), texts, lambda t: [1], 0, vocab_size=9, tokenizer="")
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX kills a process by a signal")
def test_what_a_killed_writer_left_is_swept_once_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = [sys.executable, "-c", ENDLESS, str(tmp_path / "set")]
    writer = subprocess.Popen(line, cwd=COURSE_ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=60)
    assert not (tmp_path / "set").exists()
    (left,) = tmp_path.iterdir()
    write(tmp_path / "set", ["a"])
    assert left.exists(), "another process may be writing there now"
    now = time.time()
    monkeypatch.setattr(shard_writing.time, "time", lambda: now + shard_writing.ABANDONED + 60)
    write(tmp_path / "other", ["a"])
    assert left.exists(), "it is of another set"
    (tmp_path / "set").rename(tmp_path / "moved")
    write(tmp_path / "set", ["a"])
    assert not left.exists()


LIMITED = """
import sys
import numpy as np
from pathlib import Path
from coursekit.corpora.shards import write_shards
from coursekit.corpora.sources import documents
sys.path.insert(0, "tests")
from limited_memory import limit_memory
path, folder = map(Path, sys.argv[1:])
limit_memory(16, path)
encode = lambda text: np.frombuffer(text.encode(), dtype=np.uint8)
for side in ("train", "held_out"):
    shards = write_shards(folder / side, documents(f"file:{path}", side), encode, 256,
                          vocab_size=257, tokenizer="bytes", shard_tokens=2**22)
    for number in np.random.default_rng(0).integers(0, shards.num_documents, 50).tolist():
        first, last = shards._span(number)[:, 0]
        text = bytes(shards._read(first, last - 1).astype(np.uint8)).decode()
        assert text.count("paragraph") > 10 and text.endswith("end\\n"), text
    print(side, shards.num_documents, shards.num_bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts a process's own data against a limit")
def test_a_text_larger_than_the_memory_is_split_encoded_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    size = 0
    with path.open("w", encoding="utf-8") as file:
        for block in range(300):
            size += file.write("".join(f"paragraph {block} {n}{' word' * 18} end\n\n" for n in range(1000)))
    assert size > 2 * 16 * 2**20
    line = [sys.executable, "-c", LIMITED, str(path), str(tmp_path)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=COURSE_ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    told = [line.split() for line in done.stdout.splitlines()]
    assert [side for side, *_ in told] == ["train", "held_out"]
    num_bytes = sum(int(found[2]) for found in told)
    num_documents = sum(int(found[1]) for found in told)
    assert size - 300_000 <= num_bytes <= size, "nothing is lost but blank lines"
    assert num_documents > 5000
    assert int(told[1][2]) < 0.2 * num_bytes, "about a tenth is held out"
