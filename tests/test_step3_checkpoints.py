"""Checkpoints: a run goes on bit for bit, a kill or a full disk costs nothing, no damaged file is taken."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from os import rename, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from coursekit.judging.judge import Judge
from coursekit.judging.runs import whole_probe
from coursekit.judging.verdict import Status, Verdict
from coursekit.probe import Claim, Rng, as_claims
from coursekit.registry import COURSE_ROOT, load_step
from coursekit.source import exercise_text, find_spans
from step3_pretrain import model_solution as m
from step3_pretrain.checks import checkpoint_runs, checkpoints
from step3_pretrain.checks.checkpoint_damage import Hostile, refusal
from step3_pretrain.checks.checkpoint_runs import FULL_DISK, Moves, Tied, Training, full_disk
from step3_pretrain.mistakes.checkpoint_parts import pair

STEP = load_step(COURSE_ROOT / "step3_pretrain")
(ITEM,) = (item for item in STEP.exercises if item.id == "3.8")
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(COURSE_ROOT), "OMP_NUM_THREADS": "1"}

# A run in a process of its own: on from the checkpoint if there is one, one loss a line, saved at each step.
PROGRAM = """
import sys
from pathlib import Path

import torch

from coursekit.probe import Rng
from step3_pretrain import model_solution as m
from step3_pretrain.checks.checkpoint_runs import Training

path, last = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
run = Training(m, Rng(7))
step = m.load_checkpoint(path, run.model, run.optimizer)[0] if path.exists() else 0
while step < last:
    (loss,) = run.steps(step, 1)
    print(step, loss.hex(), flush=True)
    step += 1
    m.save_checkpoint(path, run.model, run.optimizer, step)
