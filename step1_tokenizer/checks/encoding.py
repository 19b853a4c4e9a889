"""Probes of encoding: one word (1.6), a text and back (1.7), special tokens (1.8)."""

from __future__ import annotations

from typing import Any

from coursekit.probe import cases, check
from step1_tokenizer.checks.inputs import (
    BYTES,
    CHARACTERS,
    draw_merges,
    draw_text,
    draw_word,
    listed,
    outcome,
    ranks_of,
    said,
    spell,
)

A, B, C, D = b"abcd"
# For each: in which order pairs were learned, and words on which the order decides.
ORDERS = {
    "the pair learned first, though another stands to its left": ([(B, C), (A, B)], b"abc"),
    "though another makes a longer token": ([(A, B), (C, D), (B, C), (258, D), (A, 259)], b"abcd"),
    "though another is met more often in the word": ([(C, D), (B, C)], b"bcbcbcd"),
    "though another has smaller ids": ([(C, B), (B, A)], b"cba"),
    "though another stands to its right": ([(A, B), (B, C)], b"abc"),
    "though another has become longer by then": ([(A, B), (C, D), (256, C)], b"abcd"),
}


@check("1.6")
def encode_word(m: Any, rng: Any) -> Any:
    def encode(word: Any, merges: Any) -> Any:
        return listed(m.encode_word(tuple(word), ranks_of(merges)))

    yield "a pair that was learned becomes its token", encode(b"ab", [(A, B)])
    yield "a word without learned pairs stays as it is", encode(b"ba", [(A, B)])
    yield "wherever in the word the pair stands", encode(b"cabdab", [(A, B)])
    for label, (merges, word) in ORDERS.items():
        yield label, encode(word, merges)
    yield "tokens are merged on, until nothing is left to merge", encode(b"abcdab", spell("abcd"))
    yield "overlaps go from left to right", encode(b"aaaaa", [(A, A), (256, A)])
    yield "a word of one byte, a word of none", [encode(b"a", [(A, B)]), encode(b"", [(A, B)])]
    yield "no merges, no tokens but bytes", encode("né".encode(), [])
    merges = draw_merges(rng, "abc", 14)
    yield "long words", [encode(draw_word(rng, "abc", 30), merges) for _ in range(4)]
    more = draw_merges(rng, "ab", 30)
    yield "many merges", [encode(draw_word(rng, "ab", 25), more) for _ in range(4)]


@cases("1.6")
def small_encodings(m: Any) -> Any:
    for word, merges in (
        (b"ab", [(A, B)]),
        (b"ba", [(A, B)]),
        (b"abc", [(A, B), (256, C)]),
        (b"abc", [(B, C), (A, B)]),
        (b"abab", [(A, B)]),
        (b"aaa", [(A, A)]),
        (b"abcd", [(A, B), (C, D), (B, C), (258, D), (A, 259)]),
        (b"acd", [(C, D), (A, C)]),
        (b"cbc", [(B, C)]),
        (b"bcbcd", [(C, D), (B, C)]),
        (b"abc", [(A, B), (B, C)]),
        (b"cba", [(C, B), (B, A)]),
        (b"abcd", [(A, B), (C, D), (256, C)]),
        (b"a", [(A, B)]),
    ):
        named = {f"{pair}": 256 + i for i, pair in enumerate(merges)}
        inputs = {"word": str(tuple(word)), "ranks": str(named).replace("'", "")}
        yield inputs, said(listed(m.encode_word(tuple(word), ranks_of(merges))))


# Tokens of several characters, tokens that end within a character (of é and 人), one that crosses a space.
TOKENS = (" the", " to", "the", "é", b"\xe4\xba", "ing", "  ", "'s", "o w", "12", b"a\xf0\x9f", "))")
MOVED = (*range(100, 256), *range(100))


def build(m: Any, special: Any = (), byte_ids: Any = BYTES) -> Any:
    """Return a tokenizer of the implementation with a few tokens."""
    return m.Tokenizer(spell(*TOKENS, byte_ids=byte_ids), special, byte_ids)


@check("1.7")
def there_and_back(m: Any, rng: Any) -> Any:
    plain = build(m)
    yield "words become bytes, bytes become tokens", listed(plain.encode_ordinary("to the 12 things"))
    yield "no token crosses from word to word", listed(plain.encode_ordinary("two wings go west; no word"))
    yield "spaces stay where they are", listed(plain.encode_ordinary("  the  the\n to "))
    yield "bytes, not characters: é, 人 and 👍", listed(plain.encode_ordinary("naïve é 人人 a👍"))
    yield "the empty text has no ids", listed(plain.encode_ordinary(""))
    moved = build(m, byte_ids=MOVED)
    yield "byte b has the id byte_ids[b]", listed(moved.encode_ordinary("to the 人!"))
    special = build(m, ["<|end|>", "the"])
    yield "nothing is special here", listed(special.encode_ordinary("the<|end|> the"))
    text = draw_text(rng, CHARACTERS, 80)
    yield "a text of everything", listed(moved.encode_ordinary(text))
    yield "decoding: bytes that tokens stand for", plain.decode([256, 98, 99, 257])
    yield "a character spread over tokens is whole", plain.decode([*b"a\xe4\xba\xba", *"👍".encode()])
    yield "bytes that spell nothing are U+FFFD", plain.decode([97, 0xE4, 0xBA, 98, 0xFF])
    yield "spaces and line ends are kept", plain.decode([32, 32, *b"a\r\n ", 32])
    yield "special tokens are text, too", special.decode([97, len(special.vocab) - 2, 98])
    yield "no ids are the empty text", plain.decode([])
    yield "ids may come from a generator", plain.decode(token for token in (97, 256, 98))
    yield (
        "an id that is not in the vocabulary is refused",
        outcome(lambda: plain.decode([97, len(plain.vocab)])),
    )
    yield "an id below 0 is refused", outcome(lambda: plain.decode([97, -1]))
    yield "with byte_ids, decoding goes by vocab", moved.decode([100 + 97, 0, 1, 2, 256])
    ids = [rng.integer(0, len(moved.vocab)) for _ in range(60)]
    yield "any ids", moved.decode(ids)


