"""3.resumes: whole chains that do not survive a kill, each of which the milestone must refuse."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coursekit.probe import mistake, variant
from step3_pretrain import model_solution as solution
from step3_pretrain.mistakes import blocks, blocks_seeds, one_step
from step3_pretrain.mistakes.milestones import Patches


def fresh_optimizer(path: Path, model: Any, optimizer: Any) -> Any:
    """Load a checkpoint, but for the optimizer's state."""
    kept = copy.deepcopy(optimizer.state_dict())
    found = solution.load_checkpoint(path, model, optimizer)
    optimizer.load_state_dict(kept)
    return found


def fresh_model(path: Path, model: Any, optimizer: Any) -> Any:
    """Load a checkpoint, but for the weights."""
    kept = copy.deepcopy(model.state_dict())
    found = solution.load_checkpoint(path, model, optimizer)
    model.load_state_dict(kept)
    return found


def from_the_start(path: Path, model: Any, optimizer: Any) -> Any:
    """Load a checkpoint and forget its step."""
    return 0, solution.load_checkpoint(path, model, optimizer)[1]


def one_step_late(path: Path, model: Any, optimizer: Any, step: int, extra: Any = None) -> None:
    """Save a checkpoint with the number of the step before."""
    solution.save_checkpoint(path, model, optimizer, step - 1, extra)


def removes_first(path: Path, model: Any, optimizer: Any, step: int, extra: Any = None) -> None:
    """Save a checkpoint where nothing is any more."""
    path.unlink(missing_ok=True)
    solution.save_checkpoint(path, model, optimizer, step, extra)


def in_half_precision(path: Path, model: Any, optimizer: Any, step: int, extra: Any = None) -> None:
    """Save a checkpoint whose weights are rounded to bfloat16."""
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.bfloat16())
    solution.save_checkpoint(path, rounded, optimizer, step, extra)


@mistake("3.resumes")
def resumes_without_generators() -> Patches:
    """Your checkpoint does not bring the generators back: dropout goes on otherwise."""
    return {"load_checkpoint": without_generators}


def without_generators(path: Path, model: Any, optimizer: Any) -> Any:
    """Load a checkpoint, but for the generators."""
    state = torch.get_rng_state()
    found = solution.load_checkpoint(path, model, optimizer)
    torch.set_rng_state(state)
    return found


@mistake("3.resumes")
def resumes_without_optimizer() -> Patches:
    """Your checkpoint does not bring the optimizer's means back."""
    return {"load_checkpoint": fresh_optimizer}


@mistake("3.resumes")
def resumes_without_weights() -> Patches:
    """Your checkpoint does not bring the weights back."""
    return {"load_checkpoint": fresh_model}


@mistake("3.resumes")
def resumes_from_the_start() -> Patches:
    """Your run begins at step 0 again: its data and its schedule, too."""
    return {"load_checkpoint": from_the_start}


@mistake("3.resumes")
def resumes_one_step_late() -> Patches:
    """Your run takes its last step twice."""
    return {"save_checkpoint": one_step_late}


@mistake("3.resumes")
def resumes_in_half_precision() -> Patches:
    """Your checkpoint holds the weights in half precision."""
    return {"save_checkpoint": in_half_precision}


@mistake("3.resumes")
def resumes_with_other_blocks() -> Patches:
    """Your blocks depend on what was drawn before."""
    return {"sample_blocks": by_python}


def by_python(stream: Tensor, block_size: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Return blocks from places that Python's global generator draws."""
    starts = [random.randrange(len(stream) - block_size + 1) for _ in range(batch_size)]
    return blocks.read(stream, starts, block_size)


@mistake("3.resumes")
def removes_the_old_one_first() -> Patches:
    """Your save removes the old checkpoint before the new one is there."""
    return {"save_checkpoint": removes_first}


@variant("3.resumes")
def resumes_otherwise() -> Patches:
    """Other blocks, another style of the step."""
    return {"sample_blocks": blocks_seeds.by_numpy, "training_step": one_step.by_the_model}


@variant("3.resumes")
def resumes_by_torch() -> Patches:
    """Other blocks again."""
    return {"sample_blocks": blocks_seeds.by_torch, "training_step": one_step.kept_zeros}