"""


def start(path: Path, last: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), str(last)],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def losses(out: str) -> dict[int, str]:
    pairs = (line.split() for line in out.splitlines() if "p" in line)
    return {int(step): loss for step, loss in pairs}


def test_a_run_that_is_killed_anywhere_goes_on_bit_for_bit(tmp_path: Path) -> None:
    wanted = losses(start(tmp_path / "whole", 24).communicate()[0])
    assert len(wanted) == 24
    path, found = tmp_path / "killed", dict[int, str]()
    for number, count in enumerate((3, 9)):
        process = start(path, 24)
        assert process.stdout is not None
        out = ""
        while len(losses(out)) < count:
            out += process.stdout.readline()
        time.sleep(0.0007 * number)
        process.kill()
        came = losses(out + process.communicate()[0])
        # What was said last may not have been saved; all before it was.
        assert min(came) >= max(found, default=0)
        found |= came
    came = losses(start(path, 24).communicate()[0])
    assert min(came) >= max(found) >= 10
    assert found | came == wanted


@pytest.fixture
def run() -> Training:
    return Training(m, Rng(5))


def saved(run: Training, path: Path, step: int = 3) -> bytes:
    m.save_checkpoint(path, run.model, run.optimizer, step, {"a": 1})
    return path.read_bytes()


@EXAMPLES
@given(st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off_anywhere_is_refused_and_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / "c"
    run = Training(m, Rng(5))
    run.steps(0, 1)
    data = saved(run, path)
    path.write_bytes(data[: int(share * len(data))])
    assert refusal(m, path, run) == "a ValueError that names the file"


def test_a_pickle_in_a_run_folder_is_not_run(run: Training, tmp_path: Path) -> None:
    path, trap = tmp_path / "c", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Hostile(trap)))
    assert refusal(m, path, run) == "a ValueError that names the file"
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists(), "the trap is one"


def test_an_optimizer_of_other_groups_is_refused_and_nothing_has_changed(
    run: Training, tmp_path: Path
) -> None:
    run.steps(0, 1)
    saved(run, tmp_path / "c")
    run.optimizer = m.AdamW(run.model.parameters())
    assert refusal(m, tmp_path / "c", run) == "a ValueError that names the file"


def test_tied_and_transposed_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    model = Tied()
    nn.init.normal_(model.turned)
    optimizer = m.AdamW(model.parameters())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    m.save_checkpoint(tmp_path / "c", model, optimizer, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    m.load_checkpoint(tmp_path / "c", model, optimizer)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.head.weight is model.embed.weight


def test_settings_that_a_schedule_has_changed_come_back(run: Training, tmp_path: Path) -> None:
    for step in range(3):
        for group in run.optimizer.param_groups:
            peak = group.setdefault("initial_lr", group["lr"])
            group["lr"] = m.learning_rate(step, peak, 10, 20)
        run.steps(step, 1)
    wanted = [(group["lr"], group["initial_lr"]) for group in run.optimizer.param_groups]
    saved(run, tmp_path / "c")
    other = Training(m, Rng(1), lr=9.0)
    m.load_checkpoint(tmp_path / "c", other.model, other.optimizer)
    assert [(group["lr"], group["initial_lr"]) for group in other.optimizer.param_groups] == wanted


# --- what the check watches with


MOVES: dict[str, Callable[[Path, Path], Any]] = {
    "os.replace": os.replace,
    "os.rename": os.rename,
    "from os import replace": replace,
    "from os import rename": rename,
    "Path.replace": Path.replace,
    "Path.rename": Path.rename,
    "shutil.move": shutil.move,
    "texts": lambda source, target: os.replace(str(source), str(target)),
    "bytes": lambda source, target: os.replace(os.fsencode(source), os.fsencode(target)),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=list(MOVES))
def test_every_way_to_move_a_file_is_heard_of(move: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target = tmp_path / "target"
    with Moves(target) as moves:
        for source in (tmp_path / "near", tmp_path / "far" / "away", tmp_path / "near"):
            source.write_text("x")
            move(source, target)
        (tmp_path / "near").write_text("x")
        move(tmp_path / "near", tmp_path / "another")
    assert moves.from_same_folder == [True, False, True]
    assert moves.onto_older == [False, True, True]
    move(target, tmp_path / "back")
    assert len(moves.onto_older) == 3, "nothing is heard outside of the block"


def test_a_move_that_is_to_fail_leaves_both_files(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("old")
    with Moves(target, fails=True), pytest.raises(OSError, match="full"):
        os.replace(source, target)
    assert (source.read_text(), target.read_text()) == ("new", "old")
    os.replace(source, target)
    assert target.read_text() == "new"


@pytest.mark.skipif(not FULL_DISK, reason="Windows has no limit on the size of files")
def test_a_full_disk_cuts_files_off_while_the_block_runs(tmp_path: Path) -> None:
    with full_disk(1_000), pytest.raises(OSError, match="large"):
        (tmp_path / "a").write_bytes(bytes(5_000))
    assert (tmp_path / "a").stat().st_size <= 1_000
    (tmp_path / "b").write_bytes(bytes(5_000))


def test_optimizers_are_made_without_an_import_of_the_compiler() -> None:
    program = """
    import sys
    import torch
    from step3_pretrain.checks import checkpoint_runs
    from step3_pretrain import model_solution as m
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = m.AdamW([weight])
    weight.grad = torch.ones(2)
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
    print("torch._dynamo" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=True,
    )
    assert done.stdout.strip() == "False"


