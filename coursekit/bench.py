"""Measure against peers in one run: rows of ratios, medians of interleaved repeats. Above 1 means better than
the peer.

A benchmark is an entry of a step's `exercises.toml` whose module has `rows()`. Where it has `parse(words)`,
too, it takes options: what stands behind its name goes through `parse` to `rows`. Absolute times belong to
this machine; only the ratios carry over. Nothing else should compute meanwhile.
"""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from coursekit.naming import Help, WrongArguments, read_arguments
from coursekit.registry import COURSE_ROOT, Entry, UnknownName, load_course


@dataclass(frozen=True)
class Row:
    """One comparison: what was measured, ours and the peer's in `unit`, and the ratio (above 1: ours is
    better).
    """

    what: str
    ours: float | None
    peer: float | None
    ratio: float | None
    peer_name: str
    unit: str = "s"
    skipped: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the row as `--json` prints it, with what else was measured beside the ratio."""
        row = asdict(self)
        return {**{k: v for k, v in row.items() if k != "more"}, **self.more}


def lower_is_better(what: str, ours: float, peer: float, peer_name: str, unit: str = "s", **more: Any) -> Row:
    """Return a row of two costs: the ratio is the peer's cost over ours."""
    return Row(what, ours, peer, peer / ours, peer_name, unit, more=more)


def interleaved(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Time every callable once per round, in turn, so that what disturbs the machine disturbs all of them.

    Returns the seconds of each, in the order of the rounds. A first round is run and thrown away.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def once(run: Callable[[], object]) -> float:
    """Return the seconds of one run, for what takes too long to repeat."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each list."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def find(name: str) -> Entry:
    """Return the benchmark of this name. Raises UnknownName, saying which there are."""
    entries = [e for step in load_course() for e in step.entries if e.kind == "benchmark"]
    for entry in entries:
        if entry.name == name:
            return entry
    raise UnknownName(
        f"there is no benchmark {name!r}; there are {', '.join(e.name for e in entries) or 'none yet'}"
    )


def run(name: str, as_json: bool = False, options: Sequence[str] = ()) -> int:
    """Run a benchmark with its own options and print its rows; return the exit status."""
    module = importlib.import_module(find(name).module)
    rows: list[Row] = module.rows(module.parse(options)) if options else module.rows()
    if as_json:
        print(json.dumps({"rows": [row.to_json() for row in rows]}, indent=2))
        return 0
    for row in rows:
        if row.skipped:
            print(f"{row.what}: skipped, {row.skipped}")
            continue
        print(
            f"{row.what}: {row.ours:.3g} {row.unit} against {row.peer_name} {row.peer:.3g} {row.unit}, "
            f"ratio {row.ratio:.2f}"
        )
        for key, value in row.more.items():
            print(f"    {key}: {value:.3g}" if isinstance(value, float) else f"    {key}: {value}")
    return 0


def start(*command: str, expect: int = 0) -> None:
    """Run a program of this Python to its end. Raises RuntimeError if it ends otherwise than expected."""
    done = subprocess.run([sys.executable, *command], cwd=COURSE_ROOT, capture_output=True, text=True)
    if done.returncode != expect:
        raise RuntimeError(
            f"{' '.join(command)} must end with {expect}, got {done.returncode}:\n{done.stdout}{done.stderr}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that the command line names: status 0; 2 where it names none, saying which there
    are.
    """
    entries = {e.name: e.help for step in load_course() for e in step.entries if e.kind == "benchmark"}
    given = list(sys.argv[1:] if arguments is None else arguments)
    given, own = _parted(given, entries)
    try:
        name, options = read_arguments("course bench", "benchmark", entries, given, ["--json"])
    except Help as text:
        print(text)
        return 0
    except WrongArguments as error:
        print(error, file=sys.stderr)
        return 2
    return run(name, "--json" in options, own)


def _parted(given: list[str], entries: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the words that every benchmark takes, and those behind the name of one that takes options."""
    name = next((word for word in given if word in entries), None)
    at = given.index(name) + 1 if name else len(given)
    own = [word for word in given[at:] if word != "--json"]
    if name is None or not own or not hasattr(importlib.import_module(find(name).module), "parse"):
        return given, []
    return [*given[:at], *(word for word in given[at:] if word == "--json")], own


if __name__ == "__main__":
    sys.exit(main())
