"""What a job does inside a worker. The learner's file is loaded by `probe` and `look`; the other tasks run
trusted code.

A job is a dict: `task`, `root` and `step` of the course, `item`, `seed`, and what the task needs. The reply
is data for `wire.save`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from coursekit.judging import wire
from coursekit.judging.loader import implementation, load_marked, reference_implementation
from coursekit.judging.runs import (
    Raised,
    Run,
    chains_to_data,
    decide_holds,
    files_from_data,
    joined,
    observe,
    run_chains,
    run_from_data,
    run_probe,
    run_to_data,
    start_probe,
)
from coursekit.probe import Claim, marked
from coursekit.registry import Exercise, Milestone, Step, load_step
from coursekit.workers.hunted import loss_curve, show_mistakes
from coursekit.workers.keyboard import take_away
from coursekit.workers.learner import MAX_TEXT, Source, install, record_returns, say, tell_exception
from coursekit.workers.watch import LOST

MAX_CASES = 40


def perform(folder: Path) -> int:
    """Do the job of a folder and put the reply beside it.

    Returns the exit status: 0, or LOST with the reason in `lost.txt`.
    """
    job = wire.load(folder, "job")
    os.chdir(folder)
    limit_threads(1)
    step = load_step(Path(job["root"]) / job["step"])
    item = next(item for item in step.items if item.id == job["item"])
    checks = load_marked(step, "checks")
    task = TASKS[job["task"]]
    if task not in (probe_learner, look_at_learner):
        wire.save(folder, "reply", task(job, step, item, checks))
        return 0
    process = os.getpid()
    try:
        reply = task(job, step, item, checks)
        # A copy that the learner's code has forked and let go on comes here too: it has nothing to say.
        if os.getpid() == process:
            wire.save(folder, "reply", reply)
    except BaseException as error:  # noqa: BLE001 - the learner's code has run: nothing is sure any more
        with contextlib.suppress(BaseException):
            (folder / "lost.txt").write_text(f"{type(error).__name__}: {error}"[:MAX_TEXT], encoding="utf-8")
        return LOST
    return 0


def limit_threads(count: int) -> None:
    """Let torch, if it is loaded, compute with this many threads: sums are then added in the same order
    everywhere.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def probe_learner(job: dict[str, Any], step: Step, item: Any, checks: Sequence[ModuleType]) -> dict[str, Any]:
    """Run the item's probe on the learner's text; with the job's files, what follows in a new process."""
    sources = _sources(job)
    claims: list[Claim] = []
    notes: list[str] = []
    raised: Raised | None = None
    files = None
    stage = "module"
    # Shortly before the time is up, note where the code is: C code does this even while Python is in a loop.
    stack = os.open("stack.txt", os.O_WRONLY | os.O_CREAT, 0o600)
    loaded = Path("loaded").absolute()
    faulthandler.dump_traceback_later(0.9 * job["seconds"], file=stack)
    take_away(sources[job["main"]].text)
    try:
        install(sources)
        module = importlib.import_module(job["main"])
        stage = "probe"
        loaded.touch()
        notes = record_returns(module, item.targets)
        given = files_from_data(job.get("files"))
        files = observe(start_probe(checks, item.id, module, job["seed"], given), claims)
    except BaseException as error:  # noqa: BLE001 - exit and interrupt too are what the learner's code did
        raised = tell_exception(error, sources, stage)
    return run_to_data(Run(tuple(claims), raised, tuple(notes), files))


def look_at_learner(job: dict[str, Any], step: Step, item: Any, checks: Sequence[ModuleType]) -> Any:
    """Run the item's small cases and its chains on the learner's text."""
    sources = _sources(job)
    take_away(sources[job["main"]].text)
    install(sources)
    m = importlib.import_module(job["main"])
    cases = _cases(m, item, checks)
    return {"cases": cases, "chains": chains_to_data(run_chains(checks, item.id, m, job["seed"]))}


def reference(job: dict[str, Any], step: Step, item: Any, checks: Sequence[ModuleType]) -> dict[str, Any]:
    """Run the item's probe, small cases and chains on what it is compared with."""
    m = reference_implementation(step, item, checks)
    notes = record_returns(m, item.targets) if isinstance(m, ModuleType) else []
    run = _trusted_run(job, item, checks, m, "", None)
    run = dataclasses.replace(run, returns=(*run.returns, *notes))
    if run.raised:
        raise RuntimeError(f"the probe of {item.id} must run on the solution, got {run.raised}")
    chains = run_chains(checks, item.id, m, job["seed"])
    if broken := [chain.run.raised for chain in chains if chain.run.raised]:
        raise RuntimeError(f"the chains of {item.id} must run on the solution, got {broken[0]}")
    return {
        "run": run_to_data(run),
        "cases": _cases(m, item, checks),
        "chains": chains_to_data(chains),
    }


def mistakes(
    job: dict[str, Any], step: Step, item: Any, checks: Sequence[ModuleType]
) -> list[dict[str, Any]]:
    """Run the item's probe on every known mistake."""
    want = run_from_data(job["want"])
    known = []
    for function in marked(load_marked(step, "mistakes"), "mistake", item.id):
        m, name = implementation(step, item, function), function.__name__
        data = run_to_data(_trusted_run(job, item, checks, m, name, want))
        known.append({"name": name, "text": _text(function), "run": data})
    return known


def _trusted_run(
    job: dict[str, Any], item: Any, checks: Sequence[ModuleType], m: Any, name: str, want: Run | None
) -> Run:
    """Run the item's probe on an implementation of the registry and, once the run is whole, its predicates.

    A job with the runs of an earlier process, by name, goes on with the files that these have handed on.
    """
    if not job.get("before"):
        run = run_probe(checks, item.id, m, job["seed"])
    else:
        first = run_from_data(job["before"][name])
        if first.files is None:
            return first
        run = joined(first, run_probe(checks, item.id, m, job["seed"], first.files))
    return run if run.files is not None else decide_holds(checks, want or run, run)


def decide(job: dict[str, Any], step: Step, item: Any, checks: Sequence[ModuleType]) -> dict[str, Any]:
    """Evaluate the predicates of "holds" claims over values that the learner's code gave."""
    return run_to_data(decide_holds(checks, run_from_data(job["want"]), run_from_data(job["got"])))


TASKS = {
    "probe": probe_learner,
    "look": look_at_learner,
    "reference": reference,
    "mistakes": mistakes,
    "decide": decide,
    "shown": show_mistakes,
    "curve": loss_curve,
}


def _sources(job: dict[str, Any]) -> dict[str, Source]:
    return {name: Source(s["text"], s["filename"], s["lines"]) for name, s in job["modules"].items()}


def _cases(m: Any, item: Exercise | Milestone, checks: Sequence[ModuleType]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for maker in marked(checks, "cases", item.id):
        try:
            for inputs, output in maker(m):
                found.append({"inputs": wire.freeze(inputs), "output": wire.freeze(output)})
                if len(found) >= MAX_CASES:
                    break
        except BaseException as error:  # noqa: BLE001 - whatever ends a case is one of the outcomes compared
            found.append({"inputs": None, "raised": f"{type(error).__name__}: {say(error)}".rstrip(": ")})
    return found


def _text(function: Any) -> str:
    return " ".join((function.__doc__ or "").split())