def claims_on(functions: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of both parts, by their first words, for other functions in the solution."""
    module = type(sys)("planted")
    vars(module).update(vars(m) | functions)
    claims = list(as_claims(whole_probe([checkpoints], "3.8", module, 3)))
    return {claim.label: claim.value for claim in claims if isinstance(claim, Claim)}


def test_both_parts_of_the_check_agree_on_the_solution() -> None:
    found = claims_on({})
    (here,) = (
        value
        for label, value in found.items()
        if label.startswith(f"of the next {checkpoints.MORE} losses, ")
    )
    (there,) = (value for label, value in found.items() if "losses there" in label)
    assert (here, there) == (checkpoints.MORE, checkpoints.MORE)
    assert found["nothing in it is run"] is True


def test_a_folder_of_a_check_is_left_and_gone() -> None:
    before = os.getcwd()
    with contextlib.suppress(KeyError), checkpoint_runs.folder():
        inside = os.getcwd()
        assert inside != before
        raise KeyError
    assert os.getcwd() == before
    assert not Path(inside).exists()


# --- the judge


@pytest.fixture
def verdict_on(pool: Any, tmp_path: Path) -> Callable[..., Verdict]:
    """Judge step 3's solution with parts of the two functions written in another way."""
    solution = exercise_text((STEP.path / "model_solution.py").read_text(encoding="utf-8"), STEP, "model")

    def run(*changes: tuple[str, str], head: str = "") -> Verdict:
        text = solution
        for target in ITEM.targets:
            span, lines = find_spans(text, [target])[target], text.split("\n")
            body = "\n".join(lines[span.body_first - 1 : span.last])
            for old, new in changes:
                body = body.replace(old, new)
            text = "\n".join([*lines[: span.body_first - 1], body, *lines[span.last :]])
        for old, _ in changes:
            assert old in solution, old
        path = tmp_path / "model_exercise.py"
        path.write_text(text.replace("import json\n", f"import json\n{head}\n", 1), encoding="utf-8")
        return Judge(pool=pool).report(STEP, [ITEM], path).verdicts[0]

    return run


def test_the_solution_passes(verdict_on: Any) -> None:
    verdict = verdict_on()
    assert (verdict.status, verdict.score) == (Status.PASSED, 6), verdict


def test_a_move_under_another_name_passes(verdict_on: Any) -> None:
    head = "from os import rename as into_place"
    assert (
        verdict_on(("os.replace(draft, path)", "into_place(draft, path)"), head=head).status is Status.PASSED
    )


@pytest.mark.parametrize(
    "body",
    [
        "torch.save(whole, draft)",
        "getattr(torch, 'save')(whole, draft)",
        "pickle.dump(whole, open(draft, 'wb'))",
    ],
)
def test_a_pickle_is_not_allowed(verdict_on: Any, body: str) -> None:
    saves = 'save_file(whole, draft, metadata={"checkpoint": json.dumps(rest)})'
    assert verdict_on((saves, body), head="import pickle").status is Status.NOT_ALLOWED


NAMED: dict[str, list[tuple[str, str]]] = {
    "no_generator": [("restore_generators(states)", "pass")],
    "no_settings": [
        ('"param_groups": rest["groups"]', '"param_groups": optimizer.state_dict()["param_groups"]')
    ],
    "in_place": [
        ('draft = path.with_name(f"{path.name}.part")', "draft = path"),
        ("os.replace(draft, path)", "pass"),
        ("draft.unlink(missing_ok=True)", "pass"),
    ],
    "draft_stays": [("draft.unlink(missing_ok=True)", "pass")],
    "a_step_too_far": [("return step, extra", "return step + 1, extra")],
}


@pytest.mark.parametrize("name", NAMED)
def test_a_known_mistake_is_named_however_it_is_written(verdict_on: Any, name: str) -> None:
    verdict = verdict_on(*NAMED[name])
    assert verdict.mistake is not None, verdict
    assert verdict.mistake.name == name


def test_what_is_kept_in_the_process_is_missed_in_the_new_one(verdict_on: Any) -> None:
    verdict = verdict_on(
        ('tensors |= {f"generator.', 'KEPT.update(generator_states())\n    {f"generator.'),
        ("restore_generators(states)", "restore_generators(KEPT)"),
        head="KEPT = {}",
    )
    assert verdict.status is Status.FAILED
    assert "losses there" in (verdict.claim or "")
    assert verdict.score == 3


def test_a_save_that_hangs_is_told_as_such(verdict_on: Any) -> None:
    verdict = verdict_on(("os.replace(draft, path)", "__import__('time').sleep(100)"))
    assert verdict.status is Status.TIMEOUT


def test_both_functions_can_be_put_together_of_the_registrys_parts(tmp_path: Path) -> None:
    own = pair()
    run = Training(m, Rng(2))
    own["save_checkpoint"](tmp_path / "c", run.model, run.optimizer, 4, {"b": [1]})
    assert own["load_checkpoint"](tmp_path / "c", run.model, run.optimizer) == (4, {"b": [1]})
    assert json.loads(json.dumps({"b": [1]})) == {"b": [1]}
