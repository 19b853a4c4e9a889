"""Probes of the whole tokenizer: it learns the library's merges (1.merges), it is opened everywhere
(1.everywhere), and it loses nothing (1.roundtrip).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursekit.probe import check, reference
from step1_tokenizer.checks.inputs import (
    CHARACTERS,
    draw_text,
    draw_unicode,
    draw_word,
    listed,
    paired,
    spell,
)
from step1_tokenizer.checks.library import byte_order, library, unchanged

PROSE = """Once there was a fox who couldn't count. "One, two, 12," said the fox; it's 3 o'clock, we'll see.
    def count(self, values):  # the fox's own
        return {value: values.count(value) for value in values if value != 10**3}\r
naïve café €5 – 人民人民 привет, мир 👩\u200d👧 👍🏽 x²½ \u00a0end\t\tof the line   """


@reference("1.merges")
def merges_of_the_library() -> Any:
    """Return the trainer of `tokenizers`."""
    return library()


@check("1.merges")
def learns_the_same_merges(m: Any, rng: Any) -> Any:
    order = byte_order()

    def merges(texts: Sequence[str], count: int) -> Any:
        # The library numbers the bytes in another order, and ties go by these numbers.
        counts = {tuple(order[byte] for byte in w): n for w, n in m.count_words(texts).items()}
        return paired(m.train_bpe(counts, 256 + count))

    yield "the merges of a text in many languages", merges([PROSE] * 3, 150)
    ties = [draw_text(rng, "abcd  ", 300)]
    yield "the merges of a text full of ties", merges(ties, 60)
    runs = ["".join(chr(97 + rng.integer(0, 2)) * rng.integer(1, 12) for _ in range(60))]
    yield "the merges of long runs of a letter", merges(runs, 40)
    yield "the merges of texts of all kinds", merges([draw_text(rng, CHARACTERS, 400), PROSE], 100)
    yield "as many merges as a short text can fill", merges(["hello hello, help"], 1000)


SPECIAL = ("<|end|>", "<|user|>")


@reference("1.everywhere")
def the_library() -> Any:
    """Return `tokenizers` with the same merges."""
    return library()


@check("1.everywhere")
def opens_everywhere(m: Any, rng: Any) -> Any:
    tokens = (
        " the",
        " count",
        "value",
        "é",
        b"\xe4\xba",
        "人",
        "   ",
        "'s",
        " fox",
        "12",
        b"a\xf0\x9f",
        "ing",
        "yz",
        "xy",
    )
    merges = [*spell(*tokens), *new_pairs(rng, 256 + len(spell(*tokens)))]
    own = m.Tokenizer(merges, SPECIAL)
    texts = [
        PROSE,
        "<|end|> the<|user|> xyz",
        draw_text(rng, CHARACTERS, 300),
        draw_text(rng, "abc the", 300),
    ]
    yield "your ids are those of tokenizers", [listed(own.encode(text, SPECIAL)) for text in texts]
    yield "and so is the text that they decode to", [own.decode(own.encode(text, SPECIAL)) for text in texts]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own.save(folder)
        yield "the saved folder opens in tokenizers, with equal ids", by_tokenizers(folder, texts)
        yield "the saved folder opens in transformers, with equal ids", by_transformers(folder, texts)
    yield "its ranks in tiktoken give equal ids", by_tiktoken(own, texts)


def new_pairs(rng: Any, first: int) -> list[tuple[int, int]]:
    """Return merges of a, b and c and of each other, each making bytes that no other token has."""
    made = {bytes([byte]): byte for byte in b"abc"}
    merges: list[tuple[int, int]] = []
    while len(merges) < 12:
        left, right = (list(made)[rng.integer(0, len(made))] for _ in range(2))
        if left + right not in made:
            merges.append((made[left], made[right]))
            made[left + right] = first + len(merges) - 1
    return merges


def by_tokenizers(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of the texts by the library `tokenizers`."""
    from tokenizers import Tokenizer

    opened = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [opened.encode(text).ids for text in texts]


def by_transformers(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of the texts by `transformers`."""
    from transformers import AutoTokenizer

    opened = AutoTokenizer.from_pretrained(str(folder))
    return [list(opened(text)["input_ids"]) for text in texts]


def by_tiktoken(own: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of the texts by `tiktoken` with the tokenizer's ranks and GPT-2's pattern."""
    import tiktoken
    from tiktoken_ext.openai_public import r50k_pat_str

    count = 256 + len(own.merges)
    encoding = tiktoken.Encoding(
        "course",
        pat_str=r50k_pat_str,
        mergeable_ranks={bytes(data): i for i, data in enumerate(own.vocab[:count])},
        special_tokens=dict(own.special_tokens),
    )
    return [encoding.encode(text, allowed_special="all") for text in texts]


@reference("1.roundtrip")
def nothing_changed() -> Any:
    """Return what loses nothing: the text itself."""
    return unchanged()


@check("1.roundtrip")
def comes_back(m: Any, rng: Any) -> Any:
    own = m.Tokenizer.train([PROSE, draw_text(rng, CHARACTERS, 200)], 256 + 80, SPECIAL)

    def back(text: str) -> Any:
        return own.decode(own.encode(text, SPECIAL))

    yield "prose and code in several languages", back(PROSE)
    yield "no text, one character, NUL", [back(text) for text in ("", " ", "é", "e\u0301", "\x00", "\ufffd")]
    yield "special tokens, and what looks like them", back("<|end|><|user|> <|end| |user|>")
    yield "white space of every kind", back("  \t\r\n\r \u00a0\u3000\u2028\u0085\x1c\u200b ")
    yield "long runs", [back(part * 500) for part in ("a", " ", "👍", "\n", "ab1")]
    yield "all of Unicode", [back(draw_unicode(rng, 60)) for _ in range(10)]
    long = bytes(draw_word(rng, "ab", 300)).decode()
    yield "one long word", own.decode(own.encode_ordinary(long))
