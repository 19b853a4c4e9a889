"""JupyterLab on a copy of the course, and a browser that sees it as a learner does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The tests ask JupyterLab's own application object what it holds; learners' pages do not expose it.
LAUNCH = """
import sys
from coursekit.lab import server
arguments = server.arguments_for_lab
server.arguments_for_lab = lambda *a: [*arguments(*a), "--LabApp.expose_app_in_browser=True"]
sys.exit(server.main())
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one these tests are skipped on a person's machine and fail in CI."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    sentence = "no Chromium is installed: the notebook was not tried in a browser"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture
def course_copy(tmp_path: Path) -> Path:
    """A copy of the course as it would be committed: no environment, no learner's state."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = tmp_path / "course"
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture
def open_lab(course_copy: Path, chromium: str) -> Iterator[Callable[..., Any]]:
    """Return a function that serves the copied course and opens it in a browser page: `page =
    open_lab(theme)`.
    """
    from playwright.sync_api import sync_playwright

    environment = os.environ | {
        "PYTHONPATH": str(course_copy),
        "COURSE_BUDGET": "seconds=20,steps=60,bytes=4000",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    command = [sys.executable, "-c", LAUNCH, "--step", "step2_model", "--no-browser"]
    command += ["--started", str(time.time())]
    server = subprocess.Popen(
        command, cwd=course_copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert server.stdout is not None
    said = iter(server.stdout.readline, "")
    address = next(line.split(": ", 1)[1].strip() for line in said if "answers after" in line)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)

        def page_of(theme: str = "light") -> Any:
            page = browser.new_page(viewport={"width": 1600, "height": 1000}, color_scheme=theme)
            page.requests_made = []
            page.on("request", lambda request: page.requests_made.append(request.url))
            page.goto(address)
            page.wait_for_function("() => window.jupyterapp", timeout=120_000)
            page.evaluate("() => jupyterapp.restored")
            return page

        yield page_of
        browser.close()
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=30)
