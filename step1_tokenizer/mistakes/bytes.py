"""1.1, text and bytes: known mistakes and accepted variants."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from coursekit.probe import mistake, variant
from step1_tokenizer.model_solution import bytes_to_text, text_to_bytes

Both = dict[str, Callable[..., Any]]


def both(
    encode: Callable[[str], Any] = text_to_bytes, decode: Callable[[bytes], Any] = bytes_to_text
) -> Both:
    """Return an implementation of the pair; what is not given is right."""
    return {"text_to_bytes": encode, "bytes_to_text": decode}


@mistake("1.1")
def characters_for_bytes() -> Both:
    """Your text_to_bytes takes each character's number for a byte (ord, or latin-1). That holds up to U+007F
    only; é is two bytes in UTF-8, € three, and most characters have no number below 256.
    """
    return both(encode=lambda text: bytes(ord(character) % 256 for character in text))


@mistake("1.1")
def characters_that_are_no_bytes() -> Both:
    """Your text_to_bytes stops at characters from U+0100 on: it encodes in latin-1, where each character is
    one byte and only 256 exist. UTF-8 has all of them.
    """
    return both(encode=lambda text: text.encode("latin-1"))


@mistake("1.1")
def ascii_only() -> Both:
    """Your text_to_bytes keeps ASCII and drops or replaces every other character. Most of the world's writing
    is not ASCII; UTF-8 has bytes for all of it.
    """
    return both(encode=lambda text: text.encode("ascii", errors="ignore"))


@mistake("1.1")
def surrogates_raise() -> Both:
    """Your text_to_bytes raises UnicodeEncodeError at a lone surrogate, which UTF-8 cannot encode. Such texts
    exist, in file names for instance; U+FFFD must stand in for each.
    """
    return both(encode=lambda text: text.encode("utf-8"))


@mistake("1.1")
def question_marks() -> Both:
    """Your text_to_bytes puts a question mark where a lone surrogate stands: that is what errors="replace"
    does when it *encodes*. A question mark is a character that people write; U+FFFD says that something was
    lost.
    """
    return both(encode=lambda text: text.encode("utf-8", errors="replace"))


@mistake("1.1")
def surrogates_dropped() -> Both:
    """Your text_to_bytes drops lone surrogates. What could not be encoded would vanish without a trace;
    U+FFFD must stand in its place.
    """
    return both(encode=lambda text: text.encode("utf-8", errors="ignore"))


@mistake("1.1")
def surrogates_passed() -> Both:
    """Your text_to_bytes gives lone surrogates three bytes of their own (surrogatepass). These bytes are no
    UTF-8: no other program reads them, and decoding gives three U+FFFD for one.
    """
    return both(encode=lambda text: text.encode("utf-8", errors="surrogatepass"))


@mistake("1.1")
def run_as_one() -> Both:
    """Your text_to_bytes replaces only the first lone surrogate of a text. Every one of them needs its
    U+FFFD.
    """
    return both(
        encode=lambda text: re.sub("[\ud800-\udfff]", "\ufffd", text, count=1).encode(
            "utf-8", errors="ignore"
        )
    )


@mistake("1.1")
def utf_16() -> Both:
    """Your bytes are UTF-16: two bytes for most characters, so that half of an English text is zeros. The
    tokens of this course, and of GPT-2, are bytes of UTF-8.
    """
    return both(encode=lambda text: text.encode("utf-16-le", errors="replace"))


@mistake("1.1")
def composed() -> Both:
    """Your text_to_bytes makes equal what looks equal (unicodedata.normalize): e with an accent of its own
    becomes é. The text would not come back as it was.
    """
    return both(encode=lambda text: text_to_bytes(unicodedata.normalize("NFC", text)))


@mistake("1.1")
def text_for_bytes() -> Both:
    """Your text_to_bytes returns something other than bytes: a list or a string. bytes is a type of its own
    in Python, which .encode returns.
    """
    return both(encode=lambda text: list(text_to_bytes(text)))


@mistake("1.1")
def broken_raise() -> Both:
    """Your bytes_to_text raises UnicodeDecodeError where bytes are no UTF-8. A token may end within a
    character, and a model may write any tokens: U+FFFD must stand for what spells nothing.
    """
    return both(decode=lambda data: data.decode("utf-8"))


@mistake("1.1")
def broken_dropped() -> Both:
    """Your bytes_to_text drops bytes that spell no character. Nobody would see that something was there;
    U+FFFD must stand in their place.
    """
    return both(decode=lambda data: data.decode("utf-8", errors="ignore"))


@mistake("1.1")
def decoded_as_latin_1() -> Both:
    """Your bytes_to_text makes a character of every single byte (latin-1, or chr). é would come back as Ã©:
    the bytes of one character must be read together.
    """
    return both(decode=lambda data: data.decode("latin-1"))


@mistake("1.1")
def escaped() -> Both:
    r"""Your bytes_to_text writes bytes that spell no character as escapes, like \xff. A reader could not tell
    them from four characters that somebody typed.
    """
    return both(decode=lambda data: data.decode("utf-8", errors="backslashreplace"))


@mistake("1.1")
def one_for_each_byte() -> Both:
    """Your bytes_to_text puts one U+FFFD for every byte that spells nothing. The bytes of one character that
    is cut off become one U+FFFD together, in Python and by the Unicode Standard.
    """

    def decode(data: bytes) -> str:
        text = data.decode("utf-8", errors="surrogateescape")
        return re.sub("[\ud800-\udfff]", "\ufffd", text)

    return both(decode=decode)


@mistake("1.1")
def mark_dropped() -> Both:
    """Your bytes_to_text drops U+FEFF at the beginning (the codec "utf-8-sig" takes it for a mark). It is a
    character like others, and the text must come back as it was.
    """
    return both(decode=lambda data: data.decode("utf-8-sig", errors="replace"))


@variant("1.1")
def character_by_character() -> Both:
    """A loop over characters, each encoded alone; codecs.decode back."""

    def encode(text: str) -> bytes:
        data = b""
        for character in text:
            is_half = 0xD800 <= ord(character) < 0xE000
            data += b"\xef\xbf\xbd" if is_half else character.encode()
        return data

    return both(encode, lambda data: codecs.decode(data, "utf-8", "replace"))


@variant("1.1")
def by_utf_16() -> Both:
    """By way of UTF-16, which keeps lone surrogates and replaces them on the way back; str(data, ...)."""

    def encode(text: str) -> bytes:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")

    return both(encode, lambda data: str(data, "utf-8", "replace"))


@variant("1.1")
def by_bits() -> Both:
    """Bits shifted into one to four bytes; an incremental decoder back."""

    def encode(text: str) -> bytes:
        data = bytearray()
        for point in map(ord, text):
            if 0xD800 <= point < 0xE000:
                point = 0xFFFD
            if point < 0x80:
                data.append(point)
                continue
            rest = 1 if point < 0x800 else 2 if point < 0x10000 else 3
            data.append((0xFF00 >> rest + 1 & 0xFF) | point >> 6 * rest)
            data += bytes(0x80 | point >> 6 * i & 0x3F for i in reversed(range(rest)))
        return bytes(data)

    return both(
        encode, lambda data: codecs.getincrementaldecoder("utf-8")("replace").decode(data, final=True)
    )
