"""Make the course's environment and open the course, with nothing but Python: `python start.py`.

    python start.py            open the course, making .venv if need be (--no-browser --port --step --teacher)
    python start.py install    make .venv and open nothing
    python start.py demo       a GPT learns for a minute on this machine, then writes (--seconds --seed)
    python start.py test ...   run the tests; what follows goes to pytest
    python start.py doctor     one line per fact about this machine, problems first
    --here                     in the Python that runs this file, not in .venv; says first what would change

Running it again goes on where it stopped. This file only finds a Python that is new enough and hands over to
`coursekit.lab`. It keeps to the syntax of Python 3.6: an old Python must get as far as saying so.
"""

import os
import shutil
import signal
import subprocess
import sys

OLDEST = (3, 11)
TOO_OLD = (
    "Python 3.11 or newer is needed, and this is Python %d.%d: install a newer one from"
    " https://www.python.org/downloads/ and run start.py with it, for example `python3.12 start.py`."
)


def version_of(command: list) -> tuple:
    """Return (major, minor) of the Python that `command` starts; (0, 0) if it does not start."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        said = subprocess.check_output([*command, "-c", code], stderr=subprocess.DEVNULL)
        return tuple(int(part) for part in said.decode().split("."))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return (0, 0)


def newer_python() -> list:
    """Return the command of a Python on this machine that is new enough; an empty list if there is none."""
    names = ("python3.13", "python3.12", "python3.11", "python3.14", "py -3", "python3", "python")
    commands = [name.split() for name in names]
    found = [c for c in commands if shutil.which(c[0]) and version_of(c) >= OLDEST]
    return found[0] if found else []


def main() -> int:
    """Run `coursekit.lab` with a fitting Python; return its exit status, or 1 after a sentence."""
    command = [sys.executable]
    if sys.version_info < OLDEST:
        command = [] if "--here" in sys.argv else newer_python()
        if not command:
            print(TOO_OLD % sys.version_info[:2], file=sys.stderr)
            return 1
    # `-m` looks for the module where it runs.
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    os.environ.pop("PYTHONSAFEPATH", None)
    command = [shutil.which(command[0]) or command[0], *command[1:], "-m", "coursekit.lab", *sys.argv[1:]]
    if os.name == "posix":
        os.execv(command[0], command)
    # Windows cannot become another program. Ctrl-C reaches the child too, which ends in its own way.
    signal.signal(signal.SIGINT, lambda *_: None)
    return subprocess.Popen(command).wait()


if __name__ == "__main__":
    sys.exit(main())
