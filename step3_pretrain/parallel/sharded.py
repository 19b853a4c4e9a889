"""Checkpoints that several processes write together: each its share, as safetensors, all else as JSON.

Nothing in them is a pickle: PyTorch's usual reader of distributed checkpoints would run one. The folder is
written under another name and gets its own when everybody is done, so that it is whole or not there.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule

from step3_pretrain.parallel.world import World

STATE = "state.json"
# What reading a damaged folder raises, here or, told by the library, in another process.
BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, dcp.CheckpointException)
FLAT = StateDictOptions(flatten_optimizer_state_dict=True)


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    extra: Mapping[str, Any],
    world: World,
) -> None:
    """Write all that the run needs to go on, together with the other processes: what 3.8 keeps."""
    draft = folder.with_name(f"{folder.name}.part")
    if world.is_first:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    world.wait()
    tensors, rest = _state(model, optimizer, world)
    with _quietly():
        dcp.save(tensors, storage_writer=HuggingFaceStorageWriter(str(draft), save_distributed=True))
    world.wait()
    if world.is_first:
        kept = {"step": step, "extra": dict(extra), "processes": world.size, "optimizer": rest}
        (draft / STATE).write_text(json.dumps(kept) + "\n", encoding="utf-8")
        for path in draft.iterdir():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    world.wait()


def load(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> tuple[int, dict[str, Any]]:
    """Bring model, optimizer and this process's generators to the checkpoint; return its step and extra.

    There may be more or fewer processes than those that wrote it, or one alone: every tensor is put together
    anew. Generators of processes that there were not stay as they are. Raises ValueError, with the path, for
    a checkpoint that is damaged or another model's.
    """
    try:
        kept = json.loads((folder / STATE).read_text(encoding="utf-8"))
        step, extra, rest = kept["step"], kept["extra"], kept["optimizer"]
        with _quietly():
            reader = HuggingFaceStorageReader(str(folder))
            there = reader.read_metadata().state_dict_metadata
            tensors, _ = _state(model, optimizer, world)
            _compare(folder, there, tensors)
            wanted = {name: tensor for name, tensor in tensors.items() if name in there}
            dcp.load(wanted, storage_reader=HuggingFaceStorageReader(str(folder)))
    except BROKEN as error:
        told = str(error) if str(error).startswith(str(folder)) else _last_line(error)
        whole = told if told.startswith(str(folder)) else f"{folder} must be a whole checkpoint, got: {told}"
        raise ValueError(whole) from None
    model.load_state_dict(_part(wanted, "model."))
    set_optimizer_state_dict(model, optimizer, {**_part(wanted, "optimizer."), **rest}, options=FLAT)
    _restore_generators(_part(wanted, f"generator.{world.rank}."))
    return step, extra


def adopt(
    load_twin: Callable[[nn.Module, torch.optim.Optimizer], tuple[int, dict[str, Any]]],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> tuple[int, dict[str, Any]]:
    """Bring a model of which every process may hold a share to what one process wrote.

    `load_twin` fills a whole twin of model and optimizer, from which each process takes its share.
    """
    # FSDP2 makes the model an instance of a class of its own, on top of the one that it was.
    kind: Any = next(each for each in type(model).__mro__ if not issubclass(each, FSDPModule))
    twin = kind(model.args)
    whole = copy_of(optimizer, model, twin)
    found = load_twin(twin, whole)
    options = StateDictOptions(full_state_dict=True)
    set_model_state_dict(model, twin.state_dict(), options=options)
    kept = get_optimizer_state_dict(twin, whole)
    set_optimizer_state_dict(model, optimizer, kept, options=options)
    return found


def copy_of(optimizer: torch.optim.Optimizer, model: nn.Module, twin: nn.Module) -> torch.optim.Optimizer:
    """Return an optimizer of the same kind and groups over the twin's parameters."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    own = dict(twin.named_parameters())
    groups = [
        {**group, "params": [own[names[id(parameter)]] for parameter in group["params"]]}
        for group in optimizer.param_groups
    ]
    kind: Any = type(optimizer)
    found: torch.optim.Optimizer = kind(groups)
    return found


def _state(
    model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return all tensors by name, and what of the optimizer's state is no tensor."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    rest = {}
    for name, value in get_optimizer_state_dict(model, optimizer, options=FLAT).items():
        if isinstance(value, Tensor):
            tensors[f"optimizer.{name}"] = value
        else:
            rest[name] = value
    tensors[f"generator.{world.rank}.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors[f"generator.{world.rank}.cuda"] = torch.cuda.get_rng_state()
    return tensors, rest


def _compare(folder: Path, there: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> None:
    """Raise ValueError where the checkpoint has other weights than the model, or of other shapes."""
    names = {name for name in (*there, *wanted) if name.startswith("model.")}
    for name in sorted(names):
        found = tuple(there[name].size) if name in there else None
        here = tuple(wanted[name].shape) if name in wanted else None
        if found != here:
            own = name.removeprefix("model.")
            raise ValueError(f"{folder} must hold the weights of this model, got {own} {found} for {here}")


def _part(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}


def _restore_generators(states: Mapping[str, Tensor]) -> None:
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _last_line(error: BaseException) -> str:
    """Return what an error of the library says at its end, where the cause stands."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back the library's remark that one process alone reads or writes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        yield
