"""The tokenizer of step 1 is everybody's: merges, ids and files equal those of the libraries, on any text."""

from __future__ import annotations

import functools
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiktoken_ext.openai_public import r50k_pat_str
from tokenizers import Regex, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Library

from coursekit.corpora.python import python_library
from coursekit.registry import COURSE_ROOT, load_step
from step1_tokenizer import further_solution as fast
from step1_tokenizer import model_solution as solution
from step1_tokenizer.experiments.measure import python_texts, trained

STEP1 = COURSE_ROOT / "step1_tokenizer"
SIZES = (300, 1024, 4096)
EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(EXAMPLES, max_examples=10_000)
CHARACTERS = st.characters(exclude_categories=["Cs"])
USUAL = st.sampled_from("aeé the'stllve 0½² \n\t\r\u00a0.,-_()€人👍\u200d\u0301\x1c\x85\u3000\x00")
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=40),
    st.text(USUAL, max_size=60),
    st.lists(st.tuples(st.one_of(CHARACTERS, USUAL), st.integers(1, 40)), max_size=8).map(
        lambda runs: "".join(character * count for character, count in runs)
    ),
)
COUNTS = st.dictionaries(
    st.text("abcé", min_size=1, max_size=9).map(lambda text: tuple(text.encode())),
    st.integers(1, 4),
    max_size=25,
)


