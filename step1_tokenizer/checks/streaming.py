"""Probes of decoding while ids arrive (1.9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coursekit.probe import cases, check
from step1_tokenizer.checks.inputs import CHARACTERS, draw_text, said

BYTE_VOCAB = tuple(bytes([byte]) for byte in range(256))


def shown(m: Any, ids: Sequence[int], vocab: Sequence[bytes]) -> list[str]:
    """Return what is shown before any id came, after each one, and after the end."""
    texts = [""]

    def arriving() -> Iterator[int]:
        for token in ids:
            texts.append("")
            yield token
        texts.append("")

    for piece in m.decode_stream(arriving(), vocab):
        texts[-1] += piece
    return texts


@check("1.9")
def decode_stream(m: Any, rng: Any) -> Any:
    vocab = (*BYTE_VOCAB, b"the", b"\xe4\xba", b"\xba a", b"\x9f\x91\x8d!\xf0", b"", "\ufffd".encode())

    def stream(*ids: int) -> Any:
        return shown(m, ids, vocab)

    yield "each token appears when it comes", stream(*b"tea ", 256, 256)
    yield "a character appears whole, with its last byte", stream(*"é€👍".encode())
    yield "two characters in a row that are spread over tokens", stream(257, 0xBA, 257, 258, 0xF0, 259, 0x9F)
    yield "a byte that begins nothing is U+FFFD at once", stream(97, 0xFF, 98, 0x80, 99)
    yield "a broken character is U+FFFD as soon as that is certain", stream(0xE2, 0x82, 65, 0xF0, 0x80, 66)
    yield "what is incomplete at the end is said at the end", stream(97, 0xF0, 0x9F)
    yield "a token without bytes shows nothing", stream(97, 260, 0xC3, 260, 0xA9)
    yield "U+FFFD itself is a character like others", stream(261, 97, 261)
    yield "white space is shown like everything", stream(*b"a \n", 32)
    yield "no ids, no text", stream()
    text = draw_text(rng, CHARACTERS, 30)
    yield "a long text, byte for byte", shown(m, text.encode(), BYTE_VOCAB)
    noise = [rng.integer(0, 256) if rng.integer(0, 3) else 97 for _ in range(60)]
    joined = "".join(m.decode_stream(iter(noise), vocab))
    yield "joined, the pieces are what all bytes together give", joined


@cases("1.9")
def small_streams(m: Any) -> Any:
    """The output is what is shown at first, after each id, and at the end."""
    for ids in (
        [97],
        [97, 98],
        [0xC3, 0xA9],
        [97, 0xC3, 0xA9],
        [0xFF, 97],
        [0xC3, 97],
        [0xC3],
        [0xEF, 0xBF, 0xBD],
        [0xE2, 0x82, 0xAC, 97],
        [97, 32, 98],
    ):
        yield {"ids": str(ids), "vocab": "the 256 bytes"}, said(shown(m, ids, BYTE_VOCAB))
