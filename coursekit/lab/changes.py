"""Says what `--here` would change in an environment that is not the course's own, and asks before it does.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import metadata
from typing import Any

from coursekit.lab import environment
from coursekit.lab.environment import CONSTRAINED, LOG, Stop, fingerprint, must_work, pip


def planned(what: str, *arguments: str) -> tuple[str, list[dict[str, Any]]]:
    """Return a failed trial run's words, else "", and pip's report: an entry for each package to install."""
    report = LOG.with_name("changes.json")
    report.unlink(missing_ok=True)
    failed = pip(sys.executable, what, "--dry-run", "--quiet", "--report", str(report), *arguments)
    return failed, [] if failed else json.loads(report.read_text(encoding="utf-8"))["install"]


def installed_version(name: str) -> str:
    """Return the version of the package `name` here; "" if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def plan(wanted: str) -> list[tuple[str, str, str]]:
    """Return (package, version now or "", version then) of all that installing `wanted` would change."""
    torch = f"torch=={environment.pinned_torch()}"
    has_torch = installed_version("torch").split("+")[0] == environment.pinned_torch()
    if not has_torch and environment.wants_cpu_build():
        failed, found = planned("Asking PyTorch's own index for torch", torch, *environment.CPU_ONLY)
        # The build without CUDA by its address, or the trial would count the gigabytes that it does not need.
        torch = torch if failed or not found else f"torch @ {found[0]['download_info']['url']}"
    failed, found = planned("Asking pip what it would change", "-r", wanted, torch, *CONSTRAINED)
    must_work(failed)
    names = [(entry["metadata"]["name"], entry["metadata"]["version"]) for entry in found]
    return sorted((name, installed_version(name), version) for name, version in names)


def describe(changes: list[tuple[str, str, str]]) -> str:
    """Return what would change in words: first what would be replaced, then what would be new."""
    replaced = [f"  {name} {now} -> {then}" for name, now, then in changes if now]
    new = [f"{name} {then}" for name, now, then in changes if not now]
    lines = [
        f"In {sys.prefix} pip would replace {len(replaced)} packages, add {len(new)}, and add the course."
    ]
    return "\n".join([*lines, *replaced, *(["  new: " + ", ".join(new)] if new else [])])


def agreed(is_agreed: bool) -> bool:
    """Whether the changes are agreed to, asking if need be; raise Stop where nobody can be asked."""
    if is_agreed:
        return True
    if not sys.stdin.isatty():
        raise Stop("Nobody can be asked here whether to make these changes: add --yes to make them.")
    return input("Make these changes? [y/N] ").strip().lower() in ("y", "yes")


def ensure_here(wanted: str, is_agreed: bool) -> str:
    """Return the Python that runs this, with everything that the list `wanted` names, after asking."""
    now = f"{sys.prefix} {sys.version_info[:2]}"
    stamp = LOG.with_name(f"{wanted}.{hashlib.sha256(now.encode()).hexdigest()[:12]}.installed")
    if stamp.is_file() and stamp.read_text() == fingerprint(now, wanted):
        return sys.executable
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    changes = plan(wanted)
    print(describe(changes), flush=True)
    if not agreed(is_agreed):
        raise Stop("Nothing was changed. `python start.py` without --here leaves this environment alone.")
    environment.install(sys.executable, wanted)
    stamp.write_text(fingerprint(now, wanted))
    return sys.executable
