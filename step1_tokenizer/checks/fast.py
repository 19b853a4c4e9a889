"""Probes of what makes a tokenizer fast: training (1.10) and encoding (1.11), their cost counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coursekit.probe import at_most, cases, check
from step1_tokenizer.checks.inputs import (
    CHARACTERS,
    draw_counts,
    draw_merges,
    draw_text,
    listed,
    outcome,
    paired,
    ranks_of,
    said,
    spell,
)


class Merger:
    """Merges words as `train_bpe_fast` asks for it, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []

    def __call__(self, word: str, pair: str, new: str) -> str:
        self.calls.append((new, pair, word))
        return word.replace(pair, new)

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        """What it was asked, sorted: in which order words are merged is the implementation's choice."""
        return sorted(self.calls)


def as_characters(counts: Mapping[tuple[int, ...], int]) -> dict[str, int]:
    """Return counts of words with each id as a character."""
    return {"".join(map(chr, word)): count for word, count in counts.items()}


@check("1.10")
def train_bpe_fast(m: Any, rng: Any) -> Any:
    def merges(count: int, **words: int) -> Any:
        return paired(m.train_bpe_fast(words, 256 + count, Merger()))

    yield "the pair that occurs most often", merges(1, abc=1, bc=1)
    yield "a word counts as often as it occurs", merges(1, ab=2, cd=5, ae=2, af=2)
    yield "of several, the smallest", merges(3, cd=3, ab=3, ac=3, ef=3)
    yield "pairs with the new token are counted", merges(3, abcd=9, ab=9, abc=9)
    yield "pairs that the merge broke count less", merges(3, abc=5, bcd=4, cde=3, ab=1)
    yield "overlaps: (a, a, a, a, a)", merges(4, aaaaa=3, ba=2, aaab=2)
    yield "the same pair twice in a word", merges(4, abab=2, abxab=3, ba=4, xa=2)
    yield "a new token beside a new token", merges(6, abab=3, ababab=2, ba=6, bac=4)
    yield "room for no merge: none", merges(0, abc=2)
    yield "when nothing is left, training stops", merges(10, abc=2, c=9)
    yield "no room for the 256 bytes is refused", outcome(lambda: m.train_bpe_fast({"ab": 1}, 255))
    words = as_characters(draw_counts(rng, "abcé", 60, 9))
    given, merger = dict(words), Merger()
    yield "many words, many ties", paired(m.train_bpe_fast(given, 256 + 60, merger))
    yield "the argument is left as it was", given
    yield "merge_word is called with words that hold the pair, as they are then", merger.asked
    yield at_most("and for no other", len(merger.calls), len(merger.calls))
    few = as_characters(draw_counts(rng, "ab", 9, 8))
    yield "until nothing is left, without a merge_word", paired(m.train_bpe_fast(few, 256 + 500))


@cases("1.10")
def small_fast_trainings(m: Any) -> Any:
    """The output is the merges, and the calls of merge_word."""
    for words, count in (
        ({"ab": 1}, 1),
        ({"ab": 1, "cd": 2}, 1),
        ({"cd": 1, "ab": 1}, 2),
        ({"abc": 2, "bc": 1}, 2),
        ({"abc": 1}, 2),
        ({"aaa": 1}, 2),
        ({"aaaa": 1}, 2),
        ({"abab": 1}, 2),
        ({"abab": 2, "cd": 3}, 1),
        ({"abc": 3, "bcd": 2, "cde": 2}, 3),
        ({"ab": 1}, 2),
        ({"ab": 1}, 0),
    ):
        merger = Merger()
        merges = paired(m.train_bpe_fast(dict(words), 256 + count, merger))
        calls = [f"merge_word{(word, pair, new)}" for new, pair, word in merger.asked]
        yield {"word_counts": str(words), "vocab_size": 256 + count}, [said(merges), *calls]


class Asked(Mapping[tuple[int, int], int]):
    """A mapping that counts how often it is asked; the same question twice in a row counts once."""

    def __init__(self, ranks: Mapping[tuple[int, int], int]) -> None:
        self.ranks = dict(ranks)
        self.times = 0
        self.last: Any = None

    def __getitem__(self, pair: tuple[int, int]) -> int:
        if pair != self.last:
            self.times += 1
            self.last = pair
        return self.ranks[pair]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self.times += len(self.ranks)
        return iter(self.ranks)

    def __len__(self) -> int:
        return len(self.ranks)


