"""Processes for judged code: whatever it does, one outcome within its time, and nothing of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from coursekit.judging.runs import Run, run_from_data
from coursekit.workers import pool as pool_module
from coursekit.workers.pool import Outcome, Pool, WorkerError, preload_of
from coursekit.workers.watch import LOST, MEMORY

SECONDS = 4.0
STEP2 = Path(__file__).parent.parent / "step2_model"


@pytest.fixture(scope="module", params=["forks", "spares"])
def workers(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Pool]:
    """The pool that forks one warm process, and the one that keeps spare processes."""
    if request.param == "forks":
        if not pool.fork:
            pytest.skip("this system does not fork")
        yield pool
    else:
        # Without torch: a spare process is used up by every job.
        with Pool((), fork=False) as spares:
            yield spares


def probe_job(toy: Any, text: str, seconds: float = SECONDS, task: str = "probe") -> dict[str, Any]:
    """Return the job that runs the probe of exercise 8.4 (no torch) on a text."""
    module = {"text": text, "filename": "/home/me/model_exercise.py", "lines": None}
    return {
        "task": task,
        "root": str(toy.root),
        "step": toy.step.folder,
        "item": "8.4",
        "seed": 1,
        "main": "step8_toy.model_exercise",
        "modules": {"step8_toy.model_exercise": module},
        "seconds": seconds,
    }


@pytest.fixture
def attack(workers: Pool, toy: Any) -> Callable[..., Outcome]:
    """Run lines of Python as the body of an exercise's function."""

    def run(body: str, seconds: float = SECONDS, memory: int = MEMORY) -> Outcome:
        body = textwrap.indent(textwrap.dedent(body), "    ")
        return workers.run(probe_job(toy, f"def shuffled(x):\n{body}\n", seconds), seconds, memory)

    return run


@pytest.fixture(autouse=True)
def nothing_left(
    workers: Pool, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """After every test: no process but the warm ones, and no folder of a job."""
    folders = tmp_path / "folders"
    folders.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folders))
    processes = set(our_processes())
    yield
    warm = {*workers.pids(), *pool.pids()}
    assert [pid for pid in our_processes() if not wait_gone(pid, {*processes, *warm})] == []
    assert list(folders.iterdir()) == []


