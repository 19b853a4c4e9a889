"""What pages say of the course in numbers and its own output: hours, totals, a text, ratios."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coursekit.dev.notebook import BuildError
from coursekit.evidence import file_of
from coursekit.registry import Step

_TOTAL = re.compile(
    r"^\| \| \*\*all exercises\*\* \| (\d+) of (\d+) \| (\d+) of \d+ \| (\d+) of (\d+) \|", re.M
)


def path_table(steps: Sequence[Step]) -> str:
    """Return one row for each path through what there is: exercises and the sum of their minutes."""
    exercises = [exercise for step in steps for exercise in step.exercises]
    core = [exercise for exercise in exercises if exercise.trio == "model"]
    paths = {"quick": [exercise for exercise in core if exercise.quick], "core": core, "all": exercises}
    rows = [
        f"| `course path {name}` | {len(chosen)} | {_time(sum(exercise.minutes for exercise in chosen))} |"
        for name, chosen in paths.items()
    ]
    return "\n".join(["| Path | Exercises | Time |", "|---|--:|--:|", *rows]) + "\n"


def _time(minutes: int) -> str:
    """Return minutes as people say them: "40 min", "2 h 40 min"."""
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)


def totals(root: Path) -> str:
    """Return a sentence with the totals of the scoreboard, docs/checks.md, over all steps."""
    page = root / "docs" / "checks.md"
    found = _TOTAL.findall(page.read_text(encoding="utf-8")) if page.exists() else []
    if not found:
        raise BuildError("docs/checks.md must have totals, got none: course dev build --scoreboard")
    rejected, mistakes, named, accepted, variants = (sum(map(int, column)) for column in zip(*found))
    told = (
        f"Of {mistakes} known wrong implementations, the checks reject {rejected} and name {named}. "
        f"Of {variants} right ones in other styles, they accept {accepted}. "
        "[The scoreboard](docs/checks.md) has a row for each exercise."
    )
    return textwrap.fill(told, 110) + "\n"


@contextmanager
def _evidence(arguments: str, root: Path, holds: str) -> Iterator[dict[str, Any]]:
    """Hand out a piece of evidence by its name; what it lacks in the block is told as one sentence."""
    path = file_of(arguments.strip(), root)
    try:
        yield json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError):
        name = path.relative_to(root).as_posix()
        raise BuildError(f"{name} must hold {holds}, got none: course evidence {path.stem}") from None


def written(arguments: str, root: Path) -> str:
    """Return the text that a model wrote at the end of a piece of evidence, how it came about, and where.

    The evidence says the first two: `written = {"text": ..., "told": ...}`, in docs/evidence/NAME.json.
    """
    with _evidence(arguments, root, "a written text") as made:
        text, told, machine = made["written"]["text"], made["written"]["told"], made["machine"]
        told = f"{told} ({machine['processor']}, {machine['cores']} cores, no GPU; {made['date']})"
    return f"{textwrap.indent(text.rstrip(), '    ')}\n\n{textwrap.fill(told, 110)}\n"


def ratios(arguments: str, root: Path) -> str:
    """Return the rows of a piece of evidence as a table of ratios, and the conditions they were measured in.

    The evidence holds the rows of a benchmark: `rows = [{"what": ..., "ratio": ..., "peer_name": ...}]`.
    """
    with _evidence(arguments, root, "rows of ratios") as made:
        lines = [f"| {row['what']} | {row['peer_name']} | {row['ratio']:.3g} |" for row in made["rows"]]
        told = f"`{made['command']}`: {_machine(made)}; {made['date']}. Above 1, this course is faster."
    return "\n".join(["| What | Against | Times as fast |", "|---|---|--:|", *lines]) + f"\n\n{told}\n"


def variants(arguments: str, root: Path) -> str:
    """Return what a piece of evidence compared as a table: a row for each variant, a column for each seed.

    The evidence holds `seeds`, `results = [{"variant": ..., "seed": ..., "parameters": ..., "steps": ...,
    "held_out": nats}]` and `spread`, the largest difference between two seeds of one variant.
    """
    with _evidence(arguments, root, "results of variants") as made:
        rows: dict[str, list[str]] = {}
        for one in made["results"]:
            row = rows.setdefault(one["variant"], [one["variant"], f"{one['parameters']:,}"])
            row.append(f"{one['held_out']:.3f}")
        head = ["", "Parameters", *(f"Seed {seed}" for seed in made["seeds"])]
        steps = made["results"][0]["steps"]
        told = f"Held-out loss in nats per byte after {steps:,} steps. The seeds of a variant differ "
        told += f"by {made['spread']:.3f} at most. Computed by `{made['command']}`."
    return f"{_rows([head, *rows.values()])}\n\n{textwrap.fill(told, 110)}\n"


def table(arguments: str, root: Path) -> str:
    """Return the table that a piece of evidence holds, how it was computed and on what.

    The evidence holds `table = {"head": [...], "rows": [[...], ...]}`; the first column names the rows.
    """
    with _evidence(arguments, root, "a table") as made:
        return f"{_rows([made['table']['head'], *made['table']['rows']])}\n\n{_computed(made)}\n"


def claims(arguments: str, root: Path) -> str:
    """Return what a piece of evidence has shown, a line for each claim, and how it was computed."""
    with _evidence(arguments, root, "claims") as made:
        lines = "\n".join(f"- {claim}: {'yes' if held else 'no'}" for claim, held in made["claims"].items())
        return f"{lines}\n\n{_computed(made)}\n"


def _rows(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table, the first as its head; all columns but the first hold numbers."""
    head, *others = rows
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _computed(made: dict[str, Any]) -> str:
    torch = made["machine"].get("torch")
    told = _machine(made) + (f", torch {torch}" if torch else "")
    return textwrap.fill(f"`{made['command']}`: {told}; {made['date']}.", 110)


def _machine(made: dict[str, Any]) -> str:
    machine = made["machine"]
    return f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}"