@cases("1.7")
def small_round_trips(m: Any) -> Any:
    for text, tokens, byte_ids in (
        ("a", ("ab",), BYTES),
        ("ab", ("ab",), BYTES),
        ("a b", ("a b", " b"), BYTES),
        ("é", (), BYTES),
        ("a", (), MOVED),
        ("<e>", (), BYTES),
        ("a ", (), BYTES),
    ):
        own = m.Tokenizer(spell(*tokens, byte_ids=byte_ids), ["<e>"], byte_ids)
        inputs = {"merges": str(own.merges), "byte_ids[97]": byte_ids[97], "text": repr(text)}
        yield inputs, said(listed(own.encode_ordinary(text)))
    for ids in ([97, 98], [0xC3, 0xA9], [97, 0xC3, 98], [256], [32, 97, 32]):
        own = m.Tokenizer([], ["<e>"])
        yield {"ids": str(ids), "special_tokens": "{'<e>': 256}"}, said(own.decode(ids))
    yield {"ids": "[197]", "vocab[197]": "b'a'"}, said(m.Tokenizer([], [], MOVED).decode([197]))


SPECIAL = ("<|a|>", "<|end|>", "<|a|>b", "<|a|><|a|>", "(x)y", "(x)")


@check("1.8")
def special_tokens(m: Any, rng: Any) -> Any:
    own = build(m, SPECIAL)

    def encode(text: str, *allowed: str, refuse: bool = True) -> Any:
        return outcome(lambda: own.encode(text, allowed, refuse))

    yield "a text without special tokens is ordinary", encode("to the things")
    yield "an allowed special token is one id", encode("to<|end|>the", "<|end|>")
    yield "at the beginning, at the end, side by side", encode("<|end|><|end|> the<|end|>", "<|end|>")
    yield "the spaces around it stay", encode("the <|end|> the ", "<|end|>")
    yield "one that is not allowed is refused with ValueError", encode("to<|end|>the")
    yield "also when others are allowed", encode("<|end|> to (x)", "<|end|>", "<|a|>")
    yield "a part of one is text", encode("<|en |a|> x (the) end", "<|end|>")
    yield "with refuse=False it is text like what stands around it", encode("to<|end|>the((x))", refuse=False)
    yield "also next to one that is allowed", encode("<|a|>to(x))the<|a|>", "<|a|>", refuse=False)
    yield "the longest is meant", encode("<|a|>b<|a|><|a|><|a|>c (x)y(x)", *SPECIAL)
    yield "the longest is meant, even if only a shorter one is allowed", encode("<|a|>b", "<|a|>")
    yield "and is then text as a whole", encode("c<|a|>b <|a|>", "<|a|>", refuse=False)
    yield (
        "what is allowed holds for one call",
        [encode("(x)", "(x)"), encode("(x)", refuse=False), encode("(x)")],
    )
    yield (
        "allowed tokens may be in a set or in special_tokens",
        [listed(own.encode("(x)<|end|>", kinds)) for kinds in ({"(x)", "<|end|>"}, own.special_tokens)],
    )
    yield "a tokenizer without special tokens", listed(build(m).encode("<|end|> the"))
    yield "no text", encode("", "<|end|>")
    parts = [[*SPECIAL, "the", " to", "é", "<|"][rng.integer(0, 10)] for _ in range(30)]
    yield "many of them, allowed", encode("".join(parts), *SPECIAL)
    yield "many of them, some as text", encode("".join(parts), "<|a|>", "<|end|>", refuse=False)


@cases("1.8")
def small_specials(m: Any) -> Any:
    """Special tokens: <|e|> is 257, <|e|>a is 258, zz is 259, z is 260; "ab" is 256."""
    own = m.Tokenizer([(A, B)], ["<|e|>", "<|e|>a", "zz", "z"])
    for text, allowed, refuse in (
        ("ab", (), True),
        ("<|e|>", ("<|e|>",), True),
        ("a<|e|>ab", ("<|e|>",), True),
        ("a <|e|> b", ("<|e|>",), True),
        ("<|e|>", (), True),
        ("<|e|>", (), False),
        ("<|e|>a", ("<|e|>", "<|e|>a"), True),
        ("<|e|>a", ("<|e|>",), True),
        ("<|e|>ab", ("<|e|>",), False),
        ("|e|", ("<|e|>",), True),
        ("a|", (), True),
        ("zz", ("zz", "z"), True),
    ):
        inputs = {"text": repr(text), "allowed_special": str(allowed), "refuse": refuse}
        yield inputs, said(outcome(lambda: own.encode(text, allowed, refuse)))  # noqa: B023 - called at once
