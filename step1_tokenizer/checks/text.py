"""Probes of what stands around merging: text and bytes (1.1), and words (1.5)."""

from __future__ import annotations

from typing import Any

from coursekit.probe import cases, check
from step1_tokenizer.checks.inputs import CHARACTERS, draw_text, draw_unicode, listed, numbers, said


@check("1.1")
def text_and_bytes(m: Any, rng: Any) -> Any:
    yield "the bytes of a text are bytes", type(m.text_to_bytes("Tea")).__name__
    yield "ASCII: one byte for each character", numbers(m.text_to_bytes("Tea\t+\x00~"))
    yield "two, three and four bytes: é, €, 👍", numbers(m.text_to_bytes("é€👍"))
    yield "nothing is added and nothing made equal", numbers(m.text_to_bytes("\ufeffe\u0301 ﬁ\r\n"))
    yield "the empty text has no bytes", numbers(m.text_to_bytes(""))
    yield "a lone surrogate is encoded as U+FFFD", numbers(m.text_to_bytes("a\ud800b"))
    yield "each lone surrogate is, at either end too", numbers(m.text_to_bytes("\udfffx\udc80y\ud83d"))
    yield "all of Unicode", numbers(m.text_to_bytes(draw_unicode(rng, 60)))
    yield "bytes of UTF-8 become the text again", m.bytes_to_text("Tea é€👍\r\n\x00".encode())
    yield "a mark at the front (U+FEFF) is a character too", m.bytes_to_text("\ufeffe\u0301".encode())
    yield "no bytes are the empty text", m.bytes_to_text(b"")
    yield "a byte that begins nothing becomes U+FFFD", m.bytes_to_text(b"a\xffb\x80c")
    yield "a character that is cut off becomes one U+FFFD", m.bytes_to_text("👍".encode()[:3])
    yield "what follows a broken character is kept", m.bytes_to_text(b"\xe2\x82A\xf0\x9fB")
    yield "bytes that spell a surrogate or too long a form", m.bytes_to_text(b"\xed\xa0\x80\xc0\xaf")
    data = bytes(rng.integer(0, 256) for _ in range(80))
    yield "any bytes at all", m.bytes_to_text(data)
    yield "U+FFFD itself is a character like others", m.bytes_to_text("a\ufffdb".encode())


@cases("1.1")
def small_texts(m: Any) -> Any:
    for text in ("a", "é", "€", "", "\ud800", "\ud800\ud800", "e\u0301", "\ufeffa"):
        yield {"text": repr(text)}, said(m.text_to_bytes(text))
    for data in (
        b"a",
        b"\xc3\xa9",
        b"\xff",
        b"\xe2\x82",
        b"\xe2\x82A",
        b"\xed\xa0\x80",
        b"e\xcc\x81",
        b"\xef\xbb\xbfa",
    ):
        yield {"data": repr(data)}, said(m.bytes_to_text(data))


@check("1.5")
def words(m: Any, rng: Any) -> Any:
    def split(text: str) -> Any:
        return listed(m.split_words(text))

    yield "a space stays with the word that follows it", split("one two three")
    yield "a text may begin with a space", split(" one two")
    yield "signs are words of their own", split("one,two!? (x) a+=b; x_y __z")
    yield "signs take one space in front of them, too", split("a += b // c -- \u0301d")
    yield "numbers are words of their own", split("in 2026: 3.14 x2 4y 1234567")
    yield (
        "contractions, in the order of the list",
        split("it's can't we're I've I'm we'll he'd o'sullivan 'tis"),
    )
    yield "contractions are found in lower case only", split("IT'S CAN'T I'M")
    yield "the apostrophe is U+0027, no other", split("it’s can’t")
    yield "of several spaces the last stays with the word", split("a  b   c\n  d  ")
    yield (
        "only U+0020 stays with a word: no tab, line end or other space",
        split("a\tb\nc\r\nd\u00a0e\u3000f"),
    )
    yield "the last white space before a word is on its own", split("a\n\n\tb \t c\r\n\r\nd")
    yield "white space at the end is one word", split("end \n\t ")
    yield "letters are letters in every script", split("naïve Straße 人民 привет مرحبا ʰǅª")
    yield "numbers are ² ½ Ⅷ and digits of every script", split("x² ½Ⅷ ٣٤ ३ ①人")
    yield "accents, joiners and emoji are neither", split("e\u0301a 👩\u200d👧 👍🏽x 🇳🇴")
    yield "U+001C to U+001F are no white space", split("a\x1cb \x1d\x1fc")
    yield "U+0085, U+2028, U+3000 are", split("a\u0085\u2028b\u3000\u3000c \u1680")
    yield "no text, no words", split("")
    text = draw_text(rng, CHARACTERS, 200)
    yield "nothing is lost: joined, the words are the text", "".join(m.split_words(text)) == text
    yield "a text of everything", split(text)


@cases("1.5")
def small_words(m: Any) -> Any:
    for text in (
        "a b",
        " a",
        "a,b",
        "a, b",
        "a +",
        "a 1b",
        "123",
        "1234",
        "it's",
        "o'sun",
        "IT'S",
        "it’s",
        "a  b",
        "a \n",
        "a\tb",
        "a\n\nb",
        "né",
        "a²",
        "2²",
        "a_b",
        "a\u0301",
        "a\x1cb",
        "a \x1cb",
        "a\u0085b",
        "",
    ):
        yield {"text": repr(text)}, said(listed(m.split_words(text)))
