"""1.9, streaming: known mistakes and accepted variants."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from coursekit.probe import mistake, variant


def decoder(errors: str = "replace") -> codecs.IncrementalDecoder:
    """Return what keeps bytes that are no whole character yet."""
    return codecs.getincrementaldecoder("utf-8")(errors=errors)


@mistake("1.9")
def each_token_alone(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function decodes each token by itself, or tells its decoder at each that it is the last. A
    character whose bytes are spread over tokens never appears: keep its first bytes back until the others
    come.
    """
    for token in ids:
        yield vocab[token].decode("utf-8", errors="replace")


@mistake("1.9")
def all_at_the_end(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function shows nothing before the last id has come: it reads all ids first (a join, or list(ids)).
    Take one id, yield what is complete, take the next: whoever waits for an answer sees it grow.
    """
    yield b"".join(vocab[token] for token in ids).decode("utf-8", errors="replace")


@mistake("1.9")
def one_id_late(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function shows each token when the next one has come. What is complete can be shown at once."""
    keeps = decoder()
    kept = ""
    for token in ids:
        if kept:
            yield kept
        kept = keeps.decode(vocab[token])
    yield kept + keeps.decode(b"", final=True)


@mistake("1.9")
def end_forgotten(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function says nothing of bytes that are still incomplete when the ids end. They are U+FFFD then:
    joined, the pieces must be what decoding all at once gives.
    """
    keeps = decoder()
    for token in ids:
        if text := keeps.decode(vocab[token]):
            yield text


@mistake("1.9")
def broken_raise(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function raises UnicodeDecodeError where bytes are no UTF-8: errors="replace" is missing. An
    exception in the middle of an answer helps nobody.
    """
    keeps = decoder("strict")
    for token in ids:
        if text := keeps.decode(vocab[token]):
            yield text
    yield keeps.decode(b"", final=True)


@mistake("1.9")
def broken_dropped(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function drops bytes that spell no character. U+FFFD must show that something was there."""
    keeps = decoder("ignore")
    for token in ids:
        if text := keeps.decode(vocab[token]):
            yield text
    yield keeps.decode(b"", final=True)


@mistake("1.9")
def broken_shown_at_the_end(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function waits until all bytes it has kept are valid, so that one broken byte holds back
    everything after it. What can never become a character is U+FFFD at once.
    """
    kept = b""
    for token in ids:
        kept += vocab[token]
        try:
            text = kept.decode()
        except UnicodeDecodeError:
            continue
        yield text
        kept = b""
    yield kept.decode("utf-8", errors="replace")


@mistake("1.9")
def half_shown(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function decodes all bytes so far and shows what is new, U+FFFD for half a character included.
    When the other half comes, the character cannot take its place any more.
    """
    data, told = b"", 0
    for token in ids:
        data += vocab[token]
        text = data.decode("utf-8", errors="replace")
        yield text[told:]
        told = len(text)


@mistake("1.9")
def replacement_held_back(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function takes U+FFFD at the end of the text so far for half a character and keeps it back. It may
    be certain already, or be a character of the text: look at the bytes, not at what became of them.
    """
    data, told = b"", 0
    for token in ids:
        data += vocab[token]
        text = data.decode("utf-8", errors="replace").rstrip("\ufffd")
        yield text[told:]
        told = max(told, len(text))
    yield data.decode("utf-8", errors="replace")[told:]


@mistake("1.9")
def whole_words(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Your function keeps text back until a space comes. Only half a character is kept back; a word may
    appear in parts.
    """
    keeps = decoder()
    kept = ""
    for token in ids:
        kept += keeps.decode(vocab[token])
        if kept.endswith(" "):
            yield kept
            kept = ""
    yield kept + keeps.decode(b"", final=True)


@variant("1.9")
def all_so_far(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """A new decoder for each id reads all bytes so far; empty pieces are yielded, too."""
    data, told = b"", ""
    for token in ids:
        data += vocab[token]
        text = decoder().decode(data)
        yield text[len(told) :]
        told = text
    yield data.decode("utf-8", "replace")[len(told) :]


@variant("1.9")
def by_the_first_byte(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """The longest end that may become a character is kept; each character is a piece of its own."""
    kept = b""
    for token in ids:
        kept += vocab[token]
        size = next((n for n in (3, 2, 1) if may_go_on(kept[-n:]) and len(kept) >= n), 0)
        yield from kept[: len(kept) - size].decode("utf-8", "replace")
        kept = kept[len(kept) - size :]
    yield from kept.decode("utf-8", "replace")


def may_go_on(data: bytes) -> bool:
    """Tell whether more bytes can make one character of these: they are its beginning, and not the whole."""
    ends = [bytes(tail) for tail in ([0x80], [0xBF], [0x80] * 2, [0xBF] * 2, [0x80] * 3, [0xBF] * 3)]
    for end in ends:
        try:
            if len((data + end).decode()) == 1:
                return True
        except UnicodeDecodeError:
            continue
    return False


@variant("1.9")
def one_ahead(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
    """Pieces between what was complete before and after each id."""
    keeps = decoder()

    def complete() -> Iterator[str]:
        text = ""
        yield text
        for token in ids:
            text += keeps.decode(vocab[token])
            yield text
        yield text + keeps.decode(b"", final=True)

    for before, after in pairwise(complete()):
        yield after[len(before) :]
