"""Results that take too long for every test run, kept with what they rest on: `course evidence NAME`.

A piece of evidence is an [[evidence]] entry of a step's `exercises.toml` whose module has `evidence()`.
That returns a dict with "seeds", "results" and "claims" (a sentence and whether it held). The file
docs/evidence/NAME.json adds the command, the commit, the machine and the state of the code that the entry
names as its inputs.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import io
import json
import os
import platform
import subprocess
import sys
import tokenize
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coursekit.naming import Help, WrongArguments, read_arguments
from coursekit.registry import COURSE_ROOT, Entry, Step, UnknownName, load_course


def run(name: str, root: Path = COURSE_ROOT) -> int:
    """Make the evidence of this name and write docs/evidence/NAME.json; return the exit status.

    Where a claim does not hold nothing is written, and the status is 1. Raises UnknownName.
    """
    entry = find(name, root)
    measured = importlib.import_module(entry.module).evidence()
    broken = [claim for claim, held in measured["claims"].items() if not held]
    if broken:
        print(f"Nothing is written, because this did not hold: {'; '.join(broken)}.", file=sys.stderr)
        print(json.dumps(measured, indent=2), file=sys.stderr)
        return 1
    document = {
        "name": name,
        "command": f"course evidence {name}",
        "commit": commit(root),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        **measured,
        "inputs": fingerprints(entry, root),
    }
    path = file_of(name, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"Written: {path.relative_to(root)}")
    return 0


def find(name: str, root: Path = COURSE_ROOT) -> Entry:
    """Return the [[evidence]] entry of this name. Raises UnknownName, saying which there are."""
    entries = [entry for step in load_course(root) for entry in step.entries if entry.kind == "evidence"]
    for entry in entries:
        if entry.name == name:
            return entry
    there = ", ".join(sorted(entry.name for entry in entries)) or "none"
    raise UnknownName(f"there is no evidence {name!r}; there is {there}")


def file_of(name: str, root: Path = COURSE_ROOT) -> Path:
    """Return where the evidence of this name is kept."""
    return root / "docs" / "evidence" / f"{name}.json"


def stale(step: Step) -> list[str]:
    """Return one sentence for each piece of the step's evidence that is missing or rests on code that has
    changed.

    Comments, docstrings and blank lines may change; any other edit to an input counts.
    """
    sentences = []
    for entry in step.entries:
        if entry.kind == "evidence":
            path = file_of(entry.name, step.root)
            name = path.relative_to(step.root).as_posix()
            reason = _reason(entry, path, step.root)
            if reason:
                sentences.append(f"{name} {reason}: run `course evidence {entry.name}`")
    return sentences


def _reason(entry: Entry, path: Path, root: Path) -> str:
    """Return why the evidence no longer counts, or nothing."""
    if not path.exists():
        return "is missing"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["inputs"]
    except (ValueError, KeyError, TypeError):
        return "cannot be read"
    now = fingerprints(entry, root)
    changed = sorted(name for name in now.keys() | kept.keys() if now.get(name) != kept.get(name))
    return f"rests on code that has changed since ({', '.join(changed)})" if changed else ""


def fingerprints(entry: Entry, root: Path = COURSE_ROOT) -> dict[str, str]:
    """Return a hash for each file that the entry names in `inputs` (relative paths; `*` stands for any name).

    `file.py::f C` stands for the function f and the class C of a file, whatever else it holds. Raises
    UnknownName where a pattern meets nothing: evidence must not seem to rest on what is not there.
    """
    found: dict[str, str] = {}
    for pattern in entry.inputs:
        place, _, names = pattern.partition("::")
        paths = sorted(root.glob(place))
        if not paths:
            raise UnknownName(
                f"evidence {entry.name!r} names the input {pattern!r}, and there is no such file"
            )
        for path in paths:
            text = path.read_text(encoding="utf-8")
            if names:
                text = _only(text, names.split(), f"evidence {entry.name!r} names the input {pattern!r}")
            code = bare(text) if path.suffix == ".py" else text
            key = path.relative_to(root).as_posix() + (f"::{names}" if names else "")
            found[key] = hashlib.sha256(code.encode()).hexdigest()[:16]
    return found


def _only(source: str, names: Sequence[str], told: str) -> str:
    """Return the source of these functions, classes and variables of a file, in the order of the names."""
    parts: dict[str, str] = {}
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        segment = ast.get_source_segment(source, node) or ""
        for target in targets:
            parts[getattr(target, "name", getattr(target, "id", ""))] = segment
    if missing := [name for name in names if name not in parts]:
        raise UnknownName(f"{told}, and the file has no {missing[0]}")
    return "\n".join(parts[name] for name in names)


def bare(source: str) -> str:
    """Return Python source without comments, docstrings and blank lines: what remains is what runs.

    Equal on every Python version, as only places are taken from the parser and the lines themselves from
    the text.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            first, last = node.body[0].lineno, node.body[0].end_lineno or 0
            lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def commit(root: Path = COURSE_ROOT) -> str:
    """Return the commit that is checked out, with "+changes" where tracked files differ from it, or
    "unknown".
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, its number of cores, system, Python and torch."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def _processor() -> str:
    """Return the processor's name where Linux tells it, else what the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `course evidence NAME`: status 0 written, 1 a claim does not hold, 2 no such evidence."""
    entries = {e.name: e.help for step in load_course() for e in step.entries if e.kind == "evidence"}
    given = sys.argv[1:] if arguments is None else arguments
    try:
        name, _ = read_arguments("course evidence", "piece of evidence", entries, given)
    except Help as text:
        print(text)
        return 0
    except WrongArguments as error:
        print(error, file=sys.stderr)
        return 2
    return run(name)


if __name__ == "__main__":
    raise SystemExit(main())
