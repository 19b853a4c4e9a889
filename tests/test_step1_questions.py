"""What the questions of step 1 say in numbers is what comes out when it is computed.

Texts come from the standard library of the Python that runs this, which differs from version to version, so
the questions round. Bounds here hold from Python 3.10 to 3.13, and leave room for the next.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from coursekit.registry import Choice, find_step
from step1_tokenizer import further_solution as fast
from step1_tokenizer import model_solution as reference
from step1_tokenizer.experiments import measure

QUESTIONS = {question.id: question for question in find_step("1").questions}


def right(name: str) -> Choice:
    """Return the right choice of a question."""
    (choice,) = [choice for choice in QUESTIONS[f"1.q-{name}"].choices if choice.right]
    return choice


def said(name: str) -> str:
    """Return everything that a question says."""
    question = QUESTIONS[f"1.q-{name}"]
    return " ".join([question.prompt, *(f"{c.text} {c.response}" for c in question.choices)])


def figure(name: str, pattern: str) -> float:
    """Return the one number of a question that stands at the group of a pattern."""
    (found,) = re.findall(pattern, said(name))
    return float(found.replace(",", ""))


def pieces(tokenizer: reference.Tokenizer, text: str) -> list[str]:
    """Return the tokens of a text as text."""
    return [tokenizer.decode([token]) for token in tokenizer.encode_ordinary(text)]


@pytest.fixture(scope="module")
def library() -> tuple[str, ...]:
    """The megabyte of the standard library that the chapter trains on."""
    return measure.python_texts()


@pytest.fixture(scope="module")
def pairs(library: tuple[str, ...]) -> Counter[tuple[int, int]]:
    """How often each pair of bytes stands in it."""
    return Counter(reference.count_pairs(reference.count_words(library)))


def test_one_word_in_eleven_of_other_files_is_not_known(library: tuple[str, ...]) -> None:
    known, unseen = measure.unseen_share(library, measure.python_texts(300_000, held_out=True))
    assert known == pytest.approx(figure("words", r"about ([\d,]+) distinct"), rel=0.15)
    assert 100 * unseen == pytest.approx(figure("words", r"About (\d+)\."), abs=0.7)
    assert 1 - unseen == pytest.approx(0.9, abs=0.02), "nine words in ten"
    assert "nine words in ten" in said("words")


def test_all_characters_of_unicode_are_forty_million_parameters() -> None:
    assigned = sum(unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs") for c in range(sys.maxunicode + 1))
    told = figure("characters", r"about ([\d,]+) are assigned")
    assert told == pytest.approx(assigned, rel=0.12), "this Python may know an earlier version of Unicode"
    assert told * 256 / 1e6 == pytest.approx(figure("characters", r"About (\d+) million"), abs=0.5)


def test_the_table_s_chinese_sentence_stays_bytes() -> None:
    text = measure.SAMPLES["Chinese"]
    told = re.findall(r"has (\d+) characters, (\d+) bytes and (\d+) tokens", said("bytes"))
    tokens = measure.trained(1024).encode_ordinary(text)
    assert told == [(str(len(text)), str(len(text.encode())), str(len(tokens)))]


def test_the_chinese_sentence_costs_57_tokens_where_the_english_one_costs_16() -> None:
    english, chinese = (len(measure.SAMPLES[name].encode()) for name in ("English", "Chinese"))
    told = f"{english} bytes in English and {chinese} in Chinese: about {english / 4:.0f} tokens"
    assert f"{told} against {chinese}." in right("chinese").response
    assert [len(word.encode()) for word in ("Human", "人")] == [5, 3]


def test_the_euro_is_three_bytes_and_two_of_them_are_one_replacement_character() -> None:
    data = reference.text_to_bytes("€")
    assert f"Right: {', '.join(map(str, data))}." in right("euro").response
    assert right("euro").text.startswith(f"{len(data)},")
    assert reference.bytes_to_text(data[:2]) == "\ufffd"
    assert right("cut").text == "The replacement character U+FFFD, once."


def test_a_lone_surrogate_and_its_replacement_are_the_same_bytes() -> None:
    assert reference.text_to_bytes("\ud800") == reference.text_to_bytes("\ufffd")
    assert right("surrogate").text.startswith("The text that holds it")


def test_counts_weigh_and_places_overlap() -> None:
    assert reference.count_pairs({tuple(b"the"): 500})[ord("t"), ord("h")] == int(right("weight").text[3:-1])
    (count,) = reference.count_pairs({tuple(b"aaaa"): 10}).values()
    assert right("aaa").text.startswith(f"{count}:")


def test_two_spaces_are_by_far_the_most_frequent_pair(pairs: Counter[tuple[int, int]]) -> None:
    (first, count), (second, fewer), (third, _) = pairs.most_common(3)
    assert (bytes(first), bytes(second), bytes(third)) == (b"  ", b"\n ", b"se")
    assert count == pytest.approx(figure("frequent", r"there about ([\d,]+) times"), rel=0.1)
    assert fewer == pytest.approx(figure("frequent", r"second, with about ([\d,]+)\."), rel=0.1)
    assert right("frequent").text == "(space, space)"
    assert "third most frequent pair of bytes" in said("first-merge")


def test_four_spaces_come_second_and_three_third() -> None:
    vocab = measure.trained(1024).vocab
    assert vocab[256:259] == [b" " * 2, b" " * 4, b" " * 3]
    assert right("first-merge").text.startswith("Four spaces")
    assert "Three spaces come third" in said("first-merge")


def test_merging_goes_from_left_to_right_without_overlap() -> None:
    merged = reference.merge_pair(tuple(b"aaaaa"), (97, 97), 256)
    assert right("overlap").text == "".join("X" if i == 256 else chr(i) for i in merged)


def test_a_merge_shortens_the_text_by_the_places_it_has() -> None:
    text = tuple(b"ab" * 1000)
    assert right("shorter").text == f"By {len(text) - len(reference.merge_pair(text, (97, 98), 256)):,}."


def test_the_tie_and_the_end_of_training_come_out_as_told() -> None:
    words = {tuple(b"ten"): 4, tuple(b"net"): 3, tuple(b"tent"): 2}
    ((e, n),) = reference.train_bpe(words, 257)
    count = reference.count_pairs(words)[e, n]
    assert right("tie").text == f"({chr(e)}, {chr(n)}): it counts {count}."
    assert reference.count_pairs(words)[ord("n"), ord("t")] == figure("tie", r"It counts (\d)\. Ties")
    assert right("stop").text == str(256 + len(reference.train_bpe({tuple(b"abab"): 1}, 300)))


def test_ends_of_words_with_their_space_are_the_most_frequent_pairs_of_english() -> None:
    chapter = find_step("1").root / "docs" / "tutorials" / "step1_tokenizer.md"
    prose = re.sub(r"^```.*?^```", "", chapter.read_text(encoding="utf-8"), flags=re.S | re.M)
    letters = " ".join(re.findall(r"[a-z]+", prose.lower()))
    assert Counter(letters).most_common(1)[0][0] == " ", "the most frequent character of all"
    pairs = [pair for pair, _ in Counter(map("".join, pairwise(letters))).most_common(4)]
    assert {"e ", "s "} <= set(pairs)
    assert right("cross").text.startswith('"e ", "s "')


def test_a_space_of_its_own_would_be_nearly_every_second_token() -> None:
    words = reference.split_words(measure.SAMPLES["English"])
    spaces = sum(word.startswith(" ") for word in words)
    assert (len(words) + spaces) / len(words) == pytest.approx(2, abs=0.2)
    assert reference.split_words(" x1") == [" x", "1"]
    assert right("digits").text == "No: no merge reaches across a cut."


def test_leftmost_merging_spells_abcd_in_another_way() -> None:
    merges = [(ord("b"), ord("c")), (ord("a"), ord("b")), (256, ord("d"))]
    ranks = {pair: 256 + i for i, pair in enumerate(merges)}
    word = tuple(b"abcd")
    while places := [pair for pair in pairwise(word) if pair in ranks]:
        word = reference.merge_pair(word, places[0], ranks[places[0]])
    own = reference.Tokenizer(merges)
    assert right("leftmost").text == " | ".join(own.vocab[i].decode() for i in word)
    assert f'learned "abcd" as {" | ".join(pieces(own, "abcd"))}' in right("leftmost").response
    swapped = reference.Tokenizer([merges[1], merges[0]])
    assert pieces(swapped, "abc") != pieces(reference.Tokenizer(merges[:2]), "abc")
    assert right("order").text == "Not always, where pairs overlap."


def test_a_line_break_with_its_indentation_is_a_token_that_lines_would_tear() -> None:
    tokenizer = measure.trained(1024)
    assert tokenizer.vocab.index(b"\n    ") < 256 + 10, "among the first tokens"
    lines = "if x:\n    pass\n".splitlines(keepends=True)
    joined = [token for line in lines for token in tokenizer.encode_ordinary(line)]
    whole = tokenizer.encode_ordinary("".join(lines))
    assert tokenizer.decode(joined) == tokenizer.decode(whole)
    assert joined != whole
    assert right("one-by-one").text.startswith("No: white space")
    white = max((token for token in tokenizer.vocab if token.isspace()), key=len)
    assert white.startswith(b"\n" + b" " * 24), "a line break with dozens of spaces behind it"


def test_what_looks_special_is_cut_into_three_words() -> None:
    assert reference.split_words("<|endoftext|>") == ["<|", "endoftext", "|>"]
    assert "cuts it into <|, endoftext and |>" in said("merge-special")
    own = reference.Tokenizer([], ["<|a|>", "<|a|>b"])
    assert own.encode("<|a|>b", set(own.special_tokens)) == [own.special_tokens["<|a|>b"]]
    assert right("prefix").text == "The one token <|a|>b."


def test_doubling_the_vocabulary_shortens_texts_by_a_seventh() -> None:
    texts = measure.python_texts(300_000, held_out=True)
    before, after = (measure.bytes_per_token(measure.trained(size), texts) for size in (1024, 2048))
    assert before == pytest.approx(figure("size", r"from about ([\d.]+)"), abs=0.1)
    assert after == pytest.approx(figure("size", r"to about ([\d.]+) bytes"), abs=0.1)
    assert 1 - before / after == pytest.approx(1 / 7, abs=0.02)
    assert right("size").text == "By about a seventh."


def test_numbers_that_differ_by_one_are_cut_at_different_places() -> None:
    tokens = measure.pieces(measure.trained(8192), "12345 + 12346 = 24691")
    one, other = (part.split("|") for part in "|".join(tokens).replace(" ", "").split("|+|"))
    assert ["".join(one), "".join(other)[:5]] == ["12345", "12346"]
    assert [len(piece) for piece in one] != [len(piece) for piece in other[: len(one)]]
    assert "12345 and 12346 differ by one and are cut at different places" in said("arithmetic")


def test_streaming_says_at_once_what_cannot_become_a_character() -> None:
    vocab = reference.Tokenizer([]).vocab
    assert list(fast.decode_stream([0xE8, ord("A"), 0xE8, 0x8C], vocab)) == ["\ufffdA", "\ufffd"]
    assert right("keep-back").text == "U+FFFD and A."
    assert len(measure.trained(1024).encode_ordinary("茶")) == 3
    assert "茶 is three tokens here" in right("half").response


def test_a_merge_rewrites_one_distinct_word_in_a_hundred() -> None:
    words = reference.count_words(measure.python_texts(200_000))
    packed = {"".join(map(chr, word)): count for word, count in words.items()}
    touched: Counter[str] = Counter()

    def counted(word: str, pair: str, new: str) -> str:
        touched[new] += 1
        return word.replace(pair, new)

    fast.train_bpe_fast(packed, 256 + 200, counted)
    assert touched.total() / (200 * len(packed)) == pytest.approx(0.01, rel=0.25)
    assert touched.total() == pytest.approx(figure("touched", r"rewrite about ([\d,]+) words"), rel=0.25)
    assert 200 * len(packed) == pytest.approx(1e6, rel=0.25), "about a million looks"
    assert 0.06 < max(touched.values()) / len(packed) < 0.09, "seven or eight in a hundred"


def test_a_cache_of_words_saves_all_but_the_first_meeting(library: tuple[str, ...]) -> None:
    words, distinct = measure.repeated(library)
    assert words == pytest.approx(figure("cache", r"about ([\d,]+) words"), rel=0.1)
    assert distinct == pytest.approx(figure("cache", r"about ([\d,]+) of them distinct"), rel=0.15)
    assert 100 * (1 - distinct / words) == pytest.approx(figure("cache", r"About (\d+) %"), abs=0.7)
    assert words / distinct == pytest.approx(figure("cache", r"met about (\d+) times"), rel=0.15)


class Asked(dict[tuple[int, int], int]):
    """Ranks that count how often they are asked."""

    def __init__(self, ranks: Mapping[tuple[int, int], int]) -> None:
        super().__init__(ranks)
        self.times = 0

    def __contains__(self, key: object) -> bool:
        self.times += 1
        return super().__contains__(key)

    def __getitem__(self, key: tuple[int, int]) -> int:
        self.times += 1
        return super().__getitem__(key)

    def get(self, key: tuple[int, int], default: Any = None) -> Any:
        self.times += 1
        return super().get(key, default)


def test_the_plain_way_asks_a_hundred_times_as_often_for_a_long_word() -> None:
    ranks = measure.trained(1024).ranks

    def times(length: int) -> tuple[int, int]:
        word: Sequence[int] = Random(length).choices(range(ord("a"), ord("z") + 1), k=length)
        plain, quick = Asked(ranks), Asked(ranks)
        assert list(reference.encode_word(tuple(word), plain)) == fast.encode_word_fast(word, quick)
        return plain.times, quick.times

    (half, _), (plain, quick) = times(1000), times(2000)
    assert 2 < plain / half < 4.5
    assert plain / quick == pytest.approx(100, rel=0.3)
    assert right("quadratic").text == "Up to four times as long."
