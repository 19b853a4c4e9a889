"""Values between processes: a JSON skeleton and a safetensors file of its tensors. Never pickle.

`freeze` turns what a probe observed into plain data (numbers, strings, lists, `Array`, ...), which compares
and travels without torch. What cannot be data is kept as the name of its type (`Opaque`), which equals
nothing but itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

MAX_JSON = 16 * 2**20
MAX_TENSORS = 256 * 2**20
MAX_DEPTH = 50


class WireError(Exception):
    """A file that is not what `save` writes: cut short, too large, or not written by the course."""


@dataclass(frozen=True)
class Array:
    """A tensor as data. dtype is the name the tensor had ("bfloat16" is kept while the numbers are
    float32).
    """

    data: np.ndarray
    dtype: str
    kind: str = "Tensor"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape


@dataclass(frozen=True)
class Opaque:
    """A value that is no data, known by the name of its type."""

    type: str


def freeze(value: Any, depth: int = 0) -> Any:
    """Return the value as plain data: numbers, strings, None, lists, tuples, dicts, Array, Opaque."""
    if value is None or type(value) in (bool, int, float, str, Array, Opaque):
        return value
    if depth > MAX_DEPTH:
        return Opaque("a nest too deep to follow")
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if isinstance(value, tuple):
        return tuple(freeze(item, depth + 1) for item in value)
    if isinstance(value, list):
        return [freeze(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {str(k): freeze(v, depth + 1) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _freeze_array(value)
    if isinstance(value, np.generic):
        return Opaque(f"numpy {value.dtype}")
    return _freeze_tensor(value)


def _freeze_array(value: np.ndarray) -> Any:
    if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
        return Opaque(f"{value.dtype} array")
    # In this machine's byte order; ascontiguousarray alone would make a single number a list of one.
    data = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(value.shape)
    return Array(data.copy(), str(value.dtype), "ndarray")


def _freeze_tensor(value: Any) -> Any:
    name = type(value).__name__
    if type(value).__module__.split(".")[0] != "torch" or name not in ("Tensor", "Parameter"):
        return Opaque(name)
    import torch

    dtype = str(value.dtype).removeprefix("torch.")
    is_plain = value.layout == torch.strided and value.device.type != "meta" and not value.is_quantized
    if not is_plain or value.is_complex() or (value.is_floating_point() and value.element_size() < 2):
        return Opaque(f"{dtype} tensor")
    data = value.detach().to("cpu").resolve_neg()
    if data.dtype in (torch.bfloat16, torch.float16):
        data = data.float()
    # A view keeps its strides in NumPy; safetensors wants the numbers in order.
    return Array(np.ascontiguousarray(data.contiguous().numpy()).copy().reshape(data.shape), dtype)


def save(folder: Path, name: str, value: Any) -> None:
    """Write frozen data as NAME.json and NAME.safetensors; the JSON is put in place last, whole or not at
    all.
    """
    tensors: dict[str, np.ndarray] = {}
    skeleton = _to_json(value, tensors)
    (folder / f"{name}.safetensors").write_bytes(save_tensors(tensors))
    part = folder / f"{name}.json.part"
    part.write_text(json.dumps(skeleton), encoding="utf-8")
    part.replace(folder / f"{name}.json")


def load(folder: Path, name: str) -> Any:
    """Read what `save` wrote. Raises WireError with a sentence for anything else; FileNotFoundError where
    nothing is.
    """
    text, blob = folder / f"{name}.json", folder / f"{name}.safetensors"
    if text.stat().st_size > MAX_JSON or blob.stat().st_size > MAX_TENSORS:
        raise WireError(f"{name} must be at most {MAX_JSON} and {MAX_TENSORS} bytes, got more")
    if not text.is_file() or not blob.is_file():
        raise WireError(f"{name} must be two plain files, got something else")
    try:
        tensors = load_tensors(blob.read_bytes())
        return _from_json(json.loads(text.read_text(encoding="utf-8")), tensors)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
        SafetensorError,
    ) as error:
        raise WireError(f"{name} is not what the course writes: {error}") from None


def _to_json(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    if isinstance(value, Array):
        key = str(len(tensors))
        tensors[key] = np.ascontiguousarray(value.data)
        return {"array": key, "dtype": value.dtype, "kind": value.kind, "shape": list(value.data.shape)}
    if isinstance(value, Opaque):
        return {"opaque": value.type}
    if isinstance(value, tuple):
        return {"tuple": [_to_json(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_to_json(item, tensors) for item in value]
    if isinstance(value, dict):
        return {"dict": {k: _to_json(v, tensors) for k, v in value.items()}}
    if type(value) is float:
        return {"float": value.hex()}
    if type(value) is int:
        return {"int": hex(value)}
    return value


def _from_json(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_from_json(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        data = tensors[value["array"]].reshape(value["shape"])
        if list(data.shape) != value["shape"]:
            raise ValueError(f"a shape must be whole numbers from 0, got {value['shape']}")
        return Array(data, str(value["dtype"]), str(value["kind"]))
    if "opaque" in value:
        return Opaque(str(value["opaque"]))
    if "tuple" in value:
        return tuple(_from_json(item, tensors) for item in value["tuple"])
    if "float" in value:
        return float.fromhex(value["float"])
    if "int" in value:
        return int(value["int"], 16)
    return {k: _from_json(v, tensors) for k, v in value["dict"].items()}
