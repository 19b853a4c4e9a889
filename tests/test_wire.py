"""Values between processes: what is written comes back, and whatever else is read is a WireError."""

from __future__ import annotations

import ast
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coursekit.judging import wire
from coursekit.judging.wire import Array, Opaque, WireError, freeze, load, save

KIT = Path(wire.__file__).parent
FOLDER_IS_SHARED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)

DTYPES = st.sampled_from(
    ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
)
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), ARRAYS)
# Keys that look like the wire's own words must not be taken for them.
KEYS = st.one_of(st.text(), st.sampled_from(["array", "opaque", "tuple", "dict", "float", "int", "bytes"]))
NESTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(KEYS, inner), st.lists(inner).map(tuple)
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Tell whether two frozen values are the same to the last bit, types, signs of zero and NaNs included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Array):
        is_like = (a.dtype, a.kind, a.data.dtype, a.shape) == (b.dtype, b.kind, b.data.dtype, b.shape)
        return is_like and a.data.tobytes() == b.data.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


def round_trip(folder: Path, value: Any) -> Any:
    save(folder, "value", freeze(value))
    return load(folder, "value")


@FOLDER_IS_SHARED
@given(NESTS)
@example({"array": "0", "dtype": "float32", "kind": "Tensor", "shape": [1]})
@example({"opaque": "x"})
@example([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 10**5000, -(2**63), "\ud800", "\0"])
@example(())
def test_any_nest_comes_back_to_the_last_bit(tmp_path: Path, value: Any) -> None:
    assert same(round_trip(tmp_path, value), freeze(value))


