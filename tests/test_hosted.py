"""The first cell where the course is not installed: Colab and Kaggle, as far as stand-ins for them tell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from coursekit.lab import hosted
from coursekit.registry import COURSE_ROOT
from coursekit.widgets import live

NOTEBOOK = COURSE_ROOT / "step2_model" / "tutorial.ipynb"
# A Python that knows no coursekit, then the notebook's first cell, then what a learner does next.
SESSION = """
import importlib.util, os, sys
here = {root!r}
sys.path = [path for path in sys.path if os.path.abspath(path or ".") != here]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
assert importlib.util.find_spec("coursekit") is None
{before}
exec({cell!r})
import coursekit
from coursekit import ask, check
print("imported from", coursekit.__file__)
print("in", os.getcwd())
print(check("2.1"))
print(sorted(ask("2.q-positions")._repr_mimebundle_()[0]))
"""
COLAB = """
import types
google, colab, output = (types.ModuleType(name) for name in ("google", "google.colab", "google.colab.output"))
output.enable_custom_widget_manager = lambda: print("the manager is on")
output._widgets = types.SimpleNamespace(_installed_url="https://example.org")
sys.modules |= {"google": google, "google.colab": colab, "google.colab.output": output}
"""
KAGGLE = 'os.environ["KAGGLE_KERNEL_RUN_TYPE"] = "Interactive"'


def first_cell() -> str:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course as git would serve it: what is in the working tree, in a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=COURSE_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    root = tmp_path_factory.mktemp("served") / "course.git"
    for name in listed.stdout.splitlines():
        if (COURSE_ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(COURSE_ROOT / name, root / name)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "The course"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=root, check=True)
    return root


def session(folder: Path, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the first cell in a fresh Python in a folder, as a kernel would."""
    script = SESSION.format(root=str(COURSE_ROOT), before=before, cell=first_cell())
    known = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COURSE_SOURCE", live.VARIABLE)}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=known | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "said", "has_widgets"),
    [
        (COLAB, "the manager is on", True),
        (KAGGLE, "Pictures and text stand in for widgets, which Kaggle", False),
    ],
    ids=["Colab", "Kaggle"],
)
def test_the_first_cell_fetches_the_course_names_the_file_and_the_checks_run(
    tmp_path: Path, source: Path, before: str, said: str, has_widgets: bool
) -> None:
    done = session(tmp_path, before, COURSE_SOURCE=str(source))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "course" / "step2_model"
    assert f"You work in {folder / 'model_exercise.py'}." in done.stdout
    assert said in done.stdout
    assert "have not run it on" in done.stdout
    assert f"imported from {tmp_path / 'course' / 'coursekit'}" in done.stdout
    assert f"in {folder}" in done.stdout
    assert "not started" in done.stdout
    assert (live.VIEW in done.stdout) == has_widgets
    again = session(tmp_path, before, COURSE_SOURCE="/nowhere")
    assert again.returncode == 0, "a second run fetches nothing"


@pytest.mark.parametrize(
    "environment", [{}, {"COURSE_SOURCE": "/nowhere"}], ids=["no address", "a wrong one"]
)
def test_where_the_course_cannot_be_had_one_sentence_says_what_to_do(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = session(tmp_path, **environment)
    assert done.returncode == 1
    assert "Upload its folder as `course`, or say where git finds it" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_kernel_without_the_course_finds_it_in_the_folder_above(tmp_path: Path, source: Path) -> None:
    done = session(source / "step2_model")
    assert done.returncode == 0, done.stderr
    assert f"imported from {source / 'coursekit'}" in done.stdout
    assert "have not run it on" not in done.stdout


def test_the_first_cell_does_nothing_where_the_course_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was started"))
    monkeypatch.setattr(hosted, "settle", lambda *_: pytest.fail("something was changed"))
    before = os.getcwd(), list(sys.path)
    exec(first_cell(), {})
    assert (os.getcwd(), list(sys.path)) == before


def test_the_first_cell_is_folded_away_and_its_first_line_fits_a_narrow_page() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (cell,) = [cell for cell in cells if cell["id"] == "fetch-the-course"]
    assert cell["metadata"]["jupyter"]["source_hidden"]
    assert len(cell["source"][0]) <= 50


def test_what_is_missing_is_installed_and_what_the_service_brings_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, len(asked) - 1, "", "ERROR: No space left on device")

    monkeypatch.setattr(hosted, "_is_installed", lambda name: name not in ("einops", "torch", "jupyterlab"))
    monkeypatch.setattr(hosted.subprocess, "run", run)
    assert hosted.missing_packages() == ["torch>=2.13.0", "einops"]
    hosted.install(["einops"])
    assert asked[0][1:4] == ["-m", "pip", "install"]
    assert asked[0][-1] == "einops"
    with pytest.raises(SystemExit, match=r"make about 3 GB free.*Then run this cell again"):
        hosted.install(["einops"])


def test_a_service_is_told_by_what_it_leaves_in_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hosted.place() == "this notebook"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert hosted.place() == "Kaggle"
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    assert hosted.place() == "Google Colab"
