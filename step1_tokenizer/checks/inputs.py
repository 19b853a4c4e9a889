"""What the probes of step 1 are asked about: words, merges and texts, drawn or spelled out, and how results
are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Pair = tuple[int, int]
BYTES = tuple(range(256))
# Characters of one to four bytes, letters, numbers, signs and white space; all of them old in Unicode, so
# that every version of it agrees on what they are.
CHARACTERS = "aAzé ß€人民ñя٣²½Ⅷ_-+'’.,!\t\n\r\u00a0\u3000\u2028\u001c\u0301\u200d👍🏽\u0000 the s't"


def spell(*texts: str | bytes, byte_ids: Sequence[int] = BYTES) -> list[Pair]:
    """Return merges that make a token of each text, one byte after the other from the left."""
    made: dict[Pair, int] = {}
    for text in texts:
        data = text.encode() if isinstance(text, str) else text
        whole = byte_ids[data[0]]
        for byte in data[1:]:
            whole = made.setdefault((whole, byte_ids[byte]), 256 + len(made))
    return list(made)


def ranks_of(merges: Sequence[Pair]) -> dict[Pair, int]:
    """Return the id of the token that each pair becomes, the last learned first: order says nothing."""
    return {pair: 256 + i for i, pair in reversed(list(enumerate(merges)))}


def draw_merges(rng: Any, letters: str, count: int) -> list[Pair]:
    """Return merges of letters and of each other, no pair twice."""
    tokens = list(letters.encode())
    merges: list[Pair] = []
    while len(merges) < count:
        pair = (tokens[rng.integer(0, len(tokens))], tokens[rng.integer(0, len(tokens))])
        if pair not in merges:
            tokens.append(256 + len(merges))
            merges.append(pair)
    return merges


def draw_word(rng: Any, letters: str, length: int) -> tuple[int, ...]:
    """Return a word of these letters as bytes."""
    return tuple(draw_text(rng, letters, length).encode())


def draw_text(rng: Any, characters: str, length: int) -> str:
    """Return a text of these characters, each as likely as the others."""
    return "".join(characters[rng.integer(0, len(characters))] for _ in range(length))


def draw_counts(rng: Any, letters: str, words: int, longest: int) -> dict[tuple[int, ...], int]:
    """Return words of one to `longest` letters with how often each occurs: few distinct counts, many ties."""
    drawn = [draw_word(rng, letters, rng.integer(1, longest + 1)) for _ in range(words)]
    return {word: rng.integer(1, 5) for word in dict.fromkeys(drawn)}


def draw_unicode(rng: Any, length: int) -> str:
    """Return a text of code points from all of Unicode but the surrogates; half of them are plain ones."""
    points = []
    for _ in range(length):
        point = rng.integer(0, 0x110000 - 0x800)
        plain = CHARACTERS[rng.integer(0, len(CHARACTERS))]
        points.append(plain if rng.integer(0, 2) else chr(point if point < 0xD800 else point + 0x800))
    return "".join(points)


def listed(value: Any) -> Any:
    """Return a list for a tuple too: which of the two holds ids or words is the implementation's choice."""
    return list(value) if isinstance(value, list | tuple) else value


def paired(value: Any) -> Any:
    """Return merges as a list of pairs, whether they came as lists or tuples."""
    is_row = isinstance(value, list | tuple)
    return [tuple(pair) if isinstance(pair, list) else pair for pair in value] if is_row else value


def outcome(call: Callable[[], Any]) -> Any:
    """Return what the call gives, or "raises ValueError" if it does."""
    try:
        return listed(call())
    except ValueError:
        return "raises ValueError"


def said(value: Any) -> Any:
    """Return data as Python writes it, a dict in the order of its keys; anything else as it is."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {value[key]!r}" for key in sorted(value)) + "}"
    return repr(value) if isinstance(value, list | tuple | bytes | str) else value


def numbers(data: Any) -> Any:
    """Return bytes as the list of their numbers, so that a difference can be said to stand at a place."""
    return list(data) if isinstance(data, bytes) else data
