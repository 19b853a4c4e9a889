"""JupyterLab on a copy of the course, and a browser that sees it as a learner does.

One server and one browser serve all tests; before each the course is put back as it was, without kernels.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from coursekit.registry import load_step
from coursekit.source import exercise_text

ROOT = Path(__file__).resolve().parents[2]
STEP = "step2_model"
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
LOCAL = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "http://localhost", "ws://localhost")
# The tests ask JupyterLab's own application object what it holds; learners' pages do not expose it.
LAUNCH = """
import sys
from coursekit.lab import server
arguments = server.arguments_for_lab
server.arguments_for_lab = lambda *a: [*arguments(*a), "--LabApp.expose_app_in_browser=True"]
server.leave(server.main())
"""
# What start.py does, with the environment that runs the tests in place of one made for the copy.
START = """
import sys
from coursekit.lab import __main__ as way_in
way_in.python_with = lambda *_: sys.executable
sys.exit(way_in.main(sys.argv[1:]))
"""

KEYS = ("ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "Home", "End")
# A message that is lost on its way to the kernel would let the page wait without end.
RUN_ALL = """() => Promise.race([
    jupyterapp.commands.execute('notebook:run-all-cells'),
    new Promise((_, fail) => setTimeout(() => fail(new Error('Run All did not end in 10 minutes')), 600_000)),
])"""
# Every explorer with what it says, and the controls of which no key and no click changed a thing in it. A
# choice that is already made does nothing: what did nothing is tried again when the others have been used,
# the last of them first, since "start" leaves nothing to do for "step back" behind it.
USE_EXPLORERS = """async keys => {
    const paint = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const isDead = async (explorer, control) => {
        const before = explorer.innerHTML;
        const isSlider = control.getAttribute('role') === 'slider';
        control.focus();
        for (const key of isSlider ? keys : ['Enter']) {
            if (isSlider) control.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
            else control.click();
            await paint();
            if (explorer.innerHTML !== before) return false;
        }
        return true;
    };
    const used = [];
    for (const explorer of document.querySelectorAll('.course-explorer')) {
        const controls = [...explorer.querySelectorAll('[role=slider], button')];
        let dead = controls;
        for (const attempt of [1, 2, 3]) {
            const still = [];
            for (const control of dead) if (await isDead(explorer, control)) still.push(control);
            dead = still.reverse();
        }
        used.push({ title: explorer.getAttribute('aria-label'), says: explorer.innerText,
                    controls: controls.length,
                    dead: dead.map(control => control.getAttribute('aria-label') ?? control.textContent) });
    }
    return used;
}"""
# Every question: each choice is answered; what came back for them.
USE_QUESTIONS = """() => [...document.querySelectorAll('form.course-question')].map(form =>
    [...form.querySelectorAll('input[type=radio]')].map(radio => {
        radio.click();
        form.querySelector('button').click();
        return form.querySelector('[role=status]').textContent;
    }))"""


class Notebook:
    """A notebook open in a JupyterLab page: its cells are run, read and shown by id."""

    def __init__(self, page: Any, path: str = f"{STEP}/tutorial.ipynb") -> None:
        self.page = page
        self.panel = (
            f"[...jupyterapp.shell.widgets('main')].find(widget => widget.context?.path === '{path}')"
        )
        self.wait()

    def wait(self) -> None:
        """Wait until the notebook is open and its kernel answers."""
        self.page.wait_for_function("() => window.jupyterapp", timeout=120_000)
        self.page.evaluate("() => jupyterapp.restored")
        self.page.wait_for_function(f"() => {self.panel}", timeout=120_000)
        self.ask("""async panel => {
            await panel.context.ready;
            await panel.context.sessionContext.ready;
            await panel.context.sessionContext.session.kernel.info;
        }""")

    def ask(self, script: str, argument: Any = None) -> Any:
        """Return what a function of the notebook's panel, and of an argument, returns."""
        return self.page.evaluate(f"argument => ({script})({self.panel}, argument)", argument)

    def reload(self) -> None:
        """Load the page anew, as F5 does."""
        self.page.reload()
        self.wait()

    def cells(self) -> list[dict[str, Any]]:
        """Return every code cell: its id, its source, its count, its outputs as plain objects."""
        return self.ask("""panel => [...panel.content.model.cells].filter(c => c.type === 'code').map(c => ({
            id: c.id, source: c.sharedModel.getSource(), count: c.executionCount,
            outputs: Array.from({length: c.outputs.length}, (_, i) => c.outputs.get(i).toJSON()) }))""")

    def find(self, part: str) -> str:
        """Return the id of the first code cell with this text."""
        return next(cell["id"] for cell in self.cells() if part in cell["source"])

    def go(self, cell_id: str) -> None:
        """Make a cell the active one and bring it into view."""
        self.ask(
            """async (panel, id) => {
            jupyterapp.shell.activateById(panel.id);
            const notebook = panel.content;
            notebook.deselectAll();
            notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.id === id);
            await notebook.scrollToItem(notebook.activeCellIndex, 'start');
        }""",
            cell_id,
        )

    def start(self, cell_id: str) -> None:
        """Begin to run a cell, and do not wait for it."""
        self.go(cell_id)
        self.page.evaluate("() => void jupyterapp.commands.execute('notebook:run-cell')")

    def run(self, part: str) -> str:
        """Run the first cell with this text; return what it shows as text."""
        cell_id = self.find(part)
        self.go(cell_id)
        self.page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell')")
        return self.text(cell_id)

    def run_all(self) -> list[dict[str, Any]]:
        """Run every cell; return the code cells with their outputs."""
        self.page.set_default_timeout(600_000)
        self.ask("panel => jupyterapp.shell.activateById(panel.id)")
        self.page.evaluate(RUN_ALL)
        return self.cells()

    def text(self, cell_id: str) -> str:
        """Return what a cell shows as text."""
        return text_of(next(cell for cell in self.cells() if cell["id"] == cell_id))

    def checks(self, cells: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Return source and text of every check cell among these."""
        return [(c["source"], text_of(c)) for c in cells if c["source"].startswith("check(")]

    def use_explorers(self, count: int) -> list[dict[str, Any]]:
        """Use every control of each of `count` explorers; return their titles, their words, dead controls."""
        painted = "n => document.querySelectorAll('.course-explorer').length === n"
        self.page.wait_for_function(painted, arg=count)
        return self.page.evaluate(USE_EXPLORERS, list(KEYS))

    def explorers_say(self, titles: list[str]) -> list[str]:
        """Use every control of the explorers of these titles, none without effect; return what they say."""
        used = self.use_explorers(len(titles))
        assert [explorer["title"] for explorer in used] == titles
        for explorer in used:
            assert explorer["controls"] >= 2, explorer["title"]
            assert explorer["dead"] == [], explorer["title"]
        return [explorer["says"] for explorer in used]

    def use_questions(self) -> list[list[str]]:
        """Give every answer to every question; return what is said to each."""
        return self.page.evaluate(USE_QUESTIONS)

    def shown(self, cell_id: str) -> str:
        """Bring a cell into view and return what its output says on the page, once it says something."""
        self.go(cell_id)
        index = self.ask("panel => panel.content.activeCellIndex")
        output = f"[data-windowed-list-index='{index}'] .jp-Cell-outputArea"
        says = "where => document.querySelector(where)?.innerText.trim()"
        self.page.wait_for_function(says, arg=output, timeout=30_000)
        return self.page.locator(output).inner_text()


def errors_of(cells: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return source and message of every cell that raised."""
    raised = [(c, o) for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    return [(cell["source"], f"{output['ename']}: {output['evalue']}") for cell, output in raised]


def text_of(cell: dict[str, Any]) -> str:
    """Return what a cell's outputs say, as plain text."""
    parts = []
    for output in cell["outputs"]:
        data = output.get("data", {}).get("text/plain", output.get("text", output.get("evalue", "")))
        parts.append(data if isinstance(data, str) else "".join(data))
    return "\n".join(parts)


def copy_course(copy: Path) -> Path:
    """Copy the course as it would be committed: no environment, no learner's state."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@contextmanager
def serving(course: Path, command: Sequence[str]) -> Iterator[str]:
    """Serve a copy of the course by this command; give the address, and end the server as Ctrl-C does."""
    environment = os.environ | {
        "PYTHONPATH": str(course),
        "COURSE_BUDGET": "seconds=20,steps=20,bytes=4000",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    server = subprocess.Popen([sys.executable, *command], cwd=course, env=environment, text=True, **pipes)
    assert server.stdout is not None
    try:
        said: list[str] = []
        while not said or "answers after" not in said[-1]:
            said.append(server.stdout.readline())
            assert said[-1], "".join(said)
        yield said[-1].split(": ", 1)[1].strip()
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            # A kernel that was asked to end may take longer on a busy machine. That Ctrl-C ends the server
            # is what tests/test_lab.py asks; here nothing may be left over.
            server.kill()
            server.communicate()


class Laboratory:
    """A served copy of the course; `open` shows it in a page, `put_back` undoes what a learner did in it."""

    def __init__(self, course: Path, address: str, browser: Any) -> None:
        self.course, self.address, self.browser = course, address, browser
        self.asked_for: list[str] = []
        self.context: Any = None
        self.own = self._files()
        self.workspaces = {path: path.read_bytes() for path in self._places("workspaces")}

    def open(self, theme: str = "light") -> Any:
        """Return a page with JupyterLab ready in it."""
        page = self.context.new_page()
        page.emulate_media(color_scheme=theme)
        page.requests_made = self.asked_for
        page.goto(self.address)
        page.wait_for_function("() => window.jupyterapp", timeout=120_000)
        page.evaluate("() => jupyterapp.restored")
        return page

    def put_back(self) -> None:
        """Close the pages, end the kernels, and make every file what it was at the start."""
        if self.context:
            self.context.close()
        for session in self._api("sessions"):
            self._api(f"sessions/{session['id']}", "DELETE")
        for path in {*self._files(), *self._places("settings"), *self._places("workspaces")}:
            if path not in self.own and path not in self.workspaces:
                path.unlink()
        for path, held in (self.own | self.workspaces).items():
            if not path.is_file() or path.read_bytes() != held:
                path.write_bytes(held)
        self.context = self.browser.new_context(viewport={"width": 1600, "height": 1000})
        self.asked_for.clear()
        self.context.on("request", lambda request: self.asked_for.append(request.url))

    def _files(self) -> dict[Path, bytes]:
        """Return the files of the steps and of the learner's state, without what programs keep for speed."""
        found = [*self.course.glob("step*/**/*"), *self.course.glob(".course/**/*")]
        programs = {"jupyter", "expected", "__pycache__"}
        return {p: p.read_bytes() for p in found if p.is_file() and not programs & set(p.parts)}

    def _places(self, kind: str) -> list[Path]:
        return [p for p in (self.course / ".course" / "jupyter" / kind).rglob("*") if p.is_file()]

    def _api(self, what: str, method: str = "GET") -> Any:
        """Ask the server's interface and return what it answers."""
        address = urlsplit(self.address)
        (token,) = parse_qs(address.query)["token"]
        url = f"http://{address.netloc}/api/{what}"
        request = urllib.request.Request(url, method=method, headers={"Authorization": f"token {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")


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


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """The browser of a module: kept longer, its event loop would be in the way of other tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        shared = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield shared
        shared.close()


@pytest.fixture(scope="module")
def new_laboratory(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return what serves a copy of the course: `with new_laboratory() as laboratory:`."""

    @contextmanager
    def start() -> Iterator[Laboratory]:
        course = copy_course(tmp_path_factory.mktemp("laboratory") / "course")
        with serving(course, ["-c", LAUNCH, "--step", STEP, "--no-browser"]) as address:
            yield Laboratory(course, address, browser)

    return start


@pytest.fixture(scope="module")
def laboratory(new_laboratory: Callable[..., Any]) -> Iterator[Laboratory]:
    """The served course that the tests of a module share."""
    with new_laboratory() as served:
        yield served


@pytest.fixture(scope="module")
def notebook_class() -> type[Notebook]:
    """What a test takes to handle a notebook other than the tutorial."""
    return Notebook


@pytest.fixture
def course_copy(laboratory: Laboratory) -> Path:
    """The folder of the served course, as it would be committed: no learner's state."""
    laboratory.put_back()
    return laboratory.course


@pytest.fixture
def write_all(course_copy: Path) -> Callable[..., dict[Path, str]]:
    """Return what fills a step's exercise files: `write_all(step, "model", "further")`, path to text."""

    def write(step_name: str, *trios: str) -> dict[Path, str]:
        step, written = load_step(course_copy / step_name), {}
        for trio in trios:
            solution = (course_copy / step_name / f"{trio}_solution.py").read_text(encoding="utf-8")
            path = course_copy / step_name / f"{trio}_exercise.py"
            written[path] = exercise_text(solution, step, trio)
            path.write_text(written[path], encoding="utf-8")
        return written

    return write


@pytest.fixture
def open_lab(laboratory: Laboratory, course_copy: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that opens the copied course in a browser page: `page = open_lab(theme)`."""
    yield laboratory.open
    outside = [url for url in laboratory.asked_for if not url.startswith(LOCAL)]
    assert outside == [], "a page asked for something that is not on this machine"


@pytest.fixture
def open_tutorial(open_lab: Callable[..., Any]) -> Callable[..., Notebook]:
    """Return a function that opens the tutorial: `tutorial = open_tutorial(theme)`."""
    return lambda theme="light": Notebook(open_lab(theme))


@pytest.fixture
def run_notebook(open_lab: Callable[..., Any]) -> Callable[..., tuple[Notebook, list[dict[str, Any]]]]:
    """Return what opens a notebook and runs all of it; no cell may raise: `run_notebook(path, theme)`."""

    def run(path: str, theme: str) -> tuple[Notebook, list[dict[str, Any]]]:
        page = open_lab(theme)
        page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', { path })", path)
        notebook = Notebook(page, path)
        cells = notebook.run_all()
        assert errors_of(cells) == []
        return notebook, cells

    return run


@pytest.fixture
def started(browser: Any, tmp_path: Path) -> Callable[..., Any]:
    """Return what runs start.py on a course of its own and opens it: `with started(prepare) as page:`."""

    @contextmanager
    def start(prepare: Callable[[Path], None], *arguments: str) -> Iterator[Any]:
        course = copy_course(tmp_path / "course")
        prepare(course)
        with serving(course, ["-c", START, "--no-browser", *arguments]) as address:
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(address)
            yield page
            page.close()

    return start
