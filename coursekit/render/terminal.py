"""Reports for a terminal of any width, with or without colors: rich lays out what `telling` says.

Text that came from the learner or from tensors is never read as markup: rich would swallow `[nan, nan]`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.registry import Step
from coursekit.render.passing import meaning, onward_shown, reference_shown
from coursekit.render.telling import (
    Part,
    credit,
    fault_parts,
    first_to_do,
    is_told,
    parts,
    shown,
    tally,
    title_of,
)

# Color and symbol only repeat the word, which always stands beside them.
_LOOKS = {
    Status.PASSED: ("✓", "bold green"),
    Status.FAILED: ("✗", "bold red"),
    Status.NOT_STARTED: ("·", "bold"),
    Status.BLOCKED: ("·", "bold yellow"),
    Status.NOT_ALLOWED: ("✗", "bold magenta"),
    Status.ERROR: ("✗", "bold red"),
    Status.TIMEOUT: ("✗", "bold red"),
    Status.CRASHED: ("✗", "bold red"),
}


def make_console(
    stream: TextIO | None = None, width: int | None = None, color: bool | None = None
) -> Console:
    """Return a console that never reads markup; colors only where the terminal and NO_COLOR allow them."""
    return Console(
        file=stream,
        width=width,
        no_color=None if color is None else not color,
        force_terminal=color or None,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
        # In a notebook rich would show what it prints by itself, beside what the cell shows.
        force_jupyter=False,
    )


def print_report(report: Report, step: Step, console: Console) -> None:
    """Print a report: one verdict in full; of several a line each, and in full only what to do first."""
    console.print(render_report(report, step, console.encoding))


def report_text(report: Report, step: Step, width: int = 88) -> str:
    """Return the report as text without colors."""
    stream = io.StringIO()
    console = make_console(stream, width=width, color=False)
    console.print(render_report(report, step, "utf-8"))
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip("\n").split("\n"))


def render_report(report: Report, step: Step, encoding: str = "utf-8") -> Group:
    """Return what is printed: faults of the file, then one verdict in full or a table with the first."""
    told: list[RenderableType] = []
    for fault in report.faults:
        told.append(Text(f"{shown(report.file)}: a fault outside the exercises", style="bold red"))
        told += [_part(part) for part in fault_parts(fault)]
        told.append(Text())
    if len(report.verdicts) == 1:
        if not is_told(report.verdicts[0], report):
            told.append(render_verdict(report.verdicts[0], step, encoding))
        return Group(*told)
    told += [
        Text(shown(report.file), style="bold"),
        verdict_table(report, step, encoding),
        Text(tally(report)),
    ]
    first = first_to_do(report)
    if first is not None:
        told += [Text(), render_verdict(first, step, encoding)]
    elif report.verdicts and not report.faults:
        told += onward_shown(report.verdicts[-1], is_alone=False)
    return Group(*told)


def render_verdict(verdict: Verdict, step: Step, encoding: str = "utf-8") -> Group:
    """Return one verdict in full: its word, its title, where the code stands, what to say, the next step."""
    head = status_text(verdict.status, encoding)
    head.append(f"  {verdict.id} {title_of(step, verdict.id)}".rstrip(), style="bold")
    if points := credit(verdict):
        head.append(f"  ({points})")
    told: list[RenderableType] = [head]
    passing = verdict.passing
    if passing is not None:
        if passing.again:
            head.append(", as before")
        said = [*meaning(passing), *(part for part in parts(verdict) if part.label != "Next")]
        reference = [] if passing.again else reference_shown(passing)
        return Group(head, *map(_part, said), *reference, *onward_shown(verdict))
    if verdict.location and verdict.status is not Status.PASSED:
        told.append(Indented(Text(shown(verdict.location), style="dim")))
    return Group(*told, *(_part(part) for part in parts(verdict)))


def status_text(status: Status, encoding: str = "utf-8") -> Text:
    """Return the status as a word, with its symbol before it where the output can show that."""
    symbol, style = _LOOKS[status]
    return Text(f"{symbol} {status}" if can_show(symbol, encoding) else str(status), style=style)


def can_show(text: str, encoding: str) -> bool:
    """Tell whether an output of this encoding can show the text: Windows' old code pages cannot show ✓."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def verdict_table(report: Report, step: Step, encoding: str) -> Table:
    """Return one line for each exercise: id, title, status, points."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    for verdict in report.verdicts:
        points = f"{verdict.score:g}/{verdict.points}" if verdict.points else ""
        title = Text(title_of(step, verdict.id))
        table.add_row(Text(verdict.id), title, status_text(verdict.status, encoding), Text(points))
    return table


def bold(text: str) -> Text:
    """Return a headline."""
    return Text(text, style="bold")


@dataclass(frozen=True)
class Indented:
    """Text that stands to the right of its headline, wrapped to the terminal, without blanks behind it."""

    text: Text
    columns: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - self.columns, 1)
        for line in self.text.wrap(console, width, overflow="fold"):
            line.rstrip()
            yield Text(" " * self.columns) + line if line.plain else Text()


def plain(text: str) -> Indented:
    """Return text from the left edge; its line ends are kept."""
    return Indented(Text(text), 0)


def indented(text: str) -> Indented:
    """Return text that stands a little to the right of its headline; its line ends are kept."""
    return Indented(Text(text))


def _part(part: Part) -> RenderableType:
    text = Text(part.text.rstrip("\n"), overflow="fold")
    if part.is_block:
        block = Indented(text, 4)
        return Group(Text(f"  {part.label}:", style="bold"), block) if part.label else block
    if part.label:
        text = Text.assemble((f"{part.label}: ", "bold"), part.text, overflow="fold")
    return Indented(text)