@functools.cache
def in_library(size: int) -> Library:
    """Return the trained tokenizer of a size, opened by `tokenizers` from its file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        trained(size, 200_000).save(folder)
        return Library.from_file(f"{folder}/tokenizer.json")


@functools.cache
def in_tiktoken(size: int) -> tiktoken.Encoding:
    """Return the ranks of the trained tokenizer of a size in `tiktoken`."""
    ranks = {data: i for i, data in enumerate(trained(size, 200_000).vocab)}
    return tiktoken.Encoding("course", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})


def ids_agree(text: str) -> None:
    for size in SIZES:
        own = trained(size, 200_000)
        ids = own.encode_ordinary(text)
        assert ids == fast.encode_fast(text, own.ranks, {})
        assert ids == in_library(size).encode(text).ids
        assert ids == in_tiktoken(size).encode_ordinary(text)
        assert own.decode(ids) == text
        assert "".join(fast.decode_stream(ids, own.vocab)) == text


@EXAMPLES
@given(TEXTS)
def test_ids_are_those_of_tokenizers_and_tiktoken_and_every_text_comes_back(text: str) -> None:
    ids_agree(text)


@pytest.mark.slow
@MANY
@given(TEXTS)
def test_ids_agree_on_ten_thousand_texts(text: str) -> None:
    ids_agree(text)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_ids_agree_on_the_whole_standard_library(size: int) -> None:
    own = trained(size, 200_000)
    cache: dict[str, Any] = {}
    corpus = python_library()
    for file in (*corpus.train, *corpus.held_out):
        text = file.data.decode("utf-8")
        ids = fast.encode_fast(text, own.ranks, cache)
        assert ids == in_tiktoken(size).encode_ordinary(text), file
        assert ids == in_library(size).encode(text).ids, file
        assert own.decode(ids) == text, file


@pytest.mark.parametrize(
    ("own", "theirs"),
    [(solution.LETTERS, r"\P{L}"), (solution.NUMBERS, r"\P{N}"), (f"[{solution.SPACE}]", r"\S")],
    ids=["letters", "numbers", "white space"],
)
def test_every_code_point_is_of_the_class_that_the_library_has_it_in(own: str, theirs: str) -> None:
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    known = pre_tokenizers.Split(Regex(theirs), "removed").pre_tokenize_str(every)
    assert "".join(re.findall(own, every)) == "".join(piece for piece, _ in known)


def test_what_is_in_no_class_is_in_the_rest() -> None:
    every = "".join(map(chr, range(0x110000)))
    runs = re.findall(
        f"({solution.LETTERS})|({solution.NUMBERS})|({solution.OTHERS})|[{solution.SPACE}]+", every
    )
    others = "".join(run[2] for run in runs)
    kinds = f"{solution.LETTERS}|{solution.NUMBERS}|[{solution.SPACE}]"
    assert others == re.sub(kinds, "", every)


@EXAMPLES
@given(st.lists(TEXTS, max_size=4), st.integers(0, 40))
def test_merges_are_those_of_the_library_s_trainer(texts: list[str], count: int) -> None:
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + count, show_progress=False, initial_alphabet=alphabet)
    library.train_from_iterator(texts, trainer)
    vocab, merges = library.get_vocab(), json.loads(library.to_str())["model"]["merges"]
    order = [vocab[character] for character in solution.byte_characters()]
    counts = {tuple(order[byte] for byte in word): n for word, n in solution.count_words(texts).items()}
    own = solution.train_bpe(counts, 256 + count)
    assert own == [(vocab[first], vocab[second]) for first, second in merges]


@EXAMPLES
@given(COUNTS, st.integers(256, 320))
def test_fast_training_learns_the_merges_of_plain_training(counts: dict[Any, int], size: int) -> None:
    packed = {"".join(map(chr, word)): count for word, count in counts.items()}
    assert fast.train_bpe_fast(packed, size) == solution.train_bpe(counts, size)


@EXAMPLES
@given(COUNTS, st.text("abcé", max_size=60))
def test_a_word_has_the_same_ids_fast_and_plain(counts: dict[Any, int], text: str) -> None:
    ranks = solution.Tokenizer(solution.train_bpe(counts, 300)).ranks
    word = tuple(text.encode())
    assert fast.encode_word_fast(word, ranks) == list(solution.encode_word(word, ranks))


@EXAMPLES
@given(st.binary(max_size=40), st.lists(st.integers(0, 5), max_size=40))
def test_a_stream_of_any_bytes_is_the_text_of_all_of_them(data: bytes, cuts: list[int]) -> None:
    pieces = [data[sum(cuts[:i]) : sum(cuts[: i + 1])] for i in range(len(cuts))] + [data[sum(cuts) :]]
    assert "".join(fast.decode_stream(range(len(pieces)), pieces)) == solution.bytes_to_text(data)


@EXAMPLES
@given(st.text(st.characters(), max_size=40))
def test_no_text_at_all_makes_encoding_raise(text: str) -> None:
    own = trained(300, 200_000)
    expected = re.sub("[\ud800-\udfff]", "\ufffd", text)
    assert own.decode(own.encode_ordinary(text)) == expected


@pytest.mark.parametrize("text", ["", "a", "\x00" * 9, "é", " ", "\n"])
def test_the_smallest_texts_do_what_others_do(text: str) -> None:
    ids_agree(text)


def test_a_hundred_thousand_times_one_letter_is_encoded_and_trained_on() -> None:
    text = "a" * 100_000
    own = solution.Tokenizer(fast.train_bpe_fast({text: 1}, 256 + 30))
    assert own.vocab[256 + 15] == b"a" * 2**16
    assert own.decode(fast.encode_fast(text, own.ranks, {})) == text
    assert fast.encode_fast(text[:9999], own.ranks, {}) == in_fresh_tiktoken(own).encode_ordinary(text[:9999])


def in_fresh_tiktoken(own: Any) -> tiktoken.Encoding:
    ranks = {data: i for i, data in enumerate(own.vocab)}
    return tiktoken.Encoding("fresh", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: solution.train_bpe({(97, 98): 1}, 255), "vocab_size must be at least 256, .* got 255"),
        (lambda: fast.train_bpe_fast({"ab": 1}, 0), "vocab_size must be at least 256, .* got 0"),
        (lambda: solution.Tokenizer.train(["ab"], 257, ["<a>", "<b>"]), r"256 \+ 2 special tokens, got 257"),
        (lambda: solution.Tokenizer([], ["<a>", "<a>"]), "different texts and not empty, got '<a>'"),
        (lambda: solution.Tokenizer([], [""]), "not empty, got ''"),
        (lambda: solution.Tokenizer([(97, 300)]), "two tokens that are there, got 97 and 300"),
        (lambda: solution.Tokenizer([(97, 98), (97, 98)]), "merged once, got 97 and 98 again"),
        (lambda: solution.Tokenizer([], [], range(255)), "each of 0 to 255 once"),
        (lambda: solution.Tokenizer([]).decode([256]), "from 0 to 255, got 256"),
        (lambda: solution.Tokenizer([]).decode([-1]), "from 0 to 255, got -1"),
        (lambda: solution.Tokenizer([], ["<a>"]).encode("x<a>"), "special token '<a>' unless it is allowed"),
    ],
)
def test_what_cannot_be_is_refused_with_rule_and_value(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_vocabulary_larger_than_the_text_can_fill_is_as_large_as_it_can_be() -> None:
    own = solution.Tokenizer.train(["abc abc"], 10_000, ["<e>"])
    assert own.vocab[256:] == [b"ab", b"abc", b" abc", b"<e>"]


SPECIAL = ["<|end|>", "<|end|>b", "(x)"]


def test_a_saved_tokenizer_is_the_same_when_it_is_loaded_and_in_other_hands(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    own = solution.Tokenizer.train(python_texts(50_000), 400, SPECIAL)
    own.save(tmp_path)
    again = solution.Tokenizer.load(tmp_path)
    assert (again.merges, again.special_tokens, again.vocab) == (own.merges, own.special_tokens, own.vocab)
    text = "def end(x):<|end|>b (x) é<|end|>\n"
    ids = own.encode(text, SPECIAL)
    assert ids == Library.from_file(str(tmp_path / "tokenizer.json")).encode(text).ids
    assert ids == AutoTokenizer.from_pretrained(str(tmp_path))(text)["input_ids"]


def test_a_vocabulary_with_other_numbers_for_bytes_is_loaded_as_gpt_2_s_files_have_it(tmp_path: Path) -> None:
    shown = solution.byte_characters()
    order = sorted(range(256), key=lambda byte: shown[byte])
    vocab = {shown[byte]: i for i, byte in enumerate(order)} | {"ab": 256, "abc": 257, "<|endoftext|>": 258}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\nab c\n", encoding="utf-8")
    own = solution.Tokenizer.load(tmp_path)
    assert own.encode("abc a<|endoftext|>", ["<|endoftext|>"]) == [257, vocab["Ġ"], vocab["a"], 258]
    own.save(tmp_path)
    assert solution.Tokenizer.load(tmp_path).byte_ids == own.byte_ids != tuple(range(256))


def broken(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Return what writes a saved file again with a change in its content."""

    def write(path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "must be JSON in UTF-8"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "must be JSON in UTF-8"),
        (lambda path: path.write_text("[1]"), "must hold a BPE model"),
        (broken(lambda c: c["model"].update(type="WordPiece")), "must hold a BPE model"),
        (broken(lambda c: c["pre_tokenizer"].update(type="Whitespace")), "must cut words as GPT-2 does"),
        (broken(lambda c: c["pre_tokenizer"].update(add_prefix_space=True)), "must cut words as GPT-2 does"),
        (broken(lambda c: c.update(normalizer={"type": "NFC"})), "must not change the text first"),
        (broken(lambda c: c["model"]["vocab"].pop("a")), "each of the 256 bytes, 1 are missing"),
        (broken(lambda c: c["model"]["merges"].append(["a", "nothing"])), "must join two tokens to a third"),
        (broken(lambda c: c["model"]["merges"].reverse()), "numbered as they were learned"),
        (broken(lambda c: c["added_tokens"][0].update(id=9000)), "ids after all others"),
        (lambda path: path.unlink(), "must hold tokenizer.json, or vocab.json and merges.txt"),
    ],
)
def test_a_broken_or_foreign_file_is_refused_in_a_sentence(
    tmp_path: Path, damage: Callable[[Path], Any], sentence: str
) -> None:
    solution.Tokenizer.train(["banana bandana"], 262, ["<e>"]).save(tmp_path)
    damage(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match=sentence):
        solution.Tokenizer.load(tmp_path)


