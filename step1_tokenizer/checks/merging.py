"""Probes of training: counting pairs (1.2), merging a pair (1.3), and the loop of both (1.4)."""

from __future__ import annotations

from typing import Any

from coursekit.probe import cases, check
from step1_tokenizer.checks.inputs import draw_counts, draw_word, outcome, paired, said


def word(text: str) -> tuple[int, ...]:
    """Return a word as the tuple of its bytes."""
    return tuple(text.encode())


def counted(**counts: int) -> dict[tuple[int, ...], int]:
    """Return counts of words under the words' bytes."""
    return {word(text): count for text, count in counts.items()}


@check("1.2")
def count_pairs(m: Any, rng: Any) -> Any:
    yield "a word that occurs once: each pair of neighbors", m.count_pairs(counted(abc=1))
    yield "a word that occurs three times counts three times", m.count_pairs(counted(abc=3))
    yield "a pair counts at every place of a word", m.count_pairs(counted(abab=1))
    yield "at every place, every time that the word occurs", m.count_pairs(counted(ababab=5))
    yield "(a, a) stands twice in (a, a, a)", m.count_pairs(counted(aaa=1, aaaaa=2))
    yield "several words with a pair in common", m.count_pairs(counted(ab=2, cab=3, abd=1))
    yield "no pair reaches from one word to the next", m.count_pairs(counted(ab=1, cd=1, ef=1))
    yield "(a, b) is not (b, a)", m.count_pairs(counted(ab=1, ba=4))
    yield "a word of one id holds no pair", m.count_pairs(counted(a=7, b=2))
    yield "no words, no pairs", m.count_pairs({})
    yield "ids of merged tokens are ids like others", m.count_pairs({(256, 97, 1000, 256, 97): 2})
    counts = draw_counts(rng, "abé", 20, 8)
    given = dict(counts)
    yield "many words", m.count_pairs(given)
    yield "the argument is left as it was", given


@cases("1.2")
def small_counts(m: Any) -> Any:
    for counts in (
        {(1, 2): 1},
        {(1, 2): 3},
        {(1, 2, 3): 1},
        {(1, 2, 1, 2): 1},
        {(1, 1, 1): 1},
        {(1, 2): 1, (3, 4): 1},
        {(1, 2): 1, (1, 2, 3): 2},
        {(2, 1): 1},
        {(1,): 1},
    ):
        yield {"word_counts": said(counts)}, said(m.count_pairs(dict(counts)))


@check("1.3")
def merge_pair(m: Any, rng: Any) -> Any:
    yield "the pair becomes the new id, as a tuple", m.merge_pair((5, 6), (5, 6), 300)
    yield "what stands around it stays", m.merge_pair((4, 5, 6, 7), (5, 6), 300)
    yield "every occurrence becomes the new id", m.merge_pair((5, 6, 1, 5, 6, 5, 6, 2), (5, 6), 301)
    yield "a pair that is not there changes nothing", m.merge_pair((5, 7, 6, 6, 5), (5, 6), 300)
    yield "half a pair at the end stays", m.merge_pair((5, 6, 5), (5, 6), 300)
    yield "in (a, a, a) the first two become one", m.merge_pair((5, 5, 5), (5, 5), 300)
    yield "in (a, a, a, a) there are two pairs", m.merge_pair((5, 5, 5, 5), (5, 5), 300)
    yield "in (a, a, a, b, a, a, a)", m.merge_pair((5, 5, 5, 6, 5, 5, 5), (5, 5), 300)
    yield "(b, a) is not the pair (a, b)", m.merge_pair((6, 5, 6, 5, 5), (5, 6), 300)
    yield "15, 6 does not hold the pair 5, 6", m.merge_pair((15, 6, 5, 6, 5, 61), (5, 6), 300)
    yield "the new id is not merged again", m.merge_pair((5, 6, 6, 6), (5, 6), 5)
    yield "a word of one id, a word of none", [m.merge_pair((5,), (5, 6), 300), m.merge_pair((), (5, 6), 300)]
    long = draw_word(rng, "ab", 40)
    yield "a long word", [m.merge_pair(long, (97, other), 256) for other in (97, 98)]


@cases("1.3")
def small_merges(m: Any) -> Any:
    for ids, pair, *other in (
        ((1, 2), (1, 2)),
        ((3, 1, 2), (1, 2)),
        ((1, 2, 3), (1, 2)),
        ((1, 2, 1, 2), (1, 2)),
        ((1, 1, 1), (1, 1)),
        ((1, 1, 1, 1), (1, 1)),
        ((2, 1), (1, 2)),
        ((1, 2, 1), (1, 2)),
        ((11, 2), (1, 2)),
        ((1, 3, 2), (1, 2)),
        ((1,), (1, 2)),
        ((1, 2, 2), (1, 2), 1),
    ):
        new_id = other[0] if other else 256
        yield {"ids": ids, "pair": pair, "new_id": new_id}, said(m.merge_pair(ids, pair, new_id))


@check("1.4")
def train(m: Any, rng: Any) -> Any:
    def merges(counts: dict[tuple[int, ...], int], count: int) -> Any:
        return paired(m.train_bpe(counts, 256 + count))

    yield "one merge: the pair that occurs most often", merges(counted(abc=1, bc=1), 1)
    yield "a word counts as often as it occurs", merges(counted(ab=2, cd=5, ae=2, af=2), 1)
    yield "room for no merge: none", merges(counted(abc=2), 0)
    yield "a merge makes token 256, and may be merged on", merges(counted(abcd=9, ab=9, abc=9), 3)
    yield "counts change with every merge", merges(counted(abc=5, bcd=4, ab=1, cd=2), 2)
    yield "of several, the smallest pair of ids", merges(counted(cd=3, ab=3, ac=3, ef=3), 3)
    yield "smallest by id, not by the bytes behind it", merges(counted(aax=3, bc=3, aa=4), 3)
    yield "overlaps: (a, a, a, a, a)", merges(counted(aaaaa=3, ba=2), 3)
    yield "no token reaches from one word to the next", merges(counted(ab=3, ca=3, cb=3), 4)
    yield "a pair that occurs once is a pair", merges(counted(abcd=1), 3)
    yield "when nothing is left, training stops", merges(counted(ab=2, c=9), 10)
    yield "no words, no merges", merges({}, 5)
    yield "no room for the 256 bytes is refused", outcome(lambda: m.train_bpe(counted(ab=1), 255))
    counts = draw_counts(rng, "abcé", 40, 9)
    given = dict(counts)
    yield "many words, many ties", merges(given, 30)
    yield "the argument is left as it was", given
    yield "until nothing is left", merges(draw_counts(rng, "ab", 9, 7), 500)


@cases("1.4")
def small_trainings(m: Any) -> Any:
    for text, size in (
        ("ab", 257),
        ("ab", 256),
        ("ab", 258),
        ("ab cd cd", 257),
        ("cd ab", 257),
        ("cd ab cd ab", 258),
        ("abc", 258),
        ("abc abc", 258),
        ("aax aax bc bc aa", 258),
        ("ab ca ca", 257),
        ("aaaa", 258),
        ("bc ad", 257),
        ("ab ab", 258),
        ("ab cd ef", 257),
        ("abc abc abc de de", 258),
    ):
        words = text.split()
        counts = {word(one): words.count(one) for one in dict.fromkeys(words)}
        inputs = {"word_counts": f"of the text {text!r}", "vocab_size": size}
        yield inputs, said(paired(m.train_bpe(counts, size)))
