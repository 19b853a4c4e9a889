"""Reports as HTML for notebooks: no script, no request, readable in any theme and by screen readers.

Text takes the page's own color; only the status word has one of its own, white on a dark ground (contrast
above 6:1 in either theme), so that nothing depends on the theme's palette.
"""

from __future__ import annotations

from html import escape

from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.registry import Step
from coursekit.render.passing import meaning
from coursekit.render.passing_html import onward_html, reference_html
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

_GROUND = {
    Status.PASSED: "#1b5e20",
    Status.FAILED: "#b71c1c",
    Status.NOT_STARTED: "#455a64",
    Status.BLOCKED: "#6d4c00",
    Status.NOT_ALLOWED: "#6a1b9a",
    Status.ERROR: "#b71c1c",
    Status.TIMEOUT: "#b71c1c",
    Status.CRASHED: "#b71c1c",
}
_FAINT = "var(--jp-border-color1, #8a8a8a)"
_MONO = "font-family:var(--jp-code-font-family, monospace);font-size:var(--jp-code-font-size, 13px)"
_PRE = f"margin:2px 0 6px 0;padding:4px 8px;border:1px solid {_FAINT};background:transparent;color:inherit;"
_PRE += f"overflow-x:auto;white-space:pre;{_MONO}"
_CELL = "text-align:left;padding:2px 14px 2px 0;border:none;background:transparent;color:inherit"


def report_html(report: Report, step: Step) -> str:
    """Return a report: faults of the file, then one verdict in full or a table with the first to do."""
    told = []
    for fault in report.faults:
        told.append(f"<p><strong>{escape(shown(report.file))}: a fault outside the exercises</strong></p>")
        told += [_part(part) for part in fault_parts(fault)]
    if len(report.verdicts) == 1:
        if not is_told(report.verdicts[0], report):
            told.append(verdict_html(report.verdicts[0], step))
    else:
        told.append(_table(report, step))
        first = first_to_do(report)
        if first is not None:
            told.append(verdict_html(first, step))
        elif report.verdicts and not report.faults:
            told.append(onward_html(report.verdicts[-1], is_alone=False))
    return status_box("".join(told))


def verdict_html(verdict: Verdict, step: Step) -> str:
    """Return one verdict in full: its word, its title, its place, what is to be said, the next step."""
    points = f" ({credit(verdict)})" if credit(verdict) else ""
    title = f"{verdict.id} {title_of(step, verdict.id)}".rstrip()
    head = f"<p>{_badge(verdict.status)} <strong>{escape(title)}</strong>{escape(points)}"
    passing = verdict.passing
    if passing is not None:
        said = [*meaning(passing), *(part for part in parts(verdict) if part.label != "Next")]
        before = ", as before" if passing.again else ""
        told = "".join(map(_part, said)) + reference_html(passing) + onward_html(verdict)
        return f"{head}{before}</p>{told}"
    if verdict.location and verdict.status is not Status.PASSED:
        head += f" · <span style='{_MONO}'>{escape(shown(verdict.location))}</span>"
    return head + "</p>" + "".join(_part(part) for part in parts(verdict))


def status_box(inner: str) -> str:
    """Return a box that a screen reader announces when it appears."""
    return f'<div role="status" style="border-left:3px solid {_FAINT};padding:2px 0 2px 12px">{inner}</div>'


def sentence_html(sentence: str) -> str:
    """Return one sentence in the same box as a report."""
    return status_box(f"<p>{escape(sentence)}</p>")


def _badge(status: Status) -> str:
    ground = f"background:{_GROUND[status]};color:#ffffff;white-space:nowrap"
    return f'<span style="{ground};padding:1px 8px;border-radius:3px;font-weight:bold">{status}</span>'


def _part(part: Part) -> str:
    label = f"<strong>{escape(part.label)}:</strong> " if part.label else ""
    if not part.is_block:
        value = escape(part.text)
        if part.label in ("Came back", "Expected", "Where", "Next"):
            value = f'<span style="{_MONO};white-space:pre-wrap">{value}</span>'
        return f'<div style="margin:2px 0">{label}{value}</div>'
    block = f'<pre tabindex="0" style="{_PRE}">{escape(part.text.rstrip())}</pre>'
    if part.is_long:
        return f"<details><summary>{escape(part.label)}</summary>{block}</details>"
    return f'<div style="margin:2px 0">{label}{block}</div>'


def _table(report: Report, step: Step) -> str:
    rows = []
    for verdict in report.verdicts:
        points = f"{verdict.score:g}/{verdict.points}" if verdict.points else ""
        cells = [escape(title_of(step, verdict.id)), _badge(verdict.status), points]
        tds = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
        rows.append(
            f'<tr style="background:transparent"><th scope="row" style="{_CELL}">{verdict.id}</th>{tds}</tr>'
        )
    heads = "".join(
        f'<th scope="col" style="{_CELL}">{h}</th>' for h in ("Exercise", "Title", "Status", "Points")
    )
    return (
        f"<p><strong>{escape(shown(report.file))}</strong></p>"
        '<div role="group" aria-label="Verdicts" tabindex="0" style="overflow-x:auto">'
        f'<table style="border-collapse:collapse;margin:0"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div><p>{escape(tally(report))}</p>"
    )
