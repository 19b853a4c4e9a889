"""What VS Code and dev containers read: keys that they know, programs and files that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from coursekit.cli.commands import app
from coursekit.cli.doctor import NOT_RUN
from coursekit.lab import __main__ as way_in
from coursekit.registry import COURSE_ROOT

# Of each file, the keys that its program documents, as far as the course uses them, and what each must be.
SHAPES: dict[str, dict[str, type]] = {
    ".devcontainer/devcontainer.json": {
        "name": str,
        "image": str,
        "postCreateCommand": str,
        "forwardPorts": list,
        "portsAttributes": dict,
        "hostRequirements": dict,
        "customizations": dict,
    },
    ".vscode/extensions.json": {"recommendations": list},
    ".vscode/tasks.json": {"version": str, "windows": dict, "options": dict, "tasks": list, "inputs": list},
    ".vscode/settings.json": {
        "python.terminal.activateEnvironment": bool,
        "jupyter.notebookFileRoot": str,
        "files.exclude": dict,
    },
}


def read(name: str) -> dict[str, Any]:
    content = json.loads((COURSE_ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_for_an_editor_has_known_keys_of_the_right_kind(name: str) -> None:
    content = read(name)
    assert set(content) == set(SHAPES[name])
    for key, kind in SHAPES[name].items():
        assert isinstance(content[key], kind), key


def test_the_container_has_a_python_that_is_new_enough_and_is_prepared_by_start_py() -> None:
    container = read(".devcontainer/devcontainer.json")
    version = re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:1-3\.(\d+)-\w+", container["image"])
    assert version
    assert int(version[1]) >= 11
    python, script, *arguments = container["postCreateCommand"].split()
    assert (python, script) == ("python", "start.py")
    assert way_in.read_arguments(arguments)[0].do == "install"
    assert set(container["hostRequirements"]) <= {"cpus", "memory", "storage", "gpu"}
    assert set(container["customizations"]["vscode"]) == {"extensions", "settings"}
    assert set(container["portsAttributes"]) == {str(port) for port in container["forwardPorts"]}


def test_every_task_of_vs_code_starts_a_command_that_there_is() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    tasks = read(".vscode/tasks.json")
    asked = {found["id"] for found in tasks["inputs"]}
    for task in tasks["tasks"]:
        assert {"label", "type", "command", "problemMatcher"} <= set(task)
        program, first, *rest = task["command"].split()
        assert program in ("course", "python3")
        assert first in commands | {"start.py"}
        for used in re.findall(r"\$\{input:(\w+)\}", " ".join(rest)):
            assert used in asked


def test_the_container_and_the_folder_recommend_the_same_extensions() -> None:
    container = read(".devcontainer/devcontainer.json")
    recommended = read(".vscode/extensions.json")["recommendations"]
    assert container["customizations"]["vscode"]["extensions"] == recommended


def test_the_readme_says_of_the_same_places_as_the_doctor_that_nothing_was_run_there() -> None:
    text = (COURSE_ROOT / "README.md").read_text(encoding="utf-8").partition("## Where it was run")[2]
    for place in NOT_RUN:
        rows = [line for line in text.splitlines() if line.startswith("|")]
        (row,) = [row for row in rows if place.lower() in row.split("|")[1].lower()]
        assert "Not run" in row or "not there" in row, row
