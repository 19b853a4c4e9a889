"""4.6, streaming: known mistakes with stop strings, and accepted variants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from coursekit.probe import mistake, variant
from step4_generate.mistakes.core_stream import complete, doubtful, refuse, streamed, whole


@mistake("4.6")
def never_stops(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text does not end at a stop string."""
    return streamed(ids, vocab, stops, find=lambda held, stops: None, keep=lambda held, stops: 0)


@mistake("4.6")
def within_one_token(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your code looks for a stop string in each piece of text by itself. One that is spread over tokens is
    never found.
    """
    return streamed(ids, vocab, stops, keep=lambda held, stops: 0)


@mistake("4.6")
def beginning_said(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text shows the beginning of a stop string, before the rest of it arrives. What has been shown
    cannot be taken back: hold back whatever may become one.
    """
    refuse(stops)
    said = ""
    for text in whole(ids, vocab):
        found = complete(said + text, stops)
        new = (said + text)[: found[1]][len(said) :] if found else text
        if new:
            yield new
        said += text
        if found:
            return


@mistake("4.6")
def stop_said(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text ends with the stop string itself. It belongs to the form of the conversation, not to what is
    said: nothing of it is shown.
    """
    return streamed(ids, vocab, stops, shown=lambda held, found: held[: found[0]])


@mistake("4.6")
def rest_said(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text shows what follows the stop string in its token. Tokens do not end where stop strings do:
    nothing after it is shown.
    """
    return streamed(ids, vocab, stops, shown=lambda held, found: held[: found[1]] + held[found[0] :])


@mistake("4.6")
def before_it_lost(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text loses what stands before the stop string in the same piece: the loop ends without saying
    it.
    """
    return streamed(ids, vocab, stops, shown=lambda held, found: "")


@mistake("4.6")
def only_at_the_end(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your code finds a stop string only if the text so far ends with it. Where its last token brings more
    text, it is missed.
    """

    def find(held: str, stops: Sequence[str]) -> tuple[int, int] | None:
        ends = [stop for stop in stops if held.endswith(stop)]
        return (len(held), len(held) - max(map(len, ends))) if ends else None

    return streamed(ids, vocab, stops, find=find)


@mistake("4.6")
def first_stop_alone(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your code looks for the first of the stop strings alone. Any of them ends the text."""
    refuse(stops)
    return streamed(ids, vocab, stops[:1])


@mistake("4.6")
def first_named(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your code takes the stop string that is named first, of several in the text. It is the one that comes
    first in the text that ends it.
    """

    def find(held: str, stops: Sequence[str]) -> tuple[int, int] | None:
        places = ((at + len(stop), at) for stop in stops if (at := held.find(stop)) >= 0)
        return next(places, None)

    return streamed(ids, vocab, stops, find=find)


@mistake("4.6")
def last_place(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your code cuts at the last place of a stop string. The first ends the text."""

    def find(held: str, stops: Sequence[str]) -> tuple[int, int] | None:
        places = ((at + len(stop), at) for stop in stops if (at := held.rfind(stop)) >= 0)
        return min(places, default=None)

    return streamed(ids, vocab, stops, find=find)


@mistake("4.6")
def always_held_back(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text always lags behind by the length of a stop string, whatever it ends with. Only what is the
    beginning of one may be one.
    """

    def keep(held: str, stops: Sequence[str]) -> int:
        return min(len(held), max((len(stop) - 1 for stop in stops), default=0))

    return streamed(ids, vocab, stops, keep=keep)


@mistake("4.6")
def held_too_long(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text is held back from the first character with which a stop string begins, and only said when the
    ids end. It can be said as soon as what follows is another.
    """

    def keep(held: str, stops: Sequence[str]) -> int:
        places = [at for stop in stops if (at := held.find(stop[0])) >= 0]
        return len(held) - min(places, default=len(held))

    return streamed(ids, vocab, stops, keep=keep)


@mistake("4.6")
def rest_not_said(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your text loses what is held back when the ids end. It has not become a stop string: it is text, and is
    said.
    """
    return streamed(ids, vocab, stops, says_rest=False)


@mistake("4.6")
def shortest_kept(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your code holds back the shortest end that may become a stop string. Of aaba, which may become abac or
    abab, aba counts, not the last a alone: hold the longest.
    """

    def keep(held: str, stops: Sequence[str]) -> int:
        found = (n for stop in stops for n in range(1, len(stop)) if held.endswith(stop[:n]))
        return min(found, default=0)

    return streamed(ids, vocab, stops, keep=keep)


@mistake("4.6")
def begun_anew(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Your code gives up a beginning that does not go on, whole. A later part of it may be a beginning, too:
    in aaab, the stop string aab begins at the second a.
    """
    refuse(stops)
    held = ""
    for text in whole(ids, vocab):
        for character in text:
            held += character
            if held in stops:
                return
            if not any(stop.startswith(held) for stop in stops):
                yield held
                held = ""
    if held:
        yield held


@variant("4.6")
def decoded_anew(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """All bytes are decoded again for each id; what is incomplete at their end waits."""
    refuse(stops)
    data, shown = b"", 0
    for token in ids:
        data += vocab[token]
        open_bytes = max((n for n in range(1, 4) if is_open(data[-n:])), default=0)
        text = data[: len(data) - open_bytes].decode("utf-8", "replace")
        if found := complete(text, stops):
            if shown < found[1]:
                yield text[shown : found[1]]
            return
        end = len(text) - doubtful(text, stops)
        if end > shown:
            yield text[shown:end]
            shown = end
    text = data.decode("utf-8", "replace")
    if shown < len(text):
        yield text[shown:]


def is_open(data: bytes) -> bool:
    """Tell whether these bytes are the beginning of one character, and no whole one."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start == 0
    return False


@variant("4.6")
def by_pattern(ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Stop strings and their beginnings as patterns."""
    refuse(stops)
    beginnings = sorted({stop[:n] for stop in stops for n in range(1, len(stop))}, key=len, reverse=True)
    open_end = re.compile("(?:" + "|".join(map(re.escape, beginnings)) + r")\Z") if beginnings else None
    held = ""
    for text in whole(ids, vocab):
        held += text
        ends = [match.span()[::-1] for stop in stops if (match := re.search(re.escape(stop), held))]
        if ends:
            held = held[: min(ends)[1]]
            break
        match = open_end.search(held) if open_end else None
        at = match.start() if match else len(held)
        if at:
            yield held[:at]
            held = held[at:]
    if held:
        yield held


@variant("4.6")
def character_by_character(
    ids: Iterable[int], vocab: Sequence[bytes], stops: Sequence[str] = ()
) -> Iterator[str]:
    """Each character is decided by itself, so that a token may give several pieces."""
    refuse(stops)
    held = ""
    for text in whole(ids, vocab):
        for character in text:
            held += character
            if ending := [stop for stop in stops if held.endswith(stop)]:
                if said := held[: len(held) - max(map(len, ending))]:
                    yield said
                return
            kept = doubtful(held, stops)
            if kept < len(held):
                yield held[: len(held) - kept]
                held = held[len(held) - kept :]
    if held:
        yield held
