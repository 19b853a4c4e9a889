"""Settles the course where a notebook runs without it, as in Colab or Kaggle: the first cell calls `settle`.

Standard library only until the packages are there. The authors have not run it on either service; it is
tested against stand-ins for both.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from coursekit.lab.environment import LEARN, ROOT, explain

# The course's public git address, for the first cell of every notebook; `course dev build` puts it there.
# There is none yet: until then the cell asks for COURSE_SOURCE or for the folder itself.
SOURCE = ""
# The service brings its own notebook server, and editable installs and grading are not for it.
NOT_NEEDED = ("jupyter", "jupyterlab", "ipykernel", "nbgrader", "hatchling")
PLACES = {
    "Google Colab": "In the folder view at the left, double-click it to edit; Ctrl-S saves.",
    "Kaggle": "Kaggle shows no editor for it: rewrite functions with a cell that begins with %%writefile, or "
    "edit the file elsewhere and upload it.",
    "this notebook": "Open it in an editor beside this notebook.",
}
KEEP = "What you write here ends with the session: download the file before you go."


def place() -> str:
    """Return where this kernel runs: "Google Colab", "Kaggle" or "this notebook"."""
    if "google.colab" in sys.modules:
        return "Google Colab"
    return "Kaggle" if "KAGGLE_KERNEL_RUN_TYPE" in os.environ else "this notebook"


def settle(step: str, say: Callable[[str], None] = print) -> None:
    """Install what is missing, go into the step's folder, and say which file to edit and what is shown.

    Ends the cell with a sentence where a package cannot be installed.
    """
    here = place()
    if missing := missing_packages():
        say(f"Installing {', '.join(missing)} ...")
        install(missing)
    # Checks run in processes of their own, which look here.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    folder = ROOT / step
    os.chdir(folder)
    say(f"You work in {folder / 'model_exercise.py'}. {PLACES[here]}")
    if here != "this notebook":
        say(KEEP)
        say(widgets_of(here))
        say(f"The course's authors have not run it on {here}. What does not work there works with start.py.")


def missing_packages() -> list[str]:
    """Return what requirements.txt names and is not installed in any version, as it is written there."""
    lines = (ROOT / LEARN).read_text(encoding="utf-8").splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [line for line in wanted if _name(line) not in NOT_NEEDED and not _is_installed(_name(line))]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def install(packages: list[str]) -> None:
    """Install packages into this Python; leaves with a sentence where that fails."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{explain(done.stdout + done.stderr)} Then run this cell again.")
    importlib.invalidate_caches()


def widgets_of(here: str) -> str:
    """Return a sentence on widgets, and switch them off where they are not known to be shown."""
    from coursekit.widgets import live

    if here == "Google Colab":  # whose manager for widgets from elsewhere anywidget switches on by itself
        return f"Where a widget stays empty: import os; os.environ['{live.VARIABLE}'] = 'off'"
    if os.environ.get(live.VARIABLE) == "on":
        return f"Widgets are on, as {live.VARIABLE} says."
    live.switch_off()
    return f"Pictures and text stand in for widgets, which {here} is not known to show."


def first_cell(step: str) -> str:
    """Return the first code cell of a step's notebook."""
    text = (Path(__file__).parent / "templates" / "first_cell.txt").read_text(encoding="utf-8")
    return text.replace("@SOURCE@", SOURCE).replace("@STEP@", step).rstrip("\n")
