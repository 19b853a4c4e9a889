"""4.6, streaming: known mistakes with characters and with what comes after the end."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from coursekit.probe import mistake

Decoded = Callable[[Iterable[int], Sequence[bytes]], Iterator[str]]


def refuse(stops: Sequence[str]) -> None:
    """Raise ValueError for an empty stop string."""
    if "" in stops:
        raise ValueError("a stop string must not be empty, got ''")


def whole(ids: Iterable[int], vocab: Sequence[bytes], errors: str = "replace") -> Iterator[str]:
    """Yield, for each id, the characters that are complete, and what is left at the end."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors=errors)
    for token in chain(ids, [None]):
        yield decoder.decode(b"" if token is None else vocab[token], final=token is None)


def complete(held: str, stops: Sequence[str]) -> tuple[int, int] | None:
    """Return where the first stop string that is complete ends and begins, or None."""
    return min(((at + len(stop), at) for stop in stops if (at := held.find(stop)) >= 0), default=None)


def doubtful(held: str, stops: Sequence[str]) -> int:
    """Return how many characters at the end may become a stop string."""
    return max((n for stop in stops for n in range(len(stop)) if held.endswith(stop[:n])), default=0)


def streamed(
    ids: Iterable[int],
    vocab: Sequence[bytes],
    stops: Sequence[str],
    *,
    decoded: Decoded = whole,
    find: Callable[[str, Sequence[str]], tuple[int, int] | None] = complete,
    keep: Callable[[str, Sequence[str]], int] = doubtful,
    shown: Callable[[str, tuple[int, int]], str] = lambda held, found: held[: found[1]],
    says_rest: bool = True,
    says_empty: bool = False,
) -> Iterator[str]:
    """Yield text as it should be, but for the parts that are handed in."""
    refuse(stops)
    held = ""
    for text in decoded(ids, vocab):
        held += text
        if found := find(held, stops):
            held, says_rest = shown(held, found), True
            break
        kept = keep(held, stops)
        if (said := held[: len(held) - kept]) or says_empty:
            yield said
        held = held[len(held) - kept :]
    if held and says_rest:
        yield held


@mistake("4.6")
def token_by_token(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your tokens are decoded each by itself. A character whose bytes are spread over two tokens becomes two
    or more replacement characters, and is lost.
    """

    def decoded(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
        return (vocab[token].decode("utf-8", errors="replace") for token in ids)

    return streamed(ids, vocab, stops, decoded=decoded)


@mistake("4.6")
def strict(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your decoder stops with an error at bytes that are no UTF-8. A model can say any byte at any time; they
    are to be shown as U+FFFD.
    """
    return streamed(ids, vocab, stops, decoded=lambda ids, vocab: whole(ids, vocab, "strict"))


@mistake("4.6")
def left_out(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your decoder leaves out bytes that are no UTF-8. They are to be shown as U+FFFD: the reader should see
    that something was there.
    """
    return streamed(ids, vocab, stops, decoded=lambda ids, vocab: whole(ids, vocab, "ignore"))


@mistake("4.6")
def rest_of_bytes_lost(
    ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()
) -> Iterator[str]:
    """Your decoder is never told that the ids have ended. Bytes of a character that was not completed are
    lost without a trace: decode(b"", final=True) gives them as U+FFFD.
    """

    def decoded(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        return (decoder.decode(vocab[token]) for token in ids)

    return streamed(ids, vocab, stops, decoded=decoded)


@mistake("4.6")
def latin(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your bytes are read as Latin-1, a character each. The tokenizer wrote UTF-8."""

    def decoded(ids: Iterable[int], vocab: Sequence[bytes]) -> Iterator[str]:
        return (vocab[token].decode("latin-1") for token in ids)

    return streamed(ids, vocab, stops, decoded=decoded)


@mistake("4.6")
def all_at_the_end(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text comes in one piece, when it has ended. Nobody can read along: say what is certain after each
    id.
    """
    refuse(stops)
    if text := "".join(streamed(ids, vocab, stops)):
        yield text


@mistake("4.6")
def one_id_more(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your loop takes one more id after a stop string is complete. The model computes a token for it that
    nobody reads.
    """
    rest = iter(ids)
    refuse(stops)
    taken = 0

    def counted() -> Iterator[int]:
        nonlocal taken
        for token in rest:
            taken += 1
            yield token

    yield from streamed(counted(), vocab, stops)
    next(rest, None)


@mistake("4.6")
def takes_all_ids(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your loop takes all ids before it says anything, or goes on to the last after a stop string: the model
    writes to its limit, and nobody reads it.
    """
    rest = iter(ids)
    yield from streamed(rest, vocab, stops)
    for _ in rest:
        pass


@mistake("4.6")
def empty_pieces(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your pieces may be empty: something is said after an id that has completed nothing. A piece is what can
    be added to what is shown.
    """
    return streamed(ids, vocab, stops, says_empty=True)
