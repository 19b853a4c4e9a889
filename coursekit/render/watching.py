"""The screen of `course watch`: the verdicts, a note, the exercise in hand with its place, the keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.text import Text

from coursekit.judging.verdict import Report
from coursekit.practice.passing import stands
from coursekit.practice.progress import load
from coursekit.practice.watching import HELP, NO_KEYS, State
from coursekit.registry import Step
from coursekit.render.links import place_text
from coursekit.render.passing import reference_shown
from coursekit.render.telling import tally
from coursekit.render.terminal import bold, indented, plain, render_report, verdict_table

REFERENCE = "r shows the reference beside your version"


def fitting(state: State, console: Console, has_keys: bool) -> Group:
    """Return what is drawn; where the screen is too low for it, without what a key can show."""
    whole = screen(state, console.encoding, has_keys)
    if not has_keys or not console.is_terminal or state.shows_reference:
        return whole
    fits = len(console.render_lines(whole)) < console.height
    return whole if fits else screen(state, console.encoding, has_keys, is_low=True)


def screen(state: State, encoding: str, has_keys: bool, is_low: bool = False) -> Group:
    """Return the whole screen. While exercises are judged, their verdicts from before are left out."""
    told: list[RenderableType] = []
    busy = set(state.busy.ids) if state.busy else set()
    reports = [(step, report) for step, report in state.reports if not busy & {v.id for v in report.verdicts}]
    if state.page is not None:
        told += [indented(state.page), Text()]
    elif state.shows_reference:
        told += [*_references(reports), Text()]
    else:
        for step, report in reports:
            told += [_low(report, step, encoding) if is_low else _whole(report, step, encoding), Text()]
        if state.note:
            told += [indented(state.note), Text()]
    if busy:
        more = ", then what was saved meanwhile" if state.has_more else ""
        told.append(Text(f"Checking {', '.join(sorted(busy))} ...{more}", style="dim"))
    return Group(*told, *_in_hand(state, has_keys))


def _references(reports: list[tuple[Step, Report]]) -> Iterator[RenderableType]:
    for _, report in reports:
        for verdict in report.verdicts:
            if verdict.passing is not None:
                yield from reference_shown(verdict.passing)


def _whole(report: Report, step: Step, encoding: str) -> RenderableType:
    return render_report(_plainer(report, with_reference=True), step, encoding)


def _low(report: Report, step: Step, encoding: str) -> RenderableType:
    """Return a report for a low screen: of several verdicts the table alone, of a pass all but the code."""
    if len(report.verdicts) > 1:
        return Group(verdict_table(report, step, encoding), Text(tally(report)))
    told = render_report(_plainer(report, with_reference=False), step, encoding)
    has_reference = any(v.passing and v.passing.beside for v in report.verdicts)
    return Group(told, Text(f"  {REFERENCE}", style="dim")) if has_reference else told


def _in_hand(state: State, has_keys: bool) -> list[RenderableType]:
    """Return the last lines: the exercise in hand, where it is written, how far the path is, the keys."""
    place = state.place()
    status = state.statuses.get(state.current.id)
    is_known = status is not None and (state.busy is None or state.current.id not in state.busy.ids)
    return [
        bold(f"{state.current.id} {state.current.title}" + (f": {status}" if is_known else "")),
        place_text(place.file, place.line),
        plain(stands(state.step, load(state.step.root))),
        Text(HELP if has_keys else NO_KEYS, style="dim"),
    ]


def _plainer(report: Report, with_reference: bool) -> Report:
    """Return a report without what stands at the foot of the screen anyway."""
    verdicts = []
    for verdict in report.verdicts:
        passing = verdict.passing
        if passing is not None:
            beside = passing.beside if with_reference else ()
            onward = "" if passing.following else verdict.next
            passing = dataclasses.replace(passing, following=None, stands="", beside=beside)
            verdict = dataclasses.replace(verdict, passing=passing, next=onward)
        verdicts.append(verdict)
    return dataclasses.replace(report, verdicts=tuple(verdicts))


def list_text(state: State) -> str:
    """Return the exercises of the path with how they stand, and what the last check said of them."""
    known = load(state.step.root)
    lines = []
    for item in state.items:
        now = f", now {state.statuses[item.id]}" if item.id in state.statuses else ""
        mark = ">" if item.id == state.current.id else " "
        lines.append(f"{mark} {item.id}  {item.title}: {known.standing(item.id)}{now}")
    return "\n".join(lines)
