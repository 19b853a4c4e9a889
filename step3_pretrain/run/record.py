"""What a run says of itself: `training.json`, read and looked over before anything rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from step2_model.exchange.loading import read_json
from step3_pretrain.run.folder import TRAINING
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options

NUMBER = (int, float)
RECORD = {"options": dict, "plan": dict, "num_parameters": NUMBER, "num_tokens": NUMBER, "num_bytes": NUMBER}
PLAN = {"total": NUMBER, "by_clock": bool}
# What a record may lack.
LATER: dict[str, Any] = {"parts": {}, "identity": {}}


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a run, with the options that it lacks at their defaults.

    Raises ValueError, rule first, where it is missing, damaged or another program's.
    """
    path = folder / TRAINING
    record = LATER | _read(path)
    _look_over(path, record, RECORD | dict.fromkeys(LATER, dict))
    _look_over(path, record["plan"], PLAN)
    try:
        options = Options.from_json(record["options"])
    except (CannotTrain, TypeError) as error:
        raise _not_a_record(path, f"options that do not hold: {error}") from None
    return record | {"options": options.to_json()}


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options of a run as they are written, none where the record names none.

    Raises ValueError where the record is no object of JSON, or its options are none.
    """
    options: dict[str, Any] = _read(folder / TRAINING).get("options", {})
    return options


def _read(path: Path) -> dict[str, Any]:
    record: Any = read_json(path)
    if not isinstance(record, dict):
        raise _not_a_record(path, f"a {type(record).__name__}")
    if not isinstance(record.get("options", {}), dict):
        raise _not_a_record(path, "no options")
    return record


def _look_over(path: Path, found: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    for name, kind in kinds.items():
        if name not in found:
            raise _not_a_record(path, f"none with {name}")
        if not isinstance(found[name], kind):
            raise _not_a_record(path, f"{name} {found[name]!r}")


def _not_a_record(path: Path, got: str) -> ValueError:
    return ValueError(f"{path} must be the record that training writes, got {got}")
