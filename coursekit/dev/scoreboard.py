"""Show an audit: a table in the terminal, a page in docs/."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from coursekit.dev.audit import Audit
from coursekit.dev.trials import FAR, LEAST_MARGIN, MOST_SPREAD, Row
from coursekit.registry import Step

HEAD = f"""# The checks, checked

Every check of the course is audited in both directions. Each known mistake is put into the solution and
must be rejected, by at least {LEAST_MARGIN:g} tolerances on every seed, and named by its own text. Right
code in another style must be accepted, within {MOST_SPREAD} of the tolerance on every seed, with one
thread and with two. `course dev audit` does it again; `course dev build --scoreboard` writes this page.

*Margin* is the smallest distance, in tolerances, between a known mistake and right code, to one digit;
"another type" means that every mistake gives another type, shape, whole number or an exception.
"""


def margin_text(margin: float) -> str:
    """Return a margin to one digit, so that every machine writes the same."""
    return "another type" if margin >= FAR else f"{float(f'{margin:.0e}'):,.0f}"


def _cells(row: Row) -> list[str]:
    return [
        row.id,
        row.title,
        f"{row.rejected} of {row.mistakes}",
        f"{row.named} of {row.mistakes}",
        f"{row.accepted} of {row.variants}",
        margin_text(row.margin),
    ]


NAMES = ("id", "exercise", "mistakes rejected", "named", "variants accepted", "margin")


def markdown(audits: Sequence[tuple[Step, Audit]], kept: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return docs/checks.md: a table for each step, with totals.

    `kept` are the rows of an earlier page by id, for what was not audited again; KeyError where one lacks.
    """
    parts = [HEAD]
    for step, audit in audits:
        fresh = {row.id: _cells(row) for row in audit.rows}
        rows = {item.id: fresh.get(item.id) or (kept or {})[item.id] for item in step.items}
        counts = [[map(int, cell.split(" of ")) for cell in rows[e.id][2:5]] for e in step.exercises]
        sums = [" of ".join(str(sum(numbers)) for numbers in zip(*column)) for column in zip(*counts)]
        lines = [f"## Step {step.number}: {step.title}", ""]
        lines += ["| " + " | ".join(NAMES) + " |", "|---|---|---:|---:|---:|---:|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in rows.values()]
        lines += [f"| | **all exercises** | {' | '.join(sums)} | |", ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def rows_of(page: str) -> dict[str, list[str]]:
    """Return the rows of docs/checks.md by id: id, exercise, rejected, named, accepted, margin."""
    rows = (line.strip("| ").split(" | ") for line in page.splitlines() if re.match(r"\| \d", line))
    return {cells[0]: cells for cells in rows}


def show(audit: Audit, console: Console) -> None:
    """Print the audit as a table, and beneath it what slipped, each in a sentence."""
    table = Table(*NAMES)
    for row in audit.rows:
        table.add_row(*_cells(row))
    console.print(table)
    for row in audit.rows:
        for twin in row.same_as:
            console.print(f"{row.id}: {twin['name']} is the same as {twin['same_as']}", markup=False)
        for slip in row.slipped:
            console.print(f"{row.id}: {slip.name} slipped: {slip.why}", markup=False)
    if audit.is_clean:
        console.print("Nothing slipped.")