def our_processes() -> list[int]:
    """Return every living process that descends from this test run, whatever session or parent it has now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("COURSE_TEST_RUN") == os.environ["COURSE_TEST_RUN"]:
                found.append(process.pid)
    return [pid for pid in found if pid != os.getpid()]


def wait_gone(pid: int, allowed: Collection[int] = (), seconds: float = 3.0) -> bool:
    """Return whether the process is gone or becomes so shortly (a killed process takes a moment to end)."""
    deadline = time.monotonic() + seconds
    while pid not in allowed and psutil.pid_exists(pid):
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def run_of(outcome: Outcome) -> Run:
    assert outcome.reply is not None, outcome
    return run_from_data(outcome.reply)


def test_right_code_gives_its_values_and_what_it_printed(attack: Any) -> None:
    outcome = attack("print('hello', flush=False); import os; os.write(1, b'there'); return x[::-1]")
    assert (outcome.end.how, outcome.end.code) == ("exit", 0)
    assert isinstance(run_of(outcome).claims[0].value, list)
    assert outcome.printed == "hello\nthere"


RAISES = {
    "an exception": ("raise KeyError('here')", "KeyError"),
    "sys.exit": ("import sys; sys.exit(3)", "SystemExit"),
    "an interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "a base exception": ("class Mine(BaseException): pass\nraise Mine", "Mine"),
    "the end of a generator": ("raise GeneratorExit", "GeneratorExit"),
    "endless recursion": ("return shuffled(x)", "RecursionError"),
    "waiting for input": ("return input('your name? ')", "WantsKeyboard"),
    "a text that cannot be read": (
        "class Mine(Exception):\n    def __str__(self): raise ValueError\nraise Mine",
        "Mine",
    ),
    "a text that cannot be printed": ("raise ValueError('\\udc80' * 10**6)", "ValueError"),
    "more memory than there is": ("return bytearray(10**18)", "MemoryError"),
    "a missing package": ("import no_such_package", "ModuleNotFoundError"),
}


@pytest.mark.parametrize(("body", "name"), RAISES.values(), ids=list(RAISES))
def test_what_judged_code_raises_comes_back_as_data(attack: Any, body: str, name: str) -> None:
    raised = run_of(attack(body)).raised
    assert raised is not None
    assert raised.type == name
    assert raised.in_learner
    assert len(raised.message) < 3000
    raised.message.encode("utf-8")


CRASHES = {
    "os._exit": ("import os; os._exit(5)", "exit", 5),
    "os._exit as if all were well": ("import os; os._exit(0)", "exit", 0),
    "a memory fault": ("import ctypes; ctypes.string_at(0)", "signal", signal.SIGSEGV),
    "killing itself": ("import os; os.kill(os.getpid(), 9)", "signal", signal.SIGKILL),
    "abort": ("import os; os.abort()", "signal", signal.SIGABRT),
    "deleting its folder": ("import os, shutil; shutil.rmtree(os.getcwd()); return x", "exit", LOST),
    "breaking json": ("import json; json.dumps = None; return x", "exit", LOST),
    "breaking open": ("import io, pathlib; pathlib.Path.write_bytes = 1; return x", "exit", LOST),
    "no more open files": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)); return x",
        "exit",
        LOST,
    ),
    "a folder in the place of the reply": ("import os; os.mkdir('reply.json'); return x", "exit", LOST),
}


@pytest.mark.parametrize(("body", "how", "code"), CRASHES.values(), ids=list(CRASHES))
def test_a_process_that_dies_gives_no_reply_and_says_how(attack: Any, body: str, how: str, code: int) -> None:
    outcome = attack("print('before')\n" + body)
    assert (outcome.end.how, outcome.end.code, outcome.reply) == (how, code, None)
    assert outcome.printed.startswith("before") or "folder" in body or "rmtree" in body
    assert run_of(attack("return x")).raised is None


ENDLESS = {
    "a loop": "while True: pass",
    "a loop that swallows everything": """
        while True:
            try:
                while True: pass
            except BaseException:
                pass
        """,
    "a loop in C": "sum(iter(int, 1))",
    "a stopped process": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "endless printing": "while True: print('x' * 1000)",
    "sleep": "import time; time.sleep(3600)",
    "a lock": "import threading; l = threading.Lock(); l.acquire(); l.acquire()",
}


@pytest.mark.parametrize("body", ENDLESS.values(), ids=list(ENDLESS))
def test_code_that_does_not_end_is_ended(attack: Any, body: str) -> None:
    start = time.monotonic()
    outcome = attack(body, seconds=0.6)
    assert outcome.end.how == "timeout", outcome
    assert time.monotonic() - start < 30
    assert len(outcome.printed) < 10_000


def test_the_line_of_an_endless_loop_is_known(attack: Any) -> None:
    outcome = attack("while True:\n    x = x[:]", seconds=1.0)
    assert 'File "/home/me/model_exercise.py", line ' in outcome.stack


def test_memory_beyond_the_limit_ends_the_job(attack: Any) -> None:
    outcome = attack("keep = []\nwhile True: keep.append(bytearray(10**7))", memory=400 * 2**20, seconds=30)
    assert outcome.end.how == "memory"


def test_memory_taken_by_a_child_counts_too(attack: Any) -> None:
    body = """
    import subprocess, sys
    code = "keep = []\\nwhile True: keep.append(bytearray(10**7))"
    subprocess.run([sys.executable, "-c", code])
    """
    assert attack(body, memory=400 * 2**20, seconds=30).end.how == "memory"


LEFT_BEHIND = {
    "a thread that never ends": """
        import threading, time
        threading.Thread(target=time.sleep, args=(3600,)).start()
        """,
    "a child": "import subprocess; subprocess.Popen(['sleep', '3600'])",
    "a child of another session": """
        import subprocess
        subprocess.Popen(["sleep", "3600"], start_new_session=True)
        """,
    "a daemon": """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3600)
            os._exit(0)
        os.wait()
        """,
    "a thread that forks": """
        import os, threading, time
        def fork():
            if os.fork() == 0:
                time.sleep(3600)
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        """,
    "something at exit": "import atexit, time; atexit.register(time.sleep, 3600)",
    "a copy of itself that goes on": "import os; os.fork()",
    "all files closed": "import os; os.closerange(0, 1000)",
    "garbage in the reply": """
        for name in ("reply.json", "reply.safetensors", "reply.json.part"):
            open(name, "wb").write(b"\\xff garbage {" * 100)
        """,
    "another working folder": "import os; os.chdir('/')",
    "200 MB printed": "for _ in range(200): print('x' * 10**6)",
    "a small recursion limit": "import sys; sys.setrecursionlimit(60)",
}


@pytest.mark.parametrize("body", LEFT_BEHIND.values(), ids=list(LEFT_BEHIND))
def test_right_code_that_leaves_something_behind_is_still_heard(attack: Any, body: str) -> None:
    start = time.monotonic()
    run = run_of(attack(textwrap.dedent(body).strip("\n") + "\nreturn x[::-1]", seconds=20))
    assert run.raised is None
    assert len(run.claims) == 1
    assert time.monotonic() - start < 15


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_loop_that_forks_ends_harmlessly(attack: Any) -> None:
    raised = run_of(attack("import os\nwhile True:\n    os.fork()", seconds=30)).raised
    assert raised is not None
    assert raised.type == "BlockingIOError"
    assert "at most 32 processes" in raised.message


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
def test_too_many_processes_at_a_time_end_the_job(attack: Any) -> None:
    body = "import os; os.system('for i in $(seq 60); do sleep 3600 & done; wait')"
    assert attack(body, seconds=30).end.how == "processes"


@pytest.mark.skipif(sys.platform == "win32", reason="parents cannot be killed by their number there")
def test_killing_the_parent_costs_one_job(workers: Pool, attack: Any) -> None:
    if not workers.fork:
        pytest.skip("the parent of a spare process is the course itself")
    outcome = attack("import os, time; os.kill(os.getppid(), 9); time.sleep(3600)")
    assert (outcome.end.how, outcome.reply) == ("lost", None)
    assert run_of(attack("return x")).raised is None


GLOBAL_STATE = """
    import sys, os, json, random, builtins
    import coursekit.judging.wire, coursekit.judging.runs, coursekit.workers.tasks as tasks
    os.environ["LEAKED"] = "1"
    sys.modules["leaked"] = sys
    sys.path.insert(0, "/leaked")
    builtins.leaked = 1
    coursekit.judging.wire.MAX_JSON = 0
    tasks.MAX_CASES = -1
    random.seed(1)
    os.umask(0o777)
    os.nice(1)
    return x
    """
LOOK = """
    import builtins, os, sys, coursekit.judging.wire, coursekit.workers.tasks as tasks
    print([
        "LEAKED" in os.environ, "leaked" in sys.modules, "/leaked" in sys.path, hasattr(builtins, "leaked"),
        coursekit.judging.wire.MAX_JSON == 0, tasks.MAX_CASES == -1, os.umask(0) == 0o777,
    ])
    return x
    """


def test_nothing_that_a_job_changes_reaches_the_next(attack: Any) -> None:
    attack(GLOBAL_STATE)
    assert attack(LOOK).printed == f"{[False] * 7}\n"


def test_what_a_job_does_to_torch_does_not_reach_the_next(pool: Pool, toy: Any) -> None:
    change = """
    import torch
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    torch.Tensor.__add__ = torch.nn.functional.softmax = torch.equal = torch.allclose = lambda *a, **k: True
    torch.set_grad_enabled(False)
    """
    look = """
    import torch
    print(torch.ones(1) + 1, torch.equal(torch.ones(1), torch.zeros(1)), torch.is_grad_enabled())
    """
    for body, printed in ((change, ""), (look, "tensor([2.]) False True\n")):
        text = f"def shuffled(x):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n    return x\n"
        assert pool.run(probe_job(toy, text), 20).printed == printed


def test_every_job_has_a_process_of_its_own(attack: Any) -> None:
    pids = {attack("import os; print(os.getpid()); return x").printed for _ in range(3)}
    assert len(pids) == 3


def test_the_process_that_forks_has_never_run_a_torch_operation(pool: Pool) -> None:
    """After one, torch's threads would be missing in every fork, which then hangs."""
    if not pool.fork:
        pytest.skip("this system does not fork")
    assert psutil.Process(pool.pids()[0]).num_threads() <= 2


