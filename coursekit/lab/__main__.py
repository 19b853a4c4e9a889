"""Opens the course, shows its demo, runs its tests or says what this machine has: what `start.py` hands
over to.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

from coursekit.lab import changes, doctor, environment
from coursekit.lab.environment import ROOT, Stop, explain
from coursekit.lab.place import step_to_open
from coursekit.registry import RegistryError, load_course

DEMO = """usage: start.py demo [--seconds SECONDS] [--seed SEED] [--device DEVICE] [--here] [--yes]

{told}
It makes the course's environment first, where there is none yet (--here: uses the running one, --yes: without
asking). When it is made, this help says more."""


def step_folder(wanted: str) -> str:
    """Return the folder of step `wanted`, such as "2" or its name; for "" where the learner goes on."""
    folders = sorted(path.parent.name for path in ROOT.glob("step*_*/tutorial.ipynb"))
    number = wanted.removeprefix("step")
    fitting = [name for name in folders if name == wanted or name.startswith(f"step{number}_")]
    if wanted and not fitting:
        raise Stop(
            f"--step must name a step with a tutorial ({', '.join(folders) or 'none yet'}), got {wanted!r}."
        )
    if not folders:
        raise Stop(f"No step in {ROOT} has a tutorial.ipynb: get the course anew, or run `course dev build`.")
    return fitting[0] if wanted else step_to_open(ROOT) or folders[0]


def become(python: str, *arguments: str) -> int:
    """Become `python -m ...`, its programs first on PATH; return its exit status where that cannot be."""
    # Not only .venv's Python: nbgrader starts alembic by name, and a learner's terminal finds `course`.
    os.environ["PATH"] = os.path.dirname(python) + os.pathsep + os.environ.get("PATH", "")
    command = [python, "-m", *arguments]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(python, command)
    # Windows cannot become another program. Ctrl-C reaches the child too, which ends in its own way.
    signal.signal(signal.SIGINT, lambda *_: None)
    return subprocess.Popen(command).wait()


def python_with(wanted: str, options: argparse.Namespace) -> str:
    """Return a Python that has what the list `wanted` names: .venv's, or the running one with `--here`."""
    return changes.ensure_here(wanted, options.yes) if options.here else environment.ensure(wanted)


def open_course(options: argparse.Namespace) -> int:
    """Open JupyterLab in a complete environment; on a hub, where one is open, say what to open in it."""
    started = time.time()
    folder = step_folder(options.step)
    python = python_with(environment.LEARN, options)
    if options.here and "JUPYTERHUB_SERVICE_PREFIX" in os.environ:
        print(f"Everything is installed. In the JupyterLab that you have open, open {folder}/tutorial.ipynb.")
        return 0
    more = ["--port", str(options.port)] if options.port else []
    more += ["--teacher"] if options.teacher else []
    more += ["--no-browser"] if options.no_browser else []
    return become(python, "coursekit.lab.server", "--step", folder, "--started", str(started), *more)


def demo(options: argparse.Namespace, handed_on: list[str]) -> int:
    """Run the command of this name that a step registers; asked for help, make no environment for it."""
    is_ready = not options.here and environment.state(environment.LEARN) == "complete"
    if {"-h", "--help"} & set(handed_on) and not is_ready:
        (told,) = [entry.help for step in load_course() for entry in step.entries if entry.name == "demo"]
        print(DEMO.format(told=told))
        return 0
    return become(python_with(environment.LEARN, options), "coursekit.cli.app", "demo", *handed_on)


def read_arguments(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options and what is handed on to pytest or the demo; wrong usage ends with status 2."""
    parser = argparse.ArgumentParser(
        prog="start.py", allow_abbrev=False, description="Make the course's environment and open the course."
    )
    parser.add_argument(
        "do",
        nargs="?",
        default="open",
        choices=["open", "demo", "install", "test", "doctor"],
        help="default: open",
    )
    parser.add_argument("--step", default="", help="the step to open, such as 2 (default: where you go on)")
    parser.add_argument(
        "--port", type=int, default=0, help="the server's port (default: 8888, or the next free one)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address instead of opening a browser"
    )
    parser.add_argument("--teacher", action="store_true", help="keep nbgrader's menus and server extensions")
    parser.add_argument("--here", action="store_true", help="use the current environment instead of .venv")
    parser.add_argument("--yes", action="store_true", help="with --here: make the changes without asking")
    if arguments[:1] in (["test"], ["demo"]):
        # Everything else, even --port or -h, is pytest's or the demo's.
        ours = [word for word in arguments[1:] if word in ("--here", "--yes")]
        return parser.parse_args([arguments[0], *ours]), [word for word in arguments[1:] if word not in ours]
    return parser.parse_args(arguments), []


def main(arguments: list[str]) -> int:
    """Do what `arguments` ask; return 0, or 1 after one sentence with a way out, or 130 after Ctrl-C."""
    # A closed terminal or a scheduler ends pip too, so that the next start does not meet it still installing.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        options, handed_on = read_arguments(arguments)
        if options.do == "doctor":
            return doctor.main()
        if options.do == "test":
            return become(python_with(environment.TEST, options), "pytest", *handed_on)
        if options.do == "demo":
            return demo(options, handed_on)
        if options.do == "install":
            print(f"Everything is installed for {python_with(environment.LEARN, options)}.")
            return 0
        return open_course(options)
    except KeyboardInterrupt:
        print(f"\nStopped. {environment.AGAIN}", file=sys.stderr)
        return 130
    except (Stop, RegistryError) as stop:
        print(stop, file=sys.stderr)
    except OSError as error:
        print(f"{explain(str(error))} {environment.AGAIN} ({error})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
