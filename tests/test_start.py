"""The way in: how start.py finds a Python, reads its arguments, ends, and what doctor says."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.requirements import Requirement

from coursekit.lab import __main__ as way_in
from coursekit.lab import doctor, environment
from coursekit.lab.environment import LEARN, TEST, Stop

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_start_py_parses_on_python_3_6() -> None:
    ast.parse((ROOT / "start.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_what_runs_before_the_installation_imports_the_standard_library_only() -> None:
    own = ("__main__", "environment", "changes", "doctor", "place")
    for path in [ROOT / "start.py", *(ROOT / "coursekit" / "lab" / f"{name}.py" for name in own)]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            outside = [name for name in names if name.split(".")[0] not in sys.stdlib_module_names]
            assert all(name.startswith("coursekit.") for name in outside), (path, outside)
            assert path.name != "start.py" or not outside
    # What these import in turn: tried where no package is to be had.
    code = "import coursekit.lab.__main__, coursekit.lab.place as p; p.place_in(p.step_to_open())"
    bare = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert bare.returncode == 0, bare.stderr


def test_an_old_python_alone_gets_one_sentence_with_a_way_out(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    monkeypatch.setattr(start, "newer_python", list)
    monkeypatch.setattr(sys, "argv", ["start.py"])
    assert start.main() == 1
    said = capsys.readouterr().err
    assert "Python 3.11 or newer is needed, and this is Python 3.8" in said
    assert "python.org/downloads" in said
    assert said.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")
def test_an_old_python_hands_over_to_a_newer_one_on_the_path(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, version in (("python3.13", "3.9"), ("python3.12", "3.12"), ("python3", "3.11")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start.newer_python() == ["python3.12"], "python3.13 says that it is 3.9"
    (tmp_path / "python3.12").write_text("#!/bin/sh\nexit 127\n")
    assert start.newer_python() == ["python3"]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "3 GB free",
        ),
        ("error: externally-managed-environment", "leave out --here"),
        ("[Errno 30] Read-only file system: '/course/.venv'", "cannot be written"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]",
            "certificate was not accepted",
        ),
        (
            "NewConnectionError('<...>: Errno -2')\nERROR: No matching distribution found for torch",
            "network",
        ),
        ("ERROR: No matching distribution found for torch==2.13.0", "no build for this Python or processor"),
        ("Collecting x\nERROR: the cat sat on it\nhint: move the cat", "ERROR: the cat sat on it"),
        ("", "said nothing"),
    ],
)
def test_a_failure_is_explained_by_what_was_said(said: str, cause: str) -> None:
    assert cause in environment.explain(said)


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (Stop("Do this."), 1, "Do this."),
        (OSError(28, "No space left on device"), 1, "make about 3 GB free"),
        (
            PermissionError(13, "Permission denied", "/course/.course"),
            1,
            "move the course to a folder of your own",
        ),
        (KeyboardInterrupt(), 130, "run the same command again"),
    ],
)
def test_every_end_is_a_sentence_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    status: int,
    said: str,
) -> None:
    def fail(wanted: str) -> str:
        raise raised

    monkeypatch.setattr(way_in.signal, "signal", lambda *_: None)
    monkeypatch.setattr(environment, "ensure", fail)
    assert way_in.main(["test"]) == status
    assert said in capsys.readouterr().err


def test_what_follows_test_goes_to_pytest_but_for_here_and_yes() -> None:
    options, for_pytest = way_in.read_arguments(["test", "-k", "x", "--here", "--port", "tests/a.py"])
    assert (options.do, options.here, options.yes) == ("test", True, False)
    assert for_pytest == ["-k", "x", "--port", "tests/a.py"]
    with pytest.raises(SystemExit, match="2"):
        way_in.read_arguments(["--prot", "8888"])


def test_install_makes_the_environment_and_opens_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(way_in.signal, "signal", lambda *_: None)
    monkeypatch.setattr(environment, "ensure", lambda wanted: f"python with {wanted}")
    monkeypatch.setattr(way_in, "become", lambda *_: pytest.fail("something was opened"))
    assert way_in.main(["install"]) == 0
    assert capsys.readouterr().out == "Everything is installed for python with requirements.txt.\n"


def test_a_step_with_a_tutorial_opens_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way_in, "ROOT", tmp_path)
    with pytest.raises(Stop, match=r"has a tutorial\.ipynb"):
        way_in.step_folder("")
    for name in ("step1_one", "step2_two", "step12_twelve", "notes"):
        (tmp_path / name).mkdir()
        if name != "step1_one":
            (tmp_path / name / "tutorial.ipynb").touch()
    (tmp_path / "step12_twelve" / "tutorial.ipynb").unlink()
    assert way_in.step_folder("") == "step2_two"
    assert {way_in.step_folder(name) for name in ("2", "step2", "step2_two")} == {"step2_two"}
    with pytest.raises(Stop, match=r"must name a step with a tutorial \(step2_two\), got '1'"):
        way_in.step_folder("1")


def test_doctor_puts_problems_first_and_works_with_nothing_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(doctor, "answer_of", lambda python, code: "")
    assert doctor.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("note    torch") and "not installed" in line for line in lines) == 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    assert doctor.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "problem disk        1.0 GB free: make room, the course needs about 3 GB"
    kinds = [line.split()[0] for line in lines]
    assert kinds == sorted(kinds, key=("problem", "note", "ok").index)
    assert {line.split()[1] for line in lines} >= {
        "Python",
        "platform",
        "memory",
        "port",
        "sandbox",
        "chromium",
    }


def test_every_required_package_has_an_exact_version_that_its_requirement_allows() -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            (exact,) = pin.specifier
            assert exact.operator == "=="
            pins[pin.name.lower().replace("_", "-")] = exact.version
    assert len(pins) > 100
    for listed in (LEARN, TEST):
        for line in (ROOT / listed).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                wanted = Requirement(line)
                name = wanted.name.lower().replace("_", "-")
                assert wanted.specifier.contains(pins[name]), line
    assert pins["torch"] == "2.13.0", "a local version such as +cpu would refuse every other build"
