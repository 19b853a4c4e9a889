"""Makes the course's environment in .venv, finishes one that is half made, says in a sentence why it cannot.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOG = ROOT / ".course" / "install.log"
OLDEST = (3, 11)
SPACE_NEEDED = 3 * 10**9  # bytes: the finished environment has about 1.6 GB, unpacking needs room beside it
# Asked for torch alone: asked for every package, an index that does not answer would cost seconds for each.
CPU_ONLY = (
    "--index-url",
    "https://download.pytorch.org/whl/cpu",
    "--no-deps",
    "--timeout",
    "15",
    "--retries",
    "1",
)
CONSTRAINED = ("-c", "constraints.txt")
AGAIN = "Then run the same command again: it goes on where it stopped."
LEARN = "requirements.txt"
TEST = "requirements-dev.txt"

# What an error says -> what is the matter and the way out. The first that fits is told.
CAUSES = (
    (
        r"No space left|Errno 28\b|WinError 112|[Dd]isk quota|not enough space",
        "No space is left on the disk: make about 3 GB free, in the temporary folder too.",
    ),
    (
        r"externally-managed-environment",
        "This Python belongs to the operating system, which lets nobody install into it: leave out --here.",
    ),
    (
        r"Read-only file system|Permission denied|Access is denied|Operation not permitted",
        "A folder cannot be written to: move the course to a folder of your own.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "The package index's certificate was not accepted: behind a proxy that opens secure connections, run"
        " `pip config set global.cert FILE` with its certificate.",
    ),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|ConnectionError|ProxyError|Read timed out"
        r"|getaddrinfo|Failed to establish|name resolution|Network is unreachable"
        r"|Connection (refused|reset|aborted|broken)",
        "The package index cannot be reached: connect to the network.",
    ),
    (
        r"No matching distribution found for torch",
        "PyTorch has no build for this Python or processor: use a 64-bit Python 3.11 to 3.14 on Linux,"
        " on Windows or on a Mac with an Apple chip.",
    ),
)


class Stop(Exception):
    """What is the matter and the way out, in words for the person who ran the command."""


def explain(text: str) -> str:
    """Return the cause that `text`, an error or pip's output, tells of, or its last line about an error."""
    for pattern, cause in CAUSES:
        if re.search(pattern, text):
            return cause
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["It said nothing."]
    return ([line for line in lines if line.lower().startswith("error")] or lines)[-1]


def run_logged(what: str, command: list[str]) -> str:
    """Run `command`, its output in the log, one line of progress on the screen; return a failure's output."""
    start, is_terminal = time.monotonic(), sys.stdout.isatty()
    print(f"{what} ...", end="" if is_terminal else "\n", flush=True)
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        before = log.tell()
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                time.sleep(0.1)
                if is_terminal:
                    print(f"\r{what} ... {time.monotonic() - start:.0f} s", end="", flush=True)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if is_terminal:
        print()
    output = LOG.read_bytes()[before:].decode(errors="replace")
    return "" if process.returncode == 0 else output or f"It ended with status {process.returncode}."


def pip(python: str, what: str, *arguments: str) -> str:
    """Run `pip install`; return "" or, if it failed, its output."""
    quiet = ("--no-input", "--disable-pip-version-check", "--no-color", "--progress-bar", "off")
    return run_logged(what, [python, "-m", "pip", "install", *quiet, *arguments])


def must_work(output: str) -> None:
    """Raise Stop with the cause if `output`, what a failed command said, is not empty."""
    if output:
        raise Stop(f"{explain(output)} {AGAIN} (pip's own words: {LOG})")


def venv_python() -> Path:
    """Return where .venv's Python stands, made or not."""
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def answer_of(python: str, code: str) -> str:
    """Return what `python -c code` prints; "" if it fails or does not start."""
    try:
        ran = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


def venv_version() -> str:
    """Return the version of .venv's Python, such as "3.11"; "" if .venv has to be made anew.

    It has to if its Python does not start, is too old or has no pip, or it was made for another folder:
    its programs would still look there.
    """
    config = VENV / "pyvenv.cfg"
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    made_for = re.search(r"^command = .* -m venv (?:--\S+ )*(.+)$", text, re.MULTILINE)
    if made_for and os.path.realpath(made_for[1].strip()) != os.path.realpath(VENV):
        return ""
    code = (
        "import sys, importlib.util as u; v = sys.version_info; "
        f"print('%d.%d' % v[:2] if v >= {OLDEST} and u.find_spec('pip') else '')"
    )
    return answer_of(str(venv_python()), code)


