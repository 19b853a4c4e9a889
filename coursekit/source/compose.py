"""Put definitions of one file in the place of another's, line by line, and remember whose each line is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from coursekit.source.spans import Span, all_spans, find_spans, spans_of
from coursekit.source.text import prefix_of, split_lines

# A line with the number of the learner's line behind it, None where it is the solution's.
Line = tuple[str, int | None]


@dataclass(frozen=True)
class Composed:
    """A file made of the learner's lines and the solution's.

    `lines[i]` is the learner's line behind line i + 1 of `text`, None where that line is the solution's.
    `missing` are the targets to keep that the learner's file does not define.
    """

    text: str
    lines: tuple[int | None, ...]
    missing: tuple[str, ...]


def isolate(
    learner_text: str, exercise_text: str, keep: Collection[str], targets: Collection[str]
) -> Composed:
    """Return the learner's file with the solution's definition of every target that is not kept.

    Whole definitions change places, headers too, so that a renamed parameter in another exercise costs
    nothing here. Targets that the learner's file does not define, and classes that hold some, are added from
    the solution; those to keep are named in `missing` instead. No other line changes.
    """
    others = [target for target in targets if target not in keep]
    lines = _replaced(learner_text, exercise_text, others, keep)
    return _composed(lines, _missing(learner_text, exercise_text, keep))


def transplant(
    learner_text: str, exercise_text: str, keep: Collection[str], targets: Collection[str]
) -> Composed:
    """Return the solution's file with the learner's definitions of the kept targets, and of nothing else.

    For a learner's file that cannot be used as a whole: what it says outside the kept definitions is not
    there.
    """
    theirs = find_spans(learner_text, targets, exercise_text)
    theirs = {target: span for target, span in theirs.items() if target in keep}
    source = split_lines(learner_text)
    lines: list[Line] = [(line, None) for line in split_lines(exercise_text)]
    places = {target: spans[-1] for target, spans in spans_of(exercise_text).items() if target in theirs}
    for target, place in sorted(places.items(), key=lambda pair: -pair[1].header):
        span = theirs[target]
        numbers = range(span.header, span.last + 1)
        moved = _moved([source[n - 1] for n in numbers], span.prefix, place.prefix, "\n")
        lines[place.header - 1 : place.last] = list(zip(moved, numbers))
    return _composed(lines, _missing(learner_text, exercise_text, keep))


def solve(learner_text: str, exercise_text: str, targets: Collection[str]) -> str:
    """Return the learner's text with the solution's definitions of the targets; everything else byte for
    byte.
    """
    return "".join(line for line, _ in _replaced(learner_text, exercise_text, targets, ()))


def reset(learner_text: str, stub_text: str, targets: Collection[str]) -> str:
    """Return the learner's text with the stub's definitions of the targets; everything else byte for byte."""
    return "".join(line for line, _ in _replaced(learner_text, stub_text, targets, ()))


def _replaced(learner: str, source: str, targets: Collection[str], keep: Collection[str]) -> list[Line]:
    """Return the learner's lines with the source's definition in the place of each target, missing ones
    added.
    """
    lines: list[Line] = [(line, n) for n, line in enumerate(split_lines(learner), start=1)]
    newline = _newline(learner)
    spans = {target: found[-1] for target, found in spans_of(source).items()}
    source_lines = split_lines(source)
    places = all_spans(learner, [*targets, *keep], source)
    # Every definition of a name, not only the last: a fault may stand in a hidden one, and of two in the
    # branches of an `if` either may count.
    found = {target: spans for target, spans in places.items() if target in targets}
    for target, place in sorted(_pairs(found), key=lambda pair: -pair[1].header):
        span = spans[target]
        body = source_lines[span.header - 1 : span.last]
        ends_file = not lines[place.last - 1][0].endswith(("\n", "\r"))
        new = _moved(body, span.prefix, place.prefix, newline)
        if ends_file:
            new[-1] = new[-1].rstrip("\r\n")
        lines[place.header - 1 : place.last] = [(line, None) for line in new]
    return _with_missing(lines, source, [t for t in targets if t in spans and t not in places], newline)


def _pairs(found: dict[str, list[Span]]) -> Iterable[tuple[str, Span]]:
    return ((target, span) for target, spans in found.items() for span in spans)


def _with_missing(lines: list[Line], source: str, absent: list[str], newline: str) -> list[Line]:
    """Return the lines with the source's definition of each absent target: in its class, or before what
    follows it.
    """
    spans = {target: found[-1] for target, found in spans_of(source).items()}
    source_lines = split_lines(source)
    for target in sorted(absent, key=lambda t: spans[t].header):
        text = "".join(line for line, _ in lines)
        owner = target.rpartition(".")[0]
        if owner:
            class_span = find_spans(text, [owner], source).get(owner)
            if class_span is None:
                target = owner
        if target in find_spans(text, [target], source):
            continue  # it came with its class
        span = spans[target]
        body = source_lines[span.header - 1 : span.last]
        if target != owner and owner:
            assert class_span is not None
            at, prefix = class_span.last, _class_prefix(text, class_span)
        else:
            at, prefix = _place_of(text, source, target), ""
        if at and not lines[at - 1][0].endswith(("\n", "\r")):
            lines[at - 1] = (lines[at - 1][0] + newline, lines[at - 1][1])
        new = [newline, *_moved(body, span.prefix, prefix, newline), newline]
        lines[at:at] = [(line, None) for line in new]
    return lines


def _class_prefix(text: str, span: Span) -> str:
    """Return the white space that the body of the class in this span begins with."""
    lines = split_lines(text)
    body = (line for line in lines[span.body_first - 1 : span.last] if line.strip())
    return prefix_of(next(body, "    "))


def _place_of(text: str, source: str, target: str) -> int:
    """Return after which line a missing function or class goes: before the first that follows it in the
    source.
    """
    order = [name for name in spans_of(source) if "." not in name]
    order.sort(key=lambda name: spans_of(source)[name][-1].header)
    there = find_spans(text, order, source)
    for name in order[order.index(target) + 1 :]:
        if name in there:
            return there[name].header - 1
    lines = split_lines(text)
    for number, line in enumerate(lines, start=1):
        if re.match(r"if[ \t(]+__name__\b", line):
            return number - 1
    return len(lines)


def _moved(lines: list[str], old: str, new: str, newline: str) -> list[str]:
    """Return a definition's lines with another leading white space and another line end."""
    moved = []
    for line in lines:
        text = line.rstrip("\r\n")
        moved.append((new + text.removeprefix(old) if text.startswith(old) and text else text) + newline)
    return moved


def _newline(text: str) -> str:
    """Return how the text ends its lines, as its first line does."""
    first = split_lines(text)[:1]
    end = first[0][len(first[0].rstrip("\r\n")) :] if first else ""
    return end or "\n"


def _missing(learner: str, source: str, keep: Collection[str]) -> tuple[str, ...]:
    there = find_spans(learner, keep, source)
    return tuple(target for target in keep if target not in there)


def _composed(lines: list[Line], missing: tuple[str, ...]) -> Composed:
    return Composed("".join(line for line, _ in lines), tuple(number for _, number in lines), missing)
