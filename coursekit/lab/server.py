"""Runs JupyterLab with a step's tutorial and exercise side by side: `python -m coursekit.lab.server`."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from coursekit.lab.doctor import FIRST_PORT, is_free
from coursekit.lab.place import Place, place_in
from coursekit.registry import RegistryError

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = Path(__file__).parent / "templates"
EXTENSION = Path(__file__).parent / "extension"
OWN = ROOT / ".course" / "jupyter"
TRIES = 100  # ports


def choose_port(wanted: int) -> int:
    """Return `wanted` if it is free; for 0, the first free port from 8888 on. ValueError if there is none."""
    if wanted and not 0 < wanted < 65536:
        raise ValueError(f"--port must be between 1 and 65535, got {wanted}.")
    ports = [wanted] if wanted else range(FIRST_PORT, FIRST_PORT + TRIES)
    for port in ports:
        if is_free(port):
            return port
    raise ValueError(
        f"Port {wanted} must be free and another program has it: leave out --port, or name another."
        if wanted
        else f"One port of {ports[0]} to {ports[-1]} must be free and none is: name another with --port."
    )


def write_settings(step: str, place: Place, is_teacher: bool) -> None:
    """Write JupyterLab's settings and the step's workspace from the templates into the course's folder."""
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    profile = OWN / "ipython" / "profile_default"
    for folder in (OWN / "lab", profile):
        folder.mkdir(parents=True, exist_ok=True)
    page = json.loads((TEMPLATES / "page_config.json").read_text(encoding="utf-8"))
    if is_teacher:
        page["disabledExtensions"].remove("@jupyter/nbgrader")
    page["coursePlace"] = place.to_json()
    (OWN / "lab" / "page_config.json").write_text(json.dumps(page), encoding="utf-8")
    shutil.copyfile(TEMPLATES / "overrides.json", OWN / "lab" / "overrides.json")
    shutil.copyfile(TEMPLATES / "ipython_kernel_config.json", profile / "ipython_kernel_config.json")
    # Written at each start, because JupyterLab keeps what a learner closed or moved in this same file.
    workspace = (TEMPLATES / "workspace.json").read_text(encoding="utf-8")
    for word, name in (("STEP", step), ("NOTEBOOK", place.notebook), ("EXERCISE", place.file)):
        workspace = workspace.replace(word, name)
    WorkspacesManager(str(OWN / "workspaces")).save(step, workspace)


def set_folders(is_teacher: bool) -> None:
    """Point Jupyter at the course's own folder: nothing a learner has set up elsewhere changes the course."""
    os.environ["JUPYTER_RUNTIME_DIR"] = str(OWN / "runtime")
    os.environ["IPYTHONDIR"] = str(OWN / "ipython")
    if not is_teacher:  # whose nbgrader settings stand in their own folder
        os.environ["JUPYTER_CONFIG_DIR"] = str(OWN / "config")
        os.environ["JUPYTER_DATA_DIR"] = str(OWN / "data")


def arguments_for_lab(port: int, token: str, step: str, has_browser: bool) -> list[str]:
    """Return the arguments of JupyterLab that differ from start to start; the template has the others."""
    return [
        f"--config={TEMPLATES / 'jupyter_lab_config.json'}",
        f"--ServerApp.root_dir={ROOT}",
        f"--ServerApp.port={port}",
        f"--ServerApp.open_browser={has_browser}",
        f"--ServerApp.allow_root={hasattr(os, 'geteuid') and os.geteuid() == 0}",
        f"--IdentityProvider.token={token}",
        f"--LabApp.app_settings_dir={OWN / 'lab'}",
        f"--LabApp.user_settings_dir={OWN / 'settings'}",
        f"--LabApp.workspaces_dir={OWN / 'workspaces'}",
        f"--LabApp.extra_labextensions_path={EXTENSION}",
        f"--LabApp.default_url=/lab/workspaces/{step}",
    ]


def tell_when_it_answers(port: int, token: str, step: str, started: float) -> None:
    """Print, once the server answers, how long that took and the address; say nothing if it never does."""
    address = f"http://127.0.0.1:{port}/lab/workspaces/{step}?token={token}"
    while True:
        try:
            urllib.request.urlopen(address, timeout=10).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    print(f"JupyterLab answers after {time.time() - started:.1f} s: {address}")
    print("To end it, press Ctrl-C here (or choose File > Shut Down there).", flush=True)


def run(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C, SIGTERM or Shut Down."""
    port, token = choose_port(options.port), secrets.token_urlsafe(16)
    set_folders(options.teacher)
    # jsonschema imports this for a format that Jupyter's event schemas do not use, and does without if it is
    # missing; it builds a parser as it is imported, half of the whole start.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    from jupyterlab.labapp import LabApp

    write_settings(options.step, place_in(options.step), options.teacher)
    # Learners get only the extensions that the template names: nbgrader's would cost seconds at each start.
    LabApp.load_other_extensions = options.teacher
    told = (port, token, options.step, options.started or time.time())
    threading.Thread(target=tell_when_it_answers, args=told, daemon=True).start()
    LabApp.launch_instance(arguments_for_lab(port, token, options.step, not options.no_browser))


def main() -> int:
    """Run the server for the step of the command line; return 0 when it has ended, 1 if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m coursekit.lab.server", allow_abbrev=False)
    parser.add_argument("--step", required=True, help="the step's folder")
    parser.add_argument("--port", type=int, default=0, help="0: the first free one from 8888 on")
    parser.add_argument(
        "--started", type=float, default=0.0, help="when the learner's command began (Unix time)"
    )
    parser.add_argument("--teacher", action="store_true", help="keep nbgrader's menus and server extensions")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    options = parser.parse_args()
    try:
        run(options)
    except (ValueError, RegistryError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass  # Windows: the same wish to end as elsewhere
    print(f"\nJupyterLab has ended. What you saved is in {options.step}; `python start.py` opens it again.")
    return 0


def leave(status: int) -> None:
    """End this process with a status, now: what it serves has ended, and what it has said is on its way.

    A request that Ctrl-C cut off, such as that for a kernel that is just starting, keeps threads that wait
    for more work for ever, and Python would wait for them.
    """
    from jupyter_server.serverapp import ServerApp

    if ServerApp.initialized():
        ServerApp.instance().remove_server_info_file()
        ServerApp.instance().remove_browser_open_files()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
