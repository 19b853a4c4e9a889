"""Says what this machine has for the course, one line per fact, problems first, each with a way out.

Standard library only: it runs before anything is installed. The packages are .venv's where there is one.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator

from coursekit.lab.environment import LEARN, ROOT, SPACE_NEEDED, answer_of, state, venv_python

PROBLEM, NOTE, OK = "problem", "note", "ok"
FIRST_PORT = 8888
Fact = tuple[
    str, str, str
]  # PROBLEM, NOTE or OK; what it is about; what was found and, unless OK, the way out

TORCH = """
import torch
device = 'cuda (%s)' % torch.cuda.get_device_name() if torch.cuda.is_available() else 'mps' if \
torch.backends.mps.is_available() else 'cpu'
print(torch.__version__, 'on', device, 'with', torch.get_num_threads(), 'threads')
"""


def version_of(python: str, package: str) -> str:
    """Return the version of `package` in the environment of `python`; "" if it has none."""
    return answer_of(python, f"from importlib.metadata import version; print(version({package!r}))")


def first_found(*programs: str) -> str:
    """Return the path of the first of `programs` that is on PATH; "" if none is."""
    return next((path for path in map(shutil.which, programs) if path), "")


def memory() -> int:
    """Return this machine's memory in bytes; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of this machine."""
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def machine_facts() -> Iterator[Fact]:
    """Yield what is true of the machine whatever is installed."""
    yield OK, "Python", f"{platform.python_version()} ({sys.executable})"
    yield OK, "platform", f"{platform.platform()}, {os.cpu_count()} processors"
    free = shutil.disk_usage(ROOT).free
    is_scarce = free < SPACE_NEEDED and state(LEARN) != "complete"
    what = f"{free / 1e9:.1f} GB free"
    yield (
        (PROBLEM, "disk", f"{what}: make room, the course needs about 3 GB")
        if is_scarce
        else (OK, "disk", what)
    )
    if not os.access(ROOT, os.W_OK):
        yield PROBLEM, "folder", f"{ROOT} cannot be written to: move the course to a folder of your own"
    size = memory()
    yield (OK, "memory", f"{size / 1e9:.1f} GB") if size else (NOTE, "memory", "this system does not tell")
    if is_free(FIRST_PORT):
        yield OK, "port", f"{FIRST_PORT} is free"
    else:
        yield NOTE, "port", f"{FIRST_PORT} is taken: JupyterLab will take the next free one"


def environment_facts(found: str, python: str) -> Iterator[Fact]:
    """Yield what is installed for `python`; `found` is the state of .venv."""
    way_out = "`python start.py` installs what is missing"
    yield (OK, ".venv", found) if found == "complete" else (NOTE, ".venv", f"{found}: {way_out}")
    torch = answer_of(python, TORCH)
    if torch:
        yield OK, "torch", torch
    elif version_of(python, "torch"):
        yield (
            PROBLEM,
            "torch",
            f"installed and does not start: delete {ROOT / '.venv'}, then run `python start.py`",
        )
    else:
        yield NOTE, "torch", f"not installed: {way_out}"
    for package in ("jupyterlab", "ipykernel", "nbgrader"):
        version = version_of(python, package)
        if package == "ipykernel" and version and tuple(map(int, version.split(".")[:2])) >= (7, 4):
            yield PROBLEM, package, f"{version} answers no widget while a cell runs: {way_out} (below 7.4)"
        else:
            yield (OK, package, version) if version else (NOTE, package, f"not installed: {way_out}")


def tool_facts() -> Iterator[Fact]:
    """Yield which programs outside the environment were found; learners need none of them."""
    sandbox = first_found("bwrap")
    way_out = "none (bwrap, Linux only): needed to grade code that you do not trust"
    yield (OK, "sandbox", sandbox) if sandbox else (NOTE, "sandbox", way_out)
    browser = first_found("chromium", "chromium-browser", "google-chrome", "chrome")
    way_out = "none found: `python start.py test` skips the tests that need one"
    yield (OK, "chromium", browser) if browser else (NOTE, "chromium", way_out)


def main() -> int:
    """Print every fact, problems first, then notes; return 1 if there is a problem, else 0."""
    found = state(LEARN)
    python = str(venv_python()) if answer_of(str(venv_python()), "print(1)") else sys.executable
    facts = [*machine_facts(), *environment_facts(found, python), *tool_facts()]
    for kind, about, what in sorted(facts, key=lambda fact: (PROBLEM, NOTE, OK).index(fact[0])):
        print(f"{kind:8}{about:12}{what}")
    return int(any(kind == PROBLEM for kind, _, _ in facts))