PROSE = "the things to the west, the things 人人 to  the\n east's é"
TOKENS = (" the", " things", "the", "é", b"\xe4\xba", " to", "'s")
# Merges of bytes that UTF-8 does not have: a vocabulary is large, and a word holds little of it.
UNUSED = {(first, second): 1000 for first in range(0xF5, 0x100) for second in range(256)}


MOVED = (*range(100, 256), *range(100))
LETTERS = "abcdefghijklmnop"


def every_pair(rng: Any) -> dict[tuple[int, int], int]:
    """Return ranks of all pairs of letters in any order: a word needs many different merges."""
    pairs = [(first, second) for first in LETTERS.encode() for second in LETTERS.encode()]
    return ranks_of([pairs[i] for i in rng.generator.permutation(len(pairs))])


@check("1.11")
def encode_fast(m: Any, rng: Any) -> Any:
    def encode(text: str, ranks: Any, cache: Any, *byte_ids: Any) -> Any:
        return listed(m.encode_fast(text, ranks, cache, *byte_ids))

    a, b, c, d = b"abcd"
    simple = ranks_of([(b, c), (a, b), (256, d)])
    yield "the pair learned first is merged first", encode("abc abcd bcabc", simple, {})
    left = ranks_of([(b, c), (a, 256)])
    yield "a token merges with the one to its left, too", encode("abc aabcbc", left, {})
    whole = ranks_of([(a, b), (c, d), (256, 257)])
    yield "two new tokens may merge", encode("abcd cdab abcdabcd", whole, {})
    yield "overlaps go from left to right", encode("aaaaa aaa", ranks_of([(a, a), (256, a)]), {})
    ranks = Asked(ranks_of(spell(*TOKENS)) | UNUSED)
    cache: dict[str, Any] = {}
    yield "a text in words", encode(PROSE, ranks, cache)
    ranks.times = 0
    yield "the same text again", encode(PROSE, ranks, cache)
    yield at_most("words from the cache ask nothing", ranks.times, 0)
    encode("the new east the new east", ranks, cache)
    yield at_most("a new word asks at most three times for each byte", ranks.times, 3 * len(" new east"))
    yield "every word is in the cache", sorted(cache)
    told = {"the": (7,), " to": [8, 9]}
    yield "what the cache says holds", encode("the to the west", ranks, told)
    yield "another cache knows nothing of the first", encode("the to the west", ranks, {})
    yield "other ranks, another cache", encode("the to the west", {}, {})
    turned = ranks_of(spell(*TOKENS, byte_ids=MOVED))
    yield "byte b has the id byte_ids[b]", encode(PROSE, turned, {}, MOVED)
    yield "no text", encode("", ranks, cache)
    yield "a long word", encode(draw_text(rng, "ab", 400), ranks_of(draw_merges(rng, "ab", 40)), {})
    long, asking = draw_text(rng, LETTERS, 400), Asked(every_pair(rng))
    yield "a long word of many letters", encode(long, asking, {})
    yield at_most("a long word asks at most three times for each byte", asking.times, 3 * len(long))
    few = ranks_of(draw_merges(rng, "abc", 8))
    yield "many words", encode(draw_text(rng, "abcabc \n", 300), few, {})
    yield "a text of everything", encode(draw_text(rng, CHARACTERS, 100), ranks_of(spell(*TOKENS)), {})


@cases("1.11")
def small_fast_encodings(m: Any) -> Any:
    """The output is the ids and the cache as it is then."""
    a, b, c, d = b"abcd"
    for text, merges, cache in (
        ("ab", [(a, b)], {}),
        ("a", [(a, b)], {"a": (7,)}),
        ("ab ab", [(a, b)], {}),
        ("abc", [(b, c), (a, b)], {}),
        ("abc", [(a, b), (256, c)], {}),
        ("abc", [(b, c), (a, 256)], {}),
        ("aaa", [(a, a)], {}),
        ("abcd", [(a, b), (c, d), (256, 257)], {}),
        ("é", [], {}),
        ("a,a", [], {}),
        ("ab ab", [(b, 32)], {}),
        ("abc", [(a, b), (b, c)], {}),
    ):
        inputs = {"text": text, "ranks": str(dict(zip(merges, range(256, 300)))), "cache": str(cache)}
        known: dict[str, Any] = dict(cache)
        ids = listed(m.encode_fast(text, ranks_of(merges), known))
        kept = {word: list(value) for word, value in sorted(known.items())}
        yield inputs, [said(ids), f"cache = {kept}"]
    yield {"text": "'a'", "byte_ids[97]": 197}, said(listed(m.encode_fast("a", {}, {}, MOVED)))
