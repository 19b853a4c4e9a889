"""JupyterLab as learners get it: its port, its settings, what it saves, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from tornado.web import HTTPError

from coursekit.lab import saving, server

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = "step9_x/tutorial.ipynb"


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


@pytest.fixture
def contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A contents manager over a folder with a built tutorial of one cell; its learner has no kernel."""
    (tmp_path / "step9_x").mkdir()
    (tmp_path / "step9_x" / "exercises.toml").touch()
    cell = nbformat.v4.new_code_cell("print('hello')", id="one", metadata={"nbgrader": {"points": 1}})
    built = nbformat.v4.new_notebook(cells=[cell], metadata={"language_info": {"name": "python"}})
    text = nbformat.writes(built) + "\n"
    (tmp_path / TUTORIAL).write_text(text, encoding="utf-8", newline="\n")
    manager = saving.CourseContents(root_dir=str(tmp_path))
    monkeypatch.setattr(manager, "_kernel_since", lambda path: asyncio.sleep(0, None))
    return manager


def opened(manager: Any, path: str = TUTORIAL) -> Any:
    """Return the notebook as the page gets it."""
    return nbformat.from_dict(asyncio.run(manager.get(path, type="notebook"))["content"])


def save(manager: Any, notebook: Any, path: str = TUTORIAL) -> None:
    """Save a notebook as the page sends it, plain JSON."""
    model = {"type": "notebook", "content": json.loads(json.dumps(notebook))}
    asyncio.run(manager.save(model, path))


def as_run(manager: Any, *outputs: Any) -> Any:
    """Return the opened tutorial as it is after a run that showed these outputs."""
    run = opened(manager)
    run.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    shown = list(outputs) or [nbformat.v4.new_output("stream", text="hello")]
    run.cells[0].update(execution_count=3, outputs=shown)
    run.cells[0].metadata.update(collapsed=True, trusted=True)
    run.cells.append(nbformat.v4.new_code_cell(""))
    return run


def test_a_built_notebook_that_was_run_is_saved_as_it_was_built_and_opens_as_it_was_left(
    contents: Any,
) -> None:
    file = Path(contents.root_dir, TUTORIAL)
    built = file.read_bytes()
    save(contents, as_run(contents))
    assert file.read_bytes() == built
    again = opened(contents)
    assert again.cells[0].outputs[0].text == "hello"
    assert again.cells[0].execution_count == 3
    assert again.cells[0].metadata.collapsed
    assert again.cells[0].metadata.trusted
    assert again.cells[0].metadata.nbgrader == {"points": 1}
    assert len(again.cells) == 1
    save(contents, again)
    assert opened(contents) == again
    assert file.read_bytes() == built


def test_what_a_learner_writes_into_a_built_notebook_is_saved_in_it(contents: Any) -> None:
    run = as_run(contents)
    run.cells[0].source = "print('mine')"
    run.cells.append(nbformat.v4.new_code_cell("my = 1", id="mine", execution_count=4))
    save(contents, run)
    saved = nbformat.read(Path(contents.root_dir, TUTORIAL), as_version=4)
    assert [cell.source for cell in saved.cells] == ["print('mine')", "my = 1"]
    assert not any(cell.outputs or cell.execution_count for cell in saved.cells)
    assert opened(contents).cells[1].execution_count == 4


def test_a_cell_that_an_update_changed_loses_its_own_output_alone(contents: Any) -> None:
    run = as_run(contents)
    shown = nbformat.v4.new_output("stream", text="two")
    run.cells[1] = nbformat.v4.new_code_cell("2", id="two", outputs=[shown])
    save(contents, run)
    file = Path(contents.root_dir, TUTORIAL)
    file.write_text(file.read_text(encoding="utf-8").replace("hello", "good morning"), encoding="utf-8")
    assert [len(cell.outputs) for cell in opened(contents).cells] == [0, 1]


def test_outputs_that_nobody_trusted_come_back_untrusted(contents: Any) -> None:
    run = as_run(contents, nbformat.v4.new_output("display_data", {"text/html": "<b>x</b>"}))
    run.cells[0].metadata.trusted = False
    save(contents, run)
    assert opened(contents).cells[0].metadata.trusted is False


def test_an_output_on_code_that_has_changed_comes_back_folded_and_saving_keeps_the_original(
    contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"now": True}
    monkeypatch.setattr(saving, "Now", lambda root: SimpleNamespace(has=lambda rests_on: state["now"]))
    data = {"text/html": "<p>passed</p>", "text/plain": "passed"}
    verdict = nbformat.v4.new_output("execute_result", data, execution_count=3)
    verdict["metadata"] = {"course": {"rests_on": [{"file": "f", "versions": {"9.1": "a"}}]}}
    save(contents, as_run(contents, verdict))
    assert opened(contents).cells[0].outputs == [verdict]
    state["now"] = False
    (shown,) = opened(contents).cells[0].outputs
    assert shown.data["text/html"].index("earlier version") < shown.data["text/html"].index("passed")
    assert "<details>" in shown.data["text/html"]
    assert shown.data["text/plain"].startswith("From an earlier version of your file.")
    save(contents, opened(contents))
    state["now"] = True
    assert opened(contents).cells[0].outputs == [verdict]


def test_a_widget_without_its_kernel_comes_back_as_its_picture_and_with_it_alive(
    contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "image/png": "AAAA"}
    widget = nbformat.v4.new_output("display_data", view | {"text/plain": "a curve"})
    run = as_run(contents, widget)
    run.cells[0].metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:10.5Z"}
    save(contents, run)
    (still,) = opened(contents).cells[0].outputs
    assert 'alt="a curve"' in still.data["text/html"]
    assert "Run this cell again" in still.data["text/plain"]
    assert set(still.data) == {"text/html", "text/plain"}
    for began, shown in (("00:00:09", widget), ("00:00:11", still)):
        since = datetime.fromisoformat(f"2026-01-01T{began}+00:00").timestamp()
        monkeypatch.setattr(contents, "_kernel_since", lambda path, since=since: asyncio.sleep(0, since))
        assert opened(contents).cells[0].outputs == [shown], began


def test_outputs_that_cannot_be_kept_are_said_and_the_text_is_saved(contents: Any) -> None:
    run = as_run(contents)
    run.cells[0].source = "print('mine')"
    Path(contents.root_dir, ".course").write_text("a file where a folder should be")
    with pytest.raises(HTTPError, match="could not be kept"):
        save(contents, run)
    assert "mine" in Path(contents.root_dir, TUTORIAL).read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", ["", "[]", '{"cells": 3}', "{"])
def test_damaged_outputs_are_no_outputs(contents: Any, damage: str) -> None:
    save(contents, as_run(contents))
    kept = Path(contents.root_dir, ".course", "outputs", "step9_x", "tutorial.json")
    kept.write_text(damage, encoding="utf-8")
    assert opened(contents).cells[0].outputs == []


def test_a_notebook_of_the_learners_own_keeps_its_outputs_in_itself(contents: Any) -> None:
    run = as_run(contents)
    save(contents, run, "step9_x/mine.ipynb")
    saved = nbformat.read(Path(contents.root_dir, "step9_x", "mine.ipynb"), as_version=4)
    assert len(saved.cells) == 2
    assert saved.cells[0].outputs


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
    shutil.copytree(ROOT / "coursekit", tmp_path / "coursekit")
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


def test_the_end_waits_for_no_thread_that_waits_for_ever() -> None:
    code = (
        "import threading; from coursekit.lab import server\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "print('said', end=''); server.leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said", "")
