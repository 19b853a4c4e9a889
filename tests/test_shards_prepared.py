"""A corpus is encoded once for each tokenizer, limit and seed, and found again as long as it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coursekit.corpora import MissingCorpus, prepared
from coursekit.corpora.prepared import Encoding, prepare
from coursekit.corpora.shard_index import INDEX
from coursekit.corpora.shards import BrokenShards
from coursekit.corpora.splits import SIDES, side_of

BYTES = Encoding(lambda text: list(text.encode()), 256, 257, "bytes")


def story_file(tmp_path: Path) -> Path:
    path = tmp_path / "stories.txt"
    path.write_text("".join(f"story {n}\n<|endoftext|>\n" for n in range(60)), encoding="utf-8")
    return path


def test_a_corpus_is_encoded_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"file:{story_file(tmp_path)}"
    both = train, _ = [prepare(tmp_path / "in", name, side, BYTES) for side in SIDES]
    for side, shards in zip(SIDES, both):
        found = [bytes(shards.document(n).tolist()).decode() for n in range(shards.num_documents)]
        assert found == [text for n in range(60) if side_of(text := f"story {n}\n") == side]
    assert train.index.meta == {"corpus": name, "split": "train", "seed": 0, "limit": None}
    assert "stories-txt-train-" in train.folder.name
    monkeypatch.setattr(prepared, "write_shards", None)
    again = prepare(tmp_path / "in", name, "train", BYTES)
    assert again.folder == train.folder


def test_whatever_changes_the_ids_makes_other_shards(tmp_path: Path) -> None:
    path = story_file(tmp_path)
    asked: list[dict[str, Any]] = [{}, {"limit": 20}, {"limit": 21}, {"seed": 1}, {"shard_tokens": 99}]
    others = [Encoding(BYTES.encode, 256, 257, "words"), Encoding(BYTES.encode, 255, 257, "bytes")]
    others.append(Encoding(BYTES.encode, 256, 258, "bytes"))
    folders = [prepare(tmp_path / "in", f"file:{path}", "train", BYTES, **more).folder for more in asked]
    folders += [prepare(tmp_path / "in", f"file:{path}", "train", other).folder for other in others]
    path.write_text(path.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    folders.append(prepare(tmp_path / "in", f"file:{path}", "train", BYTES).folder)
    stories = [prepare(tmp_path / "in", "storyworld", "train", BYTES, seed=s, limit=5) for s in (0, 1)]
    folders += [shards.folder for shards in stories]
    assert len(set(folders)) == 5 + 3 + 1 + 2
    assert stories[0][:30].tolist() != stories[1][:30].tolist()


def test_a_prepared_folder_that_was_damaged_is_told(tmp_path: Path) -> None:
    shards = prepare(tmp_path, "storyworld", "train", BYTES, limit=2)
    (shards.folder / INDEX).unlink()
    with pytest.raises(BrokenShards, match=r"must hold index\.json"):
        prepare(tmp_path, "storyworld", "train", BYTES, limit=2)


def test_two_that_prepare_the_same_at_once_both_get_it(tmp_path: Path) -> None:
    def encode(text: str) -> list[int]:
        if not list(tmp_path.glob("storyworld-*")):
            prepare(tmp_path, "storyworld", "train", BYTES, limit=3)
        return BYTES.encode(text)  # type: ignore[return-value]

    late = prepare(tmp_path, "storyworld", "train", Encoding(encode, 256, 257, "bytes"), limit=3)
    assert late.num_documents == 3
    assert list(tmp_path.iterdir()) == [late.folder]


def test_what_prepare_cannot_do_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="limit must be given for storyworld, which has no end, got None"):
        prepare(tmp_path, "storyworld", "train", BYTES)
    (tmp_path / "file").touch()
    with pytest.raises(MissingCorpus, match=r"must be writable with room for the tokens: .*; make room"):
        prepare(tmp_path / "file", "storyworld", "train", BYTES, limit=2)