PARENT = """
import sys, time
from coursekit.workers.pool import Pool
from pathlib import Path
import json
job = json.loads(sys.argv[1])
pool = Pool((), fork=sys.argv[2] == "forks")
for worker in pool._workers:
    worker.wait_ready()
print("ready", flush=True)
pool.run(job, 60.0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="looks for processes by their environment")
def test_killing_the_course_leaves_no_worker_even_in_an_endless_loop(workers: Pool, toy: Any) -> None:
    before = set(our_processes())
    with tempfile.TemporaryDirectory() as folder:
        started = Path(folder) / "started"
        text = f"def shuffled(x):\n    open({str(started)!r}, 'w')\n    while True: pass\n"
        job = probe_job(toy, text, 60.0)
        kind = "forks" if workers.fork else "spares"
        command = [sys.executable, "-c", PARENT, json.dumps(job), kind]
        with subprocess.Popen(command, cwd=STEP2.parent, stdout=subprocess.PIPE) as course:
            deadline = time.monotonic() + 60
            while not started.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            assert started.exists()
            course.kill()
        left = [pid for pid in our_processes() if pid not in before]
        assert [pid for pid in left if not wait_gone(pid, {*workers.pids()}, 10)] == []


def test_a_fault_of_the_course_itself_is_no_verdict(workers: Pool, toy: Any) -> None:
    job = probe_job(toy, "def shuffled(x): return x") | {"step": "step9_missing"}
    with pytest.raises(WorkerError, match="the course itself failed in a worker"):
        workers.run(job, 20)


def test_what_a_solution_imports_is_imported_before_a_job_comes(toy: Any) -> None:
    names = preload_of([toy.step.path / "model_solution.py"], toy.root)
    assert {"torch.nn.functional", "math"} <= set(names)


def test_what_a_solution_imports_of_the_course_is_left_to_the_job(tmp_path: Path) -> None:
    (tmp_path / "step1_lower").mkdir()
    (tmp_path / "model_solution.py").write_text(
        "import torch\nfrom step1_lower.model_solution import x\nfrom . import y\n"
    )
    assert preload_of([tmp_path / "model_solution.py"], tmp_path) == ("torch",)


def test_spares_that_wait_hold_no_more_than_they_may_however_many_are_wanted(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "SPARES", 12)
    with Pool((), fork=False) as spares:
        assert len(spares.pids()) == 2  # none has been measured yet
        one = spares.resident() // 2
        monkeypatch.setattr(pool_module, "IDLE_MEMORY", 4 * one)
        assert spares.run(probe_job(toy, "def shuffled(x): return x"), SECONDS).end.how == "exit"
        assert 2 < len(spares.pids()) <= 6  # of 12
        assert spares.resident() <= 4 * one * 1.2  # what they share counts by its share
        monkeypatch.setattr(pool_module, "IDLE_MEMORY", 1)
        for _ in range(len(spares.pids())):
            spares.run(probe_job(toy, "def shuffled(x): return x"), SECONDS)
        assert len(spares.pids()) == 1
