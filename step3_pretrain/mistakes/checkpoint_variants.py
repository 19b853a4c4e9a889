"""3.8, checkpoints: accepted variants, each with a format of its own."""

from __future__ import annotations

import base64
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from coursekit.probe import variant
from step3_pretrain.mistakes.checkpoint_parts import compare, gather, pair, part, restore

Pair = dict[str, Callable[..., Any]]


def put_bytes(data: bytes, path: Path) -> None:
    """Write bytes into a file of a random name in the same folder, and rename it."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        os.unlink(name)
        raise


def refusing(parse: Callable[[bytes], Any]) -> Callable[[Path], Any]:
    """Let whatever a damaged file leads to become a ValueError."""

    def read(path: Path) -> Any:
        try:
            return parse(path.read_bytes())
        except Exception as error:
            raise ValueError(f"damaged: {path.name} ({error})") from error

    return read


@variant("3.8")
def all_in_json() -> Pair:
    """One text: tensors as base64 of their bytes."""

    def put(tensors: Any, rest: Any, path: Path) -> None:
        told = {
            name: [str(t.dtype)[6:], list(t.shape), base64.b64encode(t.numpy().tobytes()).decode()]
            for name, t in tensors.items()
        }
        put_bytes(json.dumps({"tensors": told, "rest": rest}).encode(), path)

    def parse(data: bytes) -> Any:
        found = json.loads(data)
        tensors = {}
        for name, (dtype, shape, text) in found["tensors"].items():
            numbers = torch.frombuffer(bytearray(base64.b64decode(text)), dtype=getattr(torch, dtype))
            tensors[name] = numbers.reshape(shape)
        return tensors, found["rest"]

    return pair(put=put, read=refusing(parse))


@variant("3.8")
def length_and_bytes() -> Pair:
    """The length of a JSON text, the text, then safetensors; gone through weight by weight."""

    def put(tensors: Any, rest: Any, path: Path) -> None:
        text = json.dumps(rest).encode()
        put_bytes(struct.pack("<Q", len(text)) + text + save(tensors), path)

    def parse(data: bytes) -> Any:
        (length,) = struct.unpack_from("<Q", data)
        return load(data[8 + length :]), json.loads(data[8 : 8 + length])

    def restored(model: Any, optimizer: Any, tensors: Any, rest: Any) -> None:
        with torch.no_grad():
            for name, tensor in model.state_dict(keep_vars=True).items():
                tensor.copy_(part(tensors, "model")[name])
        restore(model, optimizer, tensors, rest)

    return pair(put=put, read=refusing(parse), restore=restored)


@variant("3.8")
def numpy_archive() -> Pair:
    """An archive of NumPy's arrays, packed, beside a member of JSON."""

    def put(tensors: Any, rest: Any, path: Path) -> None:
        draft = path.parent / f"new-{os.getpid()}.npz"
        try:
            np.savez_compressed(draft, **{name: t.numpy() for name, t in tensors.items()})
            with zipfile.ZipFile(draft, "a") as archive:
                archive.writestr("rest.json", json.dumps(rest))
            os.rename(draft, path)
        finally:
            if draft.exists():
                draft.unlink()

    def read(path: Path) -> Any:
        try:
            with zipfile.ZipFile(path) as archive:
                rest = json.loads(archive.read("rest.json"))
            with np.load(path, allow_pickle=False) as arrays:
                tensors = {n: torch.from_numpy(arrays[n].copy()) for n in arrays.files if n != "rest.json"}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: {error}") from None
        return tensors, rest

    return pair(put=put, read=read)


@variant("3.8")
def looked_at_first() -> Pair:
    """The draft is read back before it takes the place, and the optimizer is brought back last."""

    def put(tensors: Any, rest: Any, path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent) as _:
            pass
        data = save(tensors, metadata={"rest": json.dumps(rest)})
        assert load(data).keys() == tensors.keys()
        put_bytes(data, path)

    def compared(path: Path, model: Any, tensors: Any) -> None:
        for name, tensor in part(tensors, "model").items():
            own = model.state_dict().get(name)
            if own is None or own.shape != tensor.shape:
                raise ValueError(f"{path}: {name} does not fit")
        compare(path, model, tensors)

    return pair(gather=gather, put=put, compare=compared)
