"""JupyterLab as learners get it: its port, its settings, what it saves, how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from coursekit.lab import saving, server

ROOT = Path(__file__).resolve().parents[1]


def test_a_taken_port_is_a_sentence_and_without_a_wish_the_next_one_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"Port {taken} must be free.*leave out --port"):
            server.choose_port(taken)
        monkeypatch.setattr(server, "FIRST_PORT", taken)
        assert taken < server.choose_port(0) < taken + server.TRIES
    with pytest.raises(ValueError, match="between 1 and 65535, got 70000"):
        server.choose_port(70000)


def lab_notebook(folder: Path, built: nbformat.NotebookNode) -> tuple[Path, dict]:
    """Write `built` as JupyterLab would; return its path and the model of the same notebook after a run."""
    folder.mkdir()
    (folder / "exercises.toml").touch()
    path = folder / "tutorial.ipynb"
    path.write_text(nbformat.writes(built) + "\n", encoding="utf-8", newline="\n")
    run = nbformat.from_dict(json.loads(path.read_text(encoding="utf-8")))
    run.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    run.cells[0].update(execution_count=3, outputs=[nbformat.v4.new_output("stream", text="hello")])
    run.cells[0].metadata["scrolled"] = True
    run.cells.append(nbformat.v4.new_code_cell(""))
    return path, {"type": "notebook", "content": run}


def test_a_built_notebook_that_was_run_is_saved_as_it_was_built(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("print('hello')", id="one", metadata={"nbgrader": {"points": 1}})
    built = nbformat.v4.new_notebook(cells=[cell], metadata={"language_info": {"name": "python"}})
    path, model = lab_notebook(tmp_path / "step9_x", built)
    manager = SimpleNamespace(root_dir=str(tmp_path))
    saving.without_outputs(model, "step9_x/tutorial.ipynb", manager)
    assert nbformat.writes(model["content"]) + "\n" == path.read_text(encoding="utf-8")
    model["content"].cells[0].source = "print('mine')"
    model["content"].cells.append(nbformat.v4.new_code_cell("my = 1", outputs=[]))
    saving.without_outputs(model, "step9_x/tutorial.ipynb", manager)
    assert [cell.source for cell in model["content"].cells] == ["print('mine')", "my = 1"]


def test_a_notebook_of_the_learners_own_keeps_its_outputs(tmp_path: Path) -> None:
    built = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="one")])
    path, model = lab_notebook(tmp_path / "step9_x", built)
    path.rename(path.with_name("mine.ipynb"))
    saving.without_outputs(model, "step9_x/mine.ipynb", SimpleNamespace(root_dir=str(tmp_path)))
    assert len(model["content"].cells) == 2
    assert model["content"].cells[0].outputs


def test_every_setting_of_the_template_exists_in_the_installed_jupyterlab() -> None:
    import jupyterlab

    schemas = Path(jupyterlab.__file__).parent / "schemas"
    overrides = json.loads((server.TEMPLATES / "overrides.json").read_text())
    assert overrides
    for plugin, values in overrides.items():
        package, name = plugin.split(":")
        schema = json.loads((schemas / package / f"{name}.json").read_text(encoding="utf-8"))
        assert set(values) <= set(schema["properties"]), plugin


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to a whole console")
def test_the_server_answers_side_by_side_and_ctrl_c_ends_it_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "coursekit").mkdir()
    shutil.copy(ROOT / "coursekit" / "__init__.py", tmp_path / "coursekit")
    shutil.copytree(ROOT / "coursekit" / "lab", tmp_path / "coursekit" / "lab")
    command = [sys.executable, "-m", "coursekit.lab.server", "--step", "step9_x", "--no-browser"]
    # Where a person sits at a terminal, a server asks whether it should really end: this one must not.
    keyboard, terminal = os.openpty()
    pipes = {"stdin": terminal, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    # The copy in this folder is to be served, whatever else Python is told to look at first.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as lab:
        assert lab.stdout
        first = lab.stdout.readline()
        assert re.match(
            r"JupyterLab answers after \d+\.\d s: http://127\.0\.0\.1:\d+/lab/workspaces/step9_x", first
        )
        lab.stdout.readline()
        lab.send_signal(signal.SIGINT)
        try:
            rest = lab.communicate(timeout=20)[0]
        finally:
            lab.kill()
    os.close(keyboard)
    os.close(terminal)
    assert lab.returncode == 0
    assert rest.endswith("What you saved is in step9_x; `python start.py` opens it again.\n")
    assert "Traceback" not in rest
    (workspace,) = (tmp_path / ".course" / "jupyter" / "workspaces").iterdir()
    dock = json.loads(workspace.read_text())["data"]["layout-restorer:data"]["main"]["dock"]
    shown = [area["widgets"] for area in dock["children"]]
    assert shown == [["notebook:step9_x/tutorial.ipynb"], ["editor:step9_x/model_exercise.py"]]
