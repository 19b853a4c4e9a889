"""How .venv is made, finished, kept and made anew: without the network and without a real pip."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from coursekit.lab import changes, environment
from coursekit.lab.environment import LEARN, TEST, Stop

ROOT = Path(__file__).resolve().parents[1]
LISTS = ("requirements.txt", "requirements-dev.txt", "constraints.txt", "pyproject.toml")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty course folder with a space in its name, in which nothing is installed."""
    root = tmp_path / "my course"
    root.mkdir()
    for name in LISTS:
        shutil.copy(ROOT / name, root)
    monkeypatch.setattr(environment, "ROOT", root)
    for module in (environment, changes):
        monkeypatch.setattr(module, "LOG", root / ".course" / "install.log")
    monkeypatch.setattr(environment, "VENV", root / ".venv")
    return root


class FakePip:
    """Records each command instead of running it and fails those that hold the word `failing`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: str = "", says: str = "") -> None:
        self.commands: list[list[str]] = []
        self.failing, self.says = failing, says
        monkeypatch.setattr(environment, "run_logged", self)

    def __call__(self, what: str, command: list[str]) -> str:
        self.commands.append(command)
        if self.failing and self.failing in command:
            return self.says
        if "venv" in command:
            make_working_venv(Path(command[-1]))
        return ""


def make_working_venv(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    pip = next(folder.glob("[Ll]ib/**/site-packages")) / "pip"
    pip.mkdir()
    (pip / "__init__.py").touch()


def test_the_environment_is_made_once_and_again_only_when_a_list_changes(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = FakePip(monkeypatch)
    assert environment.state(LEARN) == "not made"
    assert environment.ensure(LEARN) == str(environment.venv_python())
    assert environment.state(LEARN) == "complete"
    assert pip.commands[-2][-4:] == ["-r", LEARN, "-c", "constraints.txt"]
    count = len(pip.commands)
    environment.ensure(LEARN)
    assert len(pip.commands) == count, "an unchanged environment goes straight to the server"
    with (tree / "constraints.txt").open("a") as file:
        file.write("another==1.0\n")
    assert environment.state(LEARN) == "half made"
    environment.ensure(LEARN)
    assert len(pip.commands) > count
    assert not any("venv" in command for command in pip.commands[count:]), "a working .venv is kept"


def test_the_tests_environment_holds_the_learners(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = FakePip(monkeypatch)
    environment.ensure(TEST)
    assert TEST in pip.commands[-2]
    assert (environment.state(TEST), environment.state(LEARN)) == ("complete", "complete")
    (environment.VENV / f"{TEST}.installed").unlink()
    assert (environment.state(TEST), environment.state(LEARN)) == ("half made", "complete")


def test_a_failed_installation_names_cause_and_log_and_goes_on_when_run_again(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakePip(monkeypatch, failing="-r", says="Failed to establish a new connection")
    with pytest.raises(Stop, match=r"connect to the network.*run the same command again.*install\.log"):
        environment.ensure(LEARN)
    assert environment.state(LEARN) == "half made"
    pip = FakePip(monkeypatch)
    environment.ensure(LEARN)
    assert environment.state(LEARN) == "complete"
    assert not any("venv" in command for command in pip.commands)


def test_a_venv_whose_python_is_gone_or_that_was_moved_is_made_anew(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = FakePip(monkeypatch)
    environment.ensure(LEARN)
    assert environment.venv_version() == f"{sys.version_info[0]}.{sys.version_info[1]}"
    moved = tree / "moved"
    environment.VENV.rename(moved)
    monkeypatch.setattr(environment, "VENV", moved)
    assert environment.venv_version() == ""
    monkeypatch.setattr(environment, "VENV", tree / ".venv")
    make_working_venv(environment.VENV)
    environment.venv_python().unlink()
    assert environment.venv_version() == ""
    pip.commands.clear()
    environment.ensure(LEARN)
    assert pip.commands[0][1:] == ["-m", "venv", "--clear", str(environment.VENV)]
    assert environment.state(LEARN) == "complete"


def test_a_python_without_ensurepip_names_the_package_to_install(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Stop, match=r"sudo apt install python3\.\d+-venv"):
        environment.make_venv()


def test_too_little_space_is_said_before_anything_is_made(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = FakePip(monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4 * 10**8))
    with pytest.raises(Stop, match=r"about 3 GB of disk and 0\.4 GB are free"):
        environment.ensure(LEARN)
    assert pip.commands == []


def test_packages_with_missing_or_cut_files_are_installed_again(tree: Path) -> None:
    site = environment.VENV / ("Lib" if os.name == "nt" else "lib/python3.11") / "site-packages"
    for name, text in (("whole", "x = 1\n"), ("cut", "x"), ("gone", None), ("unrecorded", "x = 1\n")):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        if text is not None:
            (site / f"{name}.py").write_text(text, newline="")
        if name != "unrecorded":
            record = f"{name}.py,sha256=x,6\n{name}-1.0.dist-info/RECORD,,\n__pycache__/{name}.pyc,,\n"
            (info / "RECORD").write_text(record)
    environment.forget_torn_packages()
    assert [path.name for path in site.glob("*.dist-info")] == ["whole-1.0.dist-info"]


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
@pytest.mark.parametrize("has_gpu", [False, True])
def test_torch_comes_from_the_cpu_index_where_no_gpu_is(
    tree: Path, monkeypatch: pytest.MonkeyPatch, platform: str, has_gpu: bool
) -> None:
    pip = FakePip(monkeypatch)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if has_gpu else None)
    environment.install_torch("no-python")
    (command,) = pip.commands
    is_cpu_index = "https://download.pytorch.org/whl/cpu" in command
    assert is_cpu_index == (platform != "darwin" and not has_gpu)
    assert ("--no-deps" in command) == is_cpu_index
    assert ("constraints.txt" in command) != is_cpu_index
    assert "torch==2.13.0" in command


def test_torch_comes_from_the_ordinary_index_if_the_cpu_index_does_not_help(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = FakePip(monkeypatch, failing="--index-url", says="ConnectTimeoutError")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    environment.install_torch("no-python")
    assert pip.commands[1][-3:] == ["torch==2.13.0", "-c", "constraints.txt"]
    pip.commands.clear()
    monkeypatch.setattr(environment, "answer_of", lambda python, code: "2.13.0+cpu")
    environment.install_torch("no-python")
    assert pip.commands == [], "a torch that is there is kept"


def test_a_command_leaves_its_words_in_the_log_and_returns_those_of_a_failure(tree: Path) -> None:
    python = sys.executable
    assert environment.run_logged("Trying", [python, "-c", "print('fine')"]) == ""
    failed = environment.run_logged(
        "Trying", [python, "-c", "print('first'); raise SystemExit('ERROR: then')"]
    )
    assert re.sub(r"\s+", " ", failed) in ("first ERROR: then ", "ERROR: then first ")
    assert "fine" not in failed
    assert "fine" in environment.LOG.read_text()
    assert "status 3" in environment.run_logged("Trying", [python, "-c", "raise SystemExit(3)"])


def test_here_says_what_would_change_and_changes_nothing_unless_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = FakePip(monkeypatch)
    monkeypatch.setattr(
        changes, "plan", lambda wanted: [("einops", "", "0.8.2"), ("numpy", "1.26.4", "2.4.6")]
    )
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(Stop, match="add --yes"):
        changes.ensure_here(LEARN, is_agreed=False)
    said = capsys.readouterr().out
    assert "replace 1 packages, add 1" in said
    assert "numpy 1.26.4 -> 2.4.6" in said
    assert "new: einops 0.8.2" in said
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(Stop, match="Nothing was changed"):
        changes.ensure_here(LEARN, is_agreed=False)
    assert pip.commands == []
    assert changes.ensure_here(LEARN, is_agreed=True) == sys.executable
    assert LEARN in pip.commands[-2]
    count = len(pip.commands)
    changes.ensure_here(LEARN, is_agreed=False)
    assert len(pip.commands) == count, "what is installed already is not asked about again"


def test_here_reads_what_pip_would_install_from_its_report(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake_pip(python: str, what: str, *arguments: str) -> str:
        assert "--dry-run" in arguments
        entry = {"metadata": {"name": "einops", "version": "0.8.2"}}
        Path(arguments[arguments.index("--report") + 1]).write_text(json.dumps({"install": [entry]}))
        return ""

    environment.LOG.parent.mkdir()
    monkeypatch.setattr(changes, "pip", fake_pip)
    monkeypatch.setattr(changes, "installed_version", lambda name: {"torch": "2.13.0+cpu"}.get(name, ""))
    assert changes.plan(LEARN) == [("einops", "", "0.8.2")]
