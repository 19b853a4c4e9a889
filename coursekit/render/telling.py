"""The words of a report, in the order in which they are read; layout is decided elsewhere.

Nothing here knows about colors, widths or HTML, so that terminal and notebook say the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from coursekit.judging.verdict import FileFault, Report, Status, Trail, Verdict
from coursekit.registry import Step

# One thing at a time: what has been tried and does not stand comes before what is not begun.
TRIED = (Status.FAILED, Status.ERROR, Status.NOT_ALLOWED, Status.TIMEOUT, Status.CRASHED)

# Blocks of more lines than this are folded away where a page can do that.
LONG = 12


@dataclass(frozen=True)
class Part:
    """One piece of a message: a label with a short value, a sentence without a label, or a block of lines.

    `is_block` keeps line ends and columns as they are; `is_long` may be folded away where a page can do that.
    """

    label: str
    text: str
    is_block: bool = False
    is_long: bool = False


def shown(place: str) -> str:
    """Return a path, "file" or "file:line", as one types it in the current folder."""
    return place.removeprefix(str(Path.cwd()) + os.sep)


def title_of(step: Step, item_id: str) -> str:
    """Return the title of an exercise or milestone, or nothing where the step has none of this id."""
    return next((item.title for item in step.items if item.id == item_id), "")


def credit(verdict: Verdict) -> str:
    """Return the points in words, "1 of 2 points"; nothing for a milestone, which carries none."""
    if not verdict.points:
        return ""
    return f"{verdict.score:g} of {plural(verdict.points, 'point')}"


def plural(count: int, noun: str) -> str:
    """Return "1 point", "2 points"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def parts(verdict: Verdict) -> list[Part]:
    """Return everything that is said about one verdict beneath its first line, the next step last."""
    told = [Part("", verdict.message)] if verdict.message else []
    if verdict.claim:
        told.append(Part("What was checked", verdict.claim))
    if verdict.got is not None:
        told.append(Part("Came back", verdict.got, is_block="\n" in verdict.got))
    if verdict.expected is not None:
        told.append(Part("Expected", verdict.expected, is_block="\n" in verdict.expected))
    if verdict.where:
        told.append(Part("Where", verdict.where))
    told += _diagnosis(verdict)
    if verdict.smallest:
        # It comes with its own first line and is never folded away.
        told.append(Part("", verdict.smallest, is_block=True))
    if verdict.trail:
        told.append(Part(trail_title(verdict.trail), trail_text(verdict.trail), is_block=True))
    if verdict.detail and verdict.status is Status.FAILED:
        told.append(Part("", verdict.detail, is_block=True))
    elif verdict.detail:
        told.append(Part("In your code", verdict.detail, is_block=True, is_long=_is_long(verdict.detail)))
    if verdict.printed:
        told.append(
            Part("Your code printed", verdict.printed, is_block=True, is_long=_is_long(verdict.printed))
        )
    if verdict.inside:
        told.append(Part("To look inside", verdict.inside))
    return [*told, Part("Next", verdict.next)]


def trail_title(trail: Trail) -> str:
    """Return what stands above a trail: the values on the way, and under which conditions."""
    return "On the way" + (f", {trail.title}" if trail.title else "")


def trail_text(trail: Trail) -> str:
    """Return a trail as lines in two columns, the first value that differs last and marked."""
    width = max(len(link.name) for link in trail.links)
    return "\n".join(
        f"{'>' if link.differs else ' '} {link.name.ljust(width)}  {link.told}" for link in trail.links
    )


def _is_long(text: str) -> bool:
    return text.count("\n") > LONG


def _diagnosis(verdict: Verdict) -> list[Part]:
    """Say which known mistake the values equal; where none, say that plainly, and never guess."""
    if verdict.mistake is not None:
        if verdict.mistake.is_all:
            return [Part("A known mistake gives exactly this", verdict.mistake.text)]
        more = "It explains what is checked here. Further on your code differs in something else, too."
        return [Part("Up to here a known mistake gives exactly this", verdict.mistake.text), Part("", more)]
    if verdict.status is not Status.FAILED or not verdict.known_mistakes:
        return []
    known = verdict.known_mistakes
    if known == 1:
        return [Part("", "The one known mistake gives other values: this is something else.")]
    return [Part("", f"None of the {known} known mistakes gives these values: this is something else.")]


def fault_parts(fault: FileFault) -> list[Part]:
    """Return what is said about a fault outside all bodies: the sentence, what it costs, its place."""
    told = [Part("", fault.message)]
    if fault.detail:
        told.append(Part("", fault.detail, is_block=True))
    if fault.costs:
        told.append(Part("It costs", ", ".join(fault.costs)))
    return told


def tally(report: Report) -> str:
    """Return the report in one line: how many passed, how many points."""
    passed = sum(verdict.status is Status.PASSED for verdict in report.verdicts)
    words = f"{passed} of {len(report.verdicts)} passed"
    return words + (f", {report.score:g} of {plural(report.points, 'point')}" if report.points else "")


def is_told(verdict: Verdict, report: Report) -> bool:
    """Tell whether a fault of the file already says all there is to say about a verdict."""
    costs = {item_id for fault in report.faults for item_id in fault.costs}
    return verdict.id in costs and verdict.status is Status.ERROR and not verdict.detail


def first_to_do(report: Report) -> Verdict | None:
    """Return the verdict to look at first: what was tried and does not stand, else what is not begun.

    None where a fault of the file comes first, or everything passes.
    """
    left = [v for v in report.verdicts if v.status is not Status.PASSED and not is_told(v, report)]
    tried = [v for v in left if v.status in TRIED]
    if report.faults and not tried:
        return None
    return next(iter(tried + left), None)