TENSORS = {
    "a single number": torch.tensor(3.5),
    "an empty one": torch.zeros(0, 3),
    "a transposed view": torch.arange(6.0).reshape(2, 3).T,
    "an expanded view": torch.ones(1).expand(3, 2),
    "every other number": torch.arange(10)[::2],
    "a parameter": torch.nn.Parameter(torch.ones(2)),
    "one with a gradient": torch.ones(2, requires_grad=True) * 2,
    "truth values": torch.tensor([True, False]),
    "a lazy minus": torch.ones(2, dtype=torch.complex64).mul(1j).conj().imag,
    "unsigned 16 bits": torch.arange(3).to(torch.uint16),
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=list(TENSORS))
def test_any_tensor_comes_back_with_its_shape_type_and_numbers(tmp_path: Path, tensor: torch.Tensor) -> None:
    back = round_trip(tmp_path, tensor)
    assert (back.shape, back.dtype, back.kind) == (tuple(tensor.shape), str(tensor.dtype)[6:], "Tensor")
    assert back.data.tolist() == tensor.tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_name_and_its_numbers(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.tensor([1 / 3, -math.inf, math.nan, -0.0], dtype=dtype)
    back = round_trip(tmp_path, tensor)
    assert back.dtype == str(dtype)[6:]
    assert np.array_equal(back.data, tensor.float().numpy(), equal_nan=True)
    assert np.signbit(back.data[3])


def test_later_changes_in_place_do_not_show() -> None:
    tensor, array = torch.zeros(2), np.zeros(2)
    frozen = freeze([tensor, array])
    tensor += 1
    array += 1
    assert [f.data.sum() for f in frozen] == [0, 0]


NO_DATA = {
    "a function": len,
    "a sparse tensor": torch.eye(2).to_sparse(),
    "a tensor of another layout": torch.eye(2).to_mkldnn(),
    "a complex tensor": torch.ones(2, dtype=torch.complex64),
    "a tensor without numbers": torch.empty(2, device="meta"),
    "8-bit floats": torch.ones(2).to(torch.float8_e4m3fn),
    "an array of objects": np.array([object()]),
    "an array of text": np.array(["a"]),
    "an array of dates": np.array(["2024-01-01"], dtype="datetime64[D]"),
    "an array of complex numbers": np.ones(2, dtype=complex),
    "an array of records": np.zeros(2, dtype=[("a", int)]),
    "long floats": np.ones(2, dtype=np.longdouble),
    "a NumPy number": np.float32(1),
    "a set": {1},
    "a range": range(3),
}


@pytest.mark.parametrize("value", NO_DATA.values(), ids=list(NO_DATA))
def test_what_is_no_data_travels_as_the_name_of_its_type(tmp_path: Path, value: Any) -> None:
    back = round_trip(tmp_path, [value])[0]
    assert isinstance(back, Opaque)
    assert back.type


def test_a_nest_without_end_is_cut() -> None:
    nest: list[Any] = []
    nest.append(nest)
    text = str(freeze(nest))
    assert "too deep" in text
    assert len(text) < 1000


def test_big_endian_numbers_are_the_same_numbers(tmp_path: Path) -> None:
    assert round_trip(tmp_path, np.array([1.0, 2.0], dtype=">f8")).data.tolist() == [1.0, 2.0]


def read(folder: Path, text: bytes, blob: bytes | None = None) -> Any:
    """Load two files with these bytes; without a blob, an empty one as the course writes it."""
    save(folder, "other", [])
    (folder / "bad.json").write_bytes(text)
    (folder / "bad.safetensors").write_bytes(
        (folder / "other.safetensors").read_bytes() if blob is None else blob
    )
    return load(folder, "bad")


WRONG = {
    "nothing": b"",
    "no JSON": b"\xff\xfe{",
    "half of it": b'{"tuple": [',
    "an array that is not there": b'{"array": "0", "dtype": "x", "kind": "y", "shape": [1]}',
    "an array under no name": b'{"array": [], "dtype": "x", "kind": "y", "shape": [1]}',
    "a float that is too large": b'{"float": "0x1p99999"}',
    "a float that is none": b'{"float": 3}',
    "an integer that is none": b'{"int": "hello"}',
    "an integer of too many digits": b"9" * 100_000,
    "a dict that is none": b'{"dict": 3}',
    "a tuple that is none": b'{"tuple": 3}',
    "an unknown word": b'{"eval": "1"}',
    "a nest too deep for JSON": b"[" * 200_000,
    "a nest too deep for Python": b'{"tuple": [' * 700 + b"]}" * 700,
}


@pytest.mark.parametrize("text", WRONG.values(), ids=list(WRONG))
def test_any_other_text_is_a_wire_error(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(WireError):
        read(tmp_path, text)


HEADERS = {
    "nothing": b"",
    "a header longer than the file": struct.pack("<Q", 2**63) + b"{}",
    "a header of 99 MB that is not there": struct.pack("<Q", 99_000_000),
    "a type of which NumPy knows nothing": None,
    "no JSON": struct.pack("<Q", 2) + b"xx",
    "numbers outside the file": None,
}


def header(fields: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps({"0": fields}).encode()
    return struct.pack("<Q", len(text)) + text + data


HEADERS["a type of which NumPy knows nothing"] = header(
    {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}, b"0"
)
HEADERS["numbers outside the file"] = header({"dtype": "F32", "shape": [9], "data_offsets": [0, 36]})


@pytest.mark.parametrize("blob", HEADERS.values(), ids=list(HEADERS))
def test_any_other_tensor_file_is_a_wire_error(tmp_path: Path, blob: bytes) -> None:
    with pytest.raises(WireError):
        read(tmp_path, b'{"array": "0", "dtype": "x", "kind": "y", "shape": [1]}', blob)


@pytest.mark.parametrize("shape", [[3], [-2], [10**30], "x", [1.5], {"a": 1}, [1] * 200])
def test_a_shape_that_does_not_fit_its_numbers_is_a_wire_error(tmp_path: Path, shape: Any) -> None:
    blob = header({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, bytes(8))
    text = json.dumps({"array": "0", "dtype": "x", "kind": "y", "shape": shape}).encode()
    with pytest.raises(WireError):
        read(tmp_path, text, blob)


@FOLDER_IS_SHARED
@given(st.data(), NESTS)
def test_a_file_that_was_cut_or_changed_is_read_or_refused(tmp_path: Path, data: Any, value: Any) -> None:
    save(tmp_path, "value", freeze([value, torch.ones(2)]))
    for name in ("value.json", "value.safetensors"):
        raw = bytearray((tmp_path / name).read_bytes())
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : data.draw(st.integers(at, len(raw)))] = data.draw(st.binary(max_size=8))
        (tmp_path / name).write_bytes(raw)
    try:
        back = load(tmp_path, "value")
    except WireError:
        return
    save(tmp_path, "again", back)
    assert same(load(tmp_path, "again"), back)


@FOLDER_IS_SHARED
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path: Path, text: bytes, blob: bytes) -> None:
    with pytest.raises(WireError):
        read(tmp_path, text, blob)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "value", freeze(torch.ones(1000)))
    monkeypatch.setattr(wire, "MAX_TENSORS", 1000)
    with pytest.raises(WireError, match="at most"):
        load(tmp_path, "value")


@pytest.mark.skipif(not hasattr(__import__("os"), "mkfifo"), reason="this system has no such files")
def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path) -> None:
    import os

    save(tmp_path, "value", [])
    for suffix, make in (("json", os.mkfifo), ("json", os.mkdir), ("safetensors", os.mkfifo)):
        save(tmp_path, "bad", [])
        (tmp_path / f"bad.{suffix}").unlink()
        make(tmp_path / f"bad.{suffix}")
        with pytest.raises(WireError, match="plain files"):
            load(tmp_path, "bad")
        path = tmp_path / f"bad.{suffix}"
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_reply_that_is_not_there_is_told_from_a_wrong_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path, "nothing")


def test_no_part_of_the_engine_can_run_code_that_it_reads() -> None:
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for path in KIT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & forbidden, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert ast.unparse(node.func) not in ("torch.load", "np.load", "numpy.load"), path
            assert not (isinstance(node, ast.Name) and node.id in ("eval",)), path
