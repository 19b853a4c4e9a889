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
RECORD = {"plan": dict, "num_parameters": NUMBER, "num_tokens": NUMBER, "num_bytes": NUMBER}
PLAN = {"total": NUMBER, "by_clock": bool}


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a run, with the options that it lacks at their defaults.

    Raises ValueError, rule first, where it is missing, damaged or another program's.
    """
    path = folder / TRAINING
    record = read_json(path)
    given = read_options(folder)
    _look_over(path, record, RECORD)
    _look_over(path, record["plan"], PLAN)
    try:
        options = Options.from_json(given)
    except (CannotTrain, TypeError) as error:
        raise _not_a_record(path, f"options that do not hold: {error}") from None
    _look_over(path, whole := {"parts": {}, "identity": {}} | record, {"parts": dict, "identity": dict})
    return whole | {"options": options.to_json()}


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options of a run as they are written, none where the record names none.

    Raises ValueError where the record is no object of JSON, or its options are none.
    """
    path = folder / TRAINING
    record: Any = read_json(path)
    options = record.get("options", {}) if isinstance(record, dict) else None
    if not isinstance(options, dict):
        raise _not_a_record(path, "no options" if isinstance(record, dict) else f"a {type(record).__name__}")
    return options


def _look_over(path: Path, found: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    for name, kind in kinds.items():
        if name not in found:
            raise _not_a_record(path, f"none with {name}")
        if not isinstance(found[name], kind):
            raise _not_a_record(path, f"{name} {found[name]!r}")


def _not_a_record(path: Path, got: str) -> ValueError:
    return ValueError(f"{path} must be the record that training writes, got {got}")
