"""Files of any size become documents, and every broken one is told in a sentence with its place."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.corpora import MissingCorpus, cutting, files, jsonlines
from coursekit.corpora.cutting import LONGEST_PIECE, PIECE, at_blank_lines, at_separators
from coursekit.corpora.files import file_documents

PARAGRAPH = "x" * 600 + "\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(place: object) -> list[str]:
    return list(file_documents(str(place)))


lines = st.lists(st.sampled_from(["a\n", "  b\n", "\n", " \n", PARAGRAPH, "<|endoftext|>\n"]), max_size=30)


@given(lines)
def test_pieces_hold_the_whole_text_but_for_the_blank_lines_between_them(found: list[str]) -> None:
    pieces = list(at_blank_lines(found))
    assert [line for line in "".join(pieces).split("\n") if line.strip()] == [
        line.rstrip("\n") for line in found if line.strip()
    ]
    assert all(piece == piece.lstrip("\n").rstrip() + "\n" for piece in pieces if piece)


@given(lines)
def test_what_stands_between_separators_is_one_document_each(found: list[str]) -> None:
    wanted = "".join(found).split("<|endoftext|>\n")
    assert [text.split() for text in at_separators(found)] == [text.split() for text in wanted]


def test_a_piece_ends_at_the_first_blank_line_after_its_size_and_never_before() -> None:
    pieces = [piece for piece in at_blank_lines([PARAGRAPH, "\n"] * 20) if piece]
    assert [piece.count("x") for piece in pieces] == [2400] * 5
    assert all(PIECE <= len(piece) < PIECE + 2 * len(PARAGRAPH) for piece in pieces)


def test_a_text_without_blank_lines_or_without_any_line_is_cut_all_the_same(tmp_path: Path) -> None:
    pieces = read(write(tmp_path / "a.txt", PARAGRAPH * 40))
    assert "".join(pieces) == PARAGRAPH * 40
    assert all(LONGEST_PIECE <= len(piece) < LONGEST_PIECE + len(PARAGRAPH) for piece in pieces[:-1])
    pieces = read(write(tmp_path / "b.txt", "é" * 50_000))
    assert "".join(pieces) == "é" * 50_000
    assert max(map(len, pieces)) <= 2 * LONGEST_PIECE


def test_a_document_between_separators_that_would_fill_the_memory_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cutting, "LONGEST_DOCUMENT", 1000)
    assert [len(text) for text in at_separators([PARAGRAPH] * 5)] == [1202, 1202, 601]


def test_a_line_that_reads_endoftext_ends_a_document_and_within_a_line_it_is_text(
    tmp_path: Path,
) -> None:
    told = "\ufeffOne <|endoftext|> day.\r\n\r\nEnd.\r\n<|endoftext|>\r\n\r\nTwo.\r\n<|endoftext|>\n"
    assert [text for text in read(write(tmp_path / "a.txt", told)) if text] == [
        "One <|endoftext|> day.\n\nEnd.\n",
        "Two.\n",
    ]


def test_a_folder_s_files_are_documents_in_the_order_of_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "b.txt", "two\n\n" * 900)
    write(tmp_path / "a" / "c.py", "    indented\n")
    write(tmp_path / "c.jsonl", '{"text": "three"}\n')
    write(tmp_path / "d.txt", "four\n<|endoftext|>\nfive\n<|endoftext|>\nsix")
    write(tmp_path / ".git" / "x", b"\xff")
    write(tmp_path / ".hidden", b"\xff")
    write(tmp_path / "e.txt", "")
    everything = ["two\n\n" * 900, "three", "four\n", "five\n", "six", "", "    indented\n"]
    assert read(tmp_path) == everything
    monkeypatch.setattr(files, "HEAD", 2000)
    cut = read(tmp_path)
    assert len(cut) > len(everything), "a file too large to be held is cut"
    assert "".join(cut).split() == "".join(everything).split()


def test_json_lines_give_the_field_that_is_named_whatever_the_file_is_called(tmp_path: Path) -> None:
    rows = [{"text": f"a{n}", "title": f"<|endoftext|>\n{n}"} for n in range(3)]
    told = "\n\n".join(json.dumps(row) for row in rows)
    for name in ("a.jsonl", "b.ndjson", "c.json"):
        path = write(tmp_path / name, told)
        assert read(f"{path}#title") == ["<|endoftext|>\n0", "<|endoftext|>\n1", "<|endoftext|>\n2"]
        if name != "c.json":
            assert read(path) == ["a0", "a1", "a2"]
    assert read(write(tmp_path / "no#text", "a # belongs to a path that is there")) != []


def test_packed_files_are_read_as_what_they_hold(tmp_path: Path) -> None:
    write(tmp_path / "a.txt.gz", gzip.compress(b"one\n<|endoftext|>\ntwo\n"))
    write(tmp_path / "b.jsonl.gz", gzip.compress(b'{"text": "three"}'))
    assert read(tmp_path) == ["one\n", "two\n", "three"]


@pytest.mark.parametrize("size", [0, 1, 65_535, files.CHUNK - 1, files.CHUNK, 3_000_001])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xe2\x82", b"\xed\xa0\x80"])
def test_the_first_byte_that_is_no_utf8_is_found_wherever_it_stands(
    tmp_path: Path, size: int, bad: bytes
) -> None:
    start = ("é\n" * size).encode()[:size].decode("utf-8", "ignore").encode()
    path = write(tmp_path / "a.txt", start + bad)
    with pytest.raises(UnicodeDecodeError) as told:
        path.read_bytes().decode()
    with pytest.raises(MissingCorpus, match=f"UTF-8, and byte {told.value.start:,} of .*a.txt is none: save"):
        read(path)


BROKEN = {
    "a line must be JSON, got Expecting value at character 10, in line 3 of": '\n{"text": "a"}\n{"text": }',
    "must be JSON, got one nested too deeply .* in line 1 of": "[" * 100_000,
    r"a JSON object like .*, got a list, in line 1 of": "[1]",
    "the field 'text', got the fields body, title, in line 1 of": '{"title": 1, "body": "a"}',
    "the field 'text', got the fields none, in line 1 of": "{}",
    "the field 'text' must be text, got NoneType, in line 2 of": '{"text": ""}\n{"text": null}',
    "text for UTF-8, got half of a surrogate pair, in line 1 of": '{"text": "\\ud800"}',
    "must have at most 200 characters, got more, in line 1 of": json.dumps({"text": "a" * 300}),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_broken_line_of_json_is_told_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: str
) -> None:
    monkeypatch.setattr(jsonlines, "LONGEST_LINE", 200 if "200" in sentence else 10**6)
    with pytest.raises(MissingCorpus, match=f"{sentence} .*a.jsonl: mend or drop the line"):
        read(write(tmp_path / "a.jsonl", BROKEN[sentence]))


def test_a_line_before_a_broken_one_is_read_as_the_stream_comes_to_it(tmp_path: Path) -> None:
    found = file_documents(str(write(tmp_path / "a.jsonl", '{"text": "good"}\n{"tex')))
    assert next(found) == "good"
    with pytest.raises(MissingCorpus, match="in line 2 of"):
        next(found)


def test_what_is_not_there_or_holds_nothing_is_told_before_any_document_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for path in (tmp_path / "none", write(tmp_path / "a.txt", "")):
        with pytest.raises(MissingCorpus, match=f"must hold text, got nothing in {path}: name another"):
            file_documents(str(path))
    for name in ("not", "not#field", "a\0b"):
        with pytest.raises(MissingCorpus, match=r"must name a file or a folder that is there, got .*(not|b)"):
            file_documents(str(tmp_path / name))


PACKED = gzip.compress(b"text" * 999)


@pytest.mark.parametrize("told", [PACKED[:-9], b"no gzip", PACKED[:-8] + b"?" * 8])
def test_a_packed_file_that_is_broken_is_told(tmp_path: Path, told: bytes) -> None:
    with pytest.raises(MissingCorpus, match=r"must be readable, and .*a\.gz cannot be read: .*; mend"):
        read(write(tmp_path / "a.gz", told))


def test_a_file_or_a_folder_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "in" / "a.txt", "text")

    def refuse(place: str, *_: object, **__: object) -> Iterator[object]:
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(MissingCorpus, match=r"and .*in cannot be read: Permission denied; mend it"):
        read(tmp_path / "in")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(MissingCorpus, match=r"and .*a\.txt cannot be read: Permission denied; mend it"):
        read(path)
    with pytest.raises(MissingCorpus, match=r"cannot be read: File name too long; mend it"):
        file_documents("a" * 5000)