def fingerprint(version: str, wanted: str) -> str:
    """Return what has to be installed: a hash of the Python version and of the files that name packages."""
    files = (LEARN, wanted, "constraints.txt", "pyproject.toml")
    parts = [version, *((ROOT / name).read_text(encoding="utf-8") for name in files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def make_venv() -> None:
    """Make .venv anew; raise Stop if this Python cannot or the disk is full."""
    if importlib.util.find_spec("ensurepip") is None:
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise Stop(
            "This Python cannot make environments: on Debian or Ubuntu run"
            f" `sudo apt install python{here}-venv`. {AGAIN}"
        )
    free = shutil.disk_usage(ROOT).free
    if free < SPACE_NEEDED:
        raise Stop(
            f"The environment needs about 3 GB of disk and {free / 1e9:.1f} GB are free: make room. {AGAIN}"
        )
    # The Python of a .venv that does not work may be the one that runs this: build with the one it came from.
    builder = getattr(sys, "_base_executable", None) or sys.executable
    must_work(run_logged("Making .venv", [builder, "-m", "venv", "--clear", str(VENV)]))


def forget_torn_packages() -> None:
    """Delete pip's record of every package with files missing or cut short, so that it is installed again."""
    folders = [*VENV.glob("lib/python*/site-packages"), *VENV.glob("Lib/site-packages")]
    for record in (info for folder in folders for info in folder.glob("*.dist-info")):
        listing = record / "RECORD"
        text = listing.read_text(encoding="utf-8") if listing.is_file() else ""
        rows = list(csv.reader(text.splitlines()))
        sized = [(record.parent / row[0], int(row[2])) for row in rows if row[2:] and row[2]]
        if not rows or any(not path.is_file() or path.stat().st_size != size for path, size in sized):
            shutil.rmtree(record)


def pinned_torch() -> str:
    """Return the version of torch that constraints.txt names."""
    pin = re.search(r"^torch==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if pin is None:
        raise Stop("constraints.txt must name a version of torch and names none: get that file anew.")
    return pin[1]


def wants_cpu_build() -> bool:
    """Whether the ordinary index would bring gigabytes of CUDA that nothing here can use (never on a Mac)."""
    return sys.platform in ("linux", "win32") and not shutil.which("nvidia-smi")


def install_torch(python: str) -> None:
    """Install the torch that constraints.txt names, as a build without CUDA where no NVIDIA GPU is."""
    torch = pinned_torch()
    has = answer_of(python, "from importlib.metadata import version; print(version('torch'))")
    if has.split("+")[0] == torch:
        return
    what = f"Installing torch {torch}"
    if wants_cpu_build():
        if not pip(python, f"{what} for the CPU", f"torch=={torch}", *CPU_ONLY):
            return
        what = f"PyTorch's own index did not help. {what} from the ordinary one"
    must_work(pip(python, what, f"torch=={torch}", *CONSTRAINED))


def install(python: str, wanted: str) -> None:
    """Install torch, what the list `wanted` names, and the course, as constrained; Stop if that fails."""
    install_torch(python)
    must_work(pip(python, f"Installing what {wanted} names", "-r", wanted, *CONSTRAINED))
    must_work(pip(python, "Installing the course", "--no-deps", "--no-build-isolation", "-e", "."))


def state(wanted: str) -> str:
    """Return "complete" if .venv holds what the list `wanted` names now; "half made" or "not made" if not."""
    version, stamp = venv_version(), VENV / f"{wanted}.installed"
    if version and stamp.is_file() and stamp.read_text() == fingerprint(version, wanted):
        return "complete"
    return "half made" if VENV.exists() else "not made"


def ensure(wanted: str) -> str:
    """Return the Python of a .venv that holds what the list `wanted` names, installing what is missing."""
    if state(wanted) != "complete":
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text("")
        print(f"The environment in {VENV} is {state(wanted)}: installing. Details: {LOG}", flush=True)
        if not venv_version():
            make_venv()
        forget_torn_packages()
        install(str(venv_python()), wanted)
        for name in {wanted, LEARN}:
            (VENV / f"{name}.installed").write_text(fingerprint(venv_version(), name))
    return str(venv_python())
