"""Probe of text that appears while its ids arrive, and ends at a stop string (4.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from coursekit.probe import cases, check
from step4_generate.checks.core_observe import is_stopped, refusal


def told(m: Any, tokens: Iterable[str | bytes], *stops: str) -> Any:
    """Return what had been said before each token was asked for, all that was said, and how many tokens were
    taken. Tokens are texts or bytes; ids count them.
    """
    vocab = [token.encode() if isinstance(token, str) else token for token in tokens]
    said: list[str] = []
    before: list[str] = []

    def ids() -> Iterator[int]:
        for token in range(len(vocab)):
            before.append("".join(said))
            yield token

    run = m.stream_text(ids(), vocab, stops)
    if is_stopped(run):
        return run
    for piece in run:
        said.append(piece)
    return before, "".join(said), len(before)


def pieces(text: str, rng: Any, longest: int = 3) -> list[bytes]:
    """Return a text as tokens of 1 to `longest` bytes, cut at places drawn at random."""
    data, cut = text.encode(), [0]
    while cut[-1] < len(data):
        cut.append(min(len(data), cut[-1] + rng.integer(1, longest + 1)))
    return [data[i:j] for i, j in pairwise(cut)]


END = "<|end|>"


@check("4.6")
def stream_text(m: Any, rng: Any) -> Any:
    yield "each token is said as soon as it is there", told(m, ["Once", " upon", " a", " time", "."])
    yield "no ids: no text", told(m, [])
    euro = "a €".encode()
    yield (
        "a character of three tokens comes whole, with its last",
        told(m, [euro[:3], euro[3:4], euro[4:], "!"]),
    )
    yield "four bytes, one by one, between others", told(m, pieces("x😀é.", rng, 1))
    broken = [b"a", b"\xe2\x82", b"b", b"\xff", b"c", b"\xc3", b"\xa9"]
    yield "what can never become a character is U+FFFD as soon as that is certain", told(m, broken)
    yield "what is incomplete when the ids end is U+FFFD, too", told(m, [b"ab", b"\xf0\x9f"])
    yield from with_stops(m, rng)
    yield from in_doubt(m, rng)
    yield (
        "no piece is empty",
        [
            list(m.stream_text(iter([0, 1, 2, 3]), [b"\xe2", b"\x82\xac", b"", b"<"], [END])),
            list(m.stream_text(iter([0, 1]), [END.encode(), b"a"], [END])),
        ],
    )
    again = m.stream_text([1, 0, 1, 0, 0], [b"la", b"o"], ["lalala"])
    yield "tokens may come more than once", "".join(again)
    yield "an empty stop string is refused", refusal(lambda: list(m.stream_text([0], [b"a"], ["b", ""])))


def with_stops(m: Any, rng: Any) -> Any:
    """Yield what becomes of stop strings that come."""
    yield (
        "a stop string that is one token ends the text, and no more ids are taken",
        told(m, ["It was", " there.", END, " And", " so"], END),
    )
    yield (
        "text before it in the same token is said, text after it is not",
        told(m, ["It was", " there.<|end|> And", " so"], END),
    )
    yield "a stop string at the very beginning: nothing is said", told(m, [END, "a"], END)
    yield (
        "a stop string that is spread over tokens: nothing of it is said",
        told(m, ["It was.", "<", "|en", "d", "|", ">", " And"], END),
    )
    yield "one that begins and ends inside of tokens", told(m, ["It was.<|", "end|> A", "nd"], END)
    yield "cut anywhere", [told(m, pieces("Ada had a bike.<|end|>Ben had", rng), END) for _ in range(4)]
    yield "a stop string of characters that are spread, too", told(m, pieces("ça va ⏹️ oui", rng, 2), "⏹️")
    yield (
        "several: the one that comes first",
        [told(m, pieces("no. yes! stop", rng, 2), *stops) for stops in (("stop", "!"), ("!", "stop"))],
    )
    yield "several in one token, in another order than they are named", told(m, ["a", "b! c. d"], ".", "!")
    yield "the first of two equal ones", told(m, ["a. b. c", "d"], ".")
    yield "without stop strings, none stops", told(m, ["a", END, "b"])


def in_doubt(m: Any, rng: Any) -> Any:
    """Yield what is held back, and when it is said after all."""
    yield (
        "what may become a stop string is held back, and said as soon as it cannot",
        told(m, ["a <", "|", "en", "ter|", "> b"], END),
    )
    yield (
        "all else is said at once, however long the stop string is",
        told(m, ["a", "b", "cd", "x" * 9], "<|a very long end|>"),
    )
    yield "what is held when the ids end is said: it was no stop string", told(m, ["a", "b<|", "end"], END)
    yield (
        "a false start inside of the right one: aaab is a, then aab",
        [
            told(m, ["a", "a", "a", "b", "c"], "aab"),
            told(m, pieces("abababac", rng, 2), "ababac"),
        ],
    )
    yield "of several beginnings the longest is held", told(m, ["x", "a", "ab", "a", "c"], "aba!", "abac")
    yield (
        "the end of the text so far is in doubt for one, and not for the other",
        told(m, ["1.", "\n", "2.", "\n\n", "3."], "\n\n", "3"),
    )
    yield (
        "bytes that never become a character are held apart from a stop string",
        told(m, [b"a<", b"|e\xe2", b"\x82", b"nd|>"], END),
    )


@cases("4.6")
def small_streams(m: Any) -> Any:
    """The output is what had been said before each token, all of it, and how many tokens were taken."""
    many: tuple[tuple[Sequence[str | bytes], tuple[str, ...]], ...] = (
        (["a"], ()),
        (["a", "b"], ()),
        ([b"\xc3", b"\xa9"], ()),
        ([b"\xc3"], ()),
        ([b"\xff", b"a"], ()),
        (["a", ".", "b"], (".",)),
        (["a.b", "c"], (".",)),
        (["a", "x", "y", "b"], ("xy",)),
        (["a", "x", "b"], ("xy",)),
        (["a", "x"], ("xy",)),
        (["a", "bc", "d"], ("xyz",)),
        (["a!b.", "c"], (".", "!")),
        (["a", "!", "."], (".", "!")),
        (["a.b.", "c"], (".",)),
        (["x", "x", "y", "z"], ("xy",)),
        (["x", "y", "x", "z"], ("xyz", "yxw")),
        (["xyx", "yz"], ("xyz",)),
    )
    for tokens, stops in many:
        inputs = {"tokens": str(list(tokens)), "stops": str(list(stops))}
        found = told(m, tokens, *stops)
        yield inputs, found if is_stopped(found) else str(found)
    inputs = {"tokens": str([b"", b"a", b"."]), "stops": str(["."]), "asked": "the pieces"}
    found = m.stream_text(iter([0, 1, 0, 2]), [b"", b"a", b"."], ["."])
    yield inputs, found if is_stopped(found) else str(list(found))