def test_a_save_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: Any) -> None:
    solution.Tokenizer([]).save(tmp_path)
    before = (tmp_path / "tokenizer.json").read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        solution.Tokenizer([(97, 98)]).save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer.json", "tokenizer_config.json"]


def test_two_tokens_of_equal_bytes_are_not_saved(tmp_path: Path) -> None:
    twice = solution.Tokenizer([(97, 98), (98, 99), (256, 99), (97, 257)])
    with pytest.raises(ValueError, match="bytes of its own to be saved, got 'abc' twice"):
        twice.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_judging_step_1_imports_no_torch(tmp_path: Path) -> None:
    from coursekit.judging.judge import Judge
    from coursekit.judging.verdict import Status
    from coursekit.source import exercise_text
    from coursekit.workers.pool import Pool, preload_for

    step = load_step(STEP1)
    text = exercise_text((STEP1 / "model_solution.py").read_text(encoding="utf-8"), step, "model")
    asked = '    import sys\n\n    assert "torch" not in sys.modules\n'
    text = text.replace("    # 1. Start with no pair counted.\n", asked)
    assert asked in text
    path = tmp_path / "model_exercise.py"
    path.write_text(text, encoding="utf-8")
    item = next(item for item in step.items if item.id == "1.2")
    with Pool(preload_for(step)) as pool:
        (verdict,) = Judge(pool=pool).report(step, [item], path).verdicts
    assert verdict.status is Status.PASSED, verdict


def test_merge_word_is_asked_for_few_words() -> None:
    rng = random.Random(0)
    words = {"".join(rng.choices("abcdefgh", k=rng.randint(2, 9))): 1 for _ in range(2000)}
    calls = []

    def counting(word: str, pair: str, new: str) -> str:
        calls.append(pair in word)
        return word.replace(pair, new)

    assert len(fast.train_bpe_fast(words, 256 + 200, counting)) == 200
    assert all(calls)
    assert len(calls) < 200 * len(words) / 20


@pytest.mark.slow
def test_every_mistake_is_refused_and_named_and_every_variant_accepted() -> None:
    from coursekit.dev.audit import audit

    found = audit(load_step(STEP1), seeds=2, threads=(1,), processes=1)
    assert found.is_clean, [(row.id, row.slipped) for row in found.rows if row.slipped]
    total = found.to_json()["total"]
    assert total["rejected"] == total["named"] == total["mistakes"] >= 33
    assert total["accepted"] == total["variants"] >= 22
