"""What wrong and right checkpoints are made of: the five parts of both functions, each to be replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from step3_pretrain.model_solution import generator_states, restore_generators

Tensors = dict[str, Tensor]
Rest = dict[str, Any]


def gather(model: Any, optimizer: Any, step: int, extra: Mapping[str, Any] | None) -> tuple[Tensors, Rest]:
    """Return all that belongs into a file: tensors by name, and what JSON can hold."""
    kept = optimizer.state_dict()
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"random/{name}": state for name, state in generator_states().items()}
    numbers: list[Any] = []
    for index, state in kept["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"moments/{index}/{name}"] = value
            else:
                numbers.append([index, name, value])
    whole = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    groups = kept["param_groups"]
    return whole, {"step": step, "extra": dict(extra or {}), "numbers": numbers, "groups": groups}


def put(tensors: Tensors, rest: Rest, path: Path) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}")
    try:
        write(tensors, rest, draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write(tensors: Tensors, rest: Rest, path: Path) -> None:
    """Write a file where it is asked for."""
    save_file(tensors, path, metadata={"rest": json.dumps(rest)})


def read(path: Path) -> tuple[Tensors, Rest]:
    """Return what a file holds. Raises ValueError where it is none."""
    try:
        return parse(path)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file leads to
        raise ValueError(f"{path} is no checkpoint: {type(error).__name__}") from None


def parse(path: Path) -> tuple[Tensors, Rest]:
    """Return what a file holds; raises whatever the library raises."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}, json.loads(
            file.metadata()["rest"]
        )


def compare(path: Path, model: Any, tensors: Tensors) -> None:
    """Raise ValueError where the weights are not this model's."""
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in part(tensors, "model").items()}:
        raise ValueError(f"{path} is another model's")


def part(tensors: Tensors, kind: str) -> Tensors:
    """Return the tensors of one kind, under the rest of their names."""
    found = {
        name.partition("/")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{kind}/")
    }
    return dict(sorted(found.items()))


def moments(optimizer: Any, tensors: Tensors, rest: Rest) -> None:
    """Give the optimizer its state and its settings."""
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in part(tensors, "moments").items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = tensor
    for index, key, value in rest["numbers"]:
        state.setdefault(index, {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": rest["groups"]})


def restore(model: Any, optimizer: Any, tensors: Tensors, rest: Rest) -> None:
    """Bring all three into the state of the file."""
    moments(optimizer, tensors, rest)
    model.load_state_dict(part(tensors, "model"))
    restore_generators(part(tensors, "random"))


def pair(
    gather: Callable[..., Any] = gather,
    put: Callable[..., Any] = put,
    read: Callable[..., Any] = read,
    compare: Callable[..., Any] = compare,
    restore: Callable[..., Any] = restore,
) -> dict[str, Callable[..., Any]]:
    """Return both functions, made of these parts."""

    def save_checkpoint(path: Path, model: Any, optimizer: Any, step: int, extra: Any = None) -> None:
        put(*gather(model, optimizer, step, extra), path)

    def load_checkpoint(path: Path, model: Any, optimizer: Any) -> tuple[int, dict[str, Any]]:
        tensors, rest = read(path)
        compare(path, model, tensors)
        restore(model, optimizer, tensors, rest)
        return rest["step"], rest["extra"]

    return {"save_checkpoint": save_checkpoint, "load_checkpoint": load_checkpoint}
