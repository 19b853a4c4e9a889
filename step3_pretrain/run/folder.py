"""The files of a run. Each is written whole or not at all, so that a kill at any moment leaves a good one.

| file | what it holds |
|---|---|
| `config.json`, `model.safetensors` | the model, as `course export` and `load_run` read it |
| `tokenizer.json`, `tokenizer_config.json` | its tokenizer |
| `training.json` | what the run was asked for, what was chosen, whose code it is |
| `checkpoints/step-00000100.safetensors` | all that a run needs to go on; a folder if several wrote it |
| `metrics.jsonl`, `samples.jsonl`, `tensorboard/` | what was seen on the way |
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

CONFIG, WEIGHTS, TRAINING = "config.json", "model.safetensors", "training.json"
METRICS, SAMPLES, EVENTS = "metrics.jsonl", "samples.jsonl", "tensorboard"
CHECKPOINT = re.compile(r"step-(\d{8,})(\.safetensors)?")


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run."""

    path: Path

    @property
    def is_run(self) -> bool:
        """Whether a run has begun here."""
        return (self.path / TRAINING).is_file()

    def checkpoint(self, step: int, is_folder: bool = False) -> Path:
        """Return where the checkpoint after this many steps belongs; several processes write a folder."""
        return self.path / "checkpoints" / f"step-{step:08}{'' if is_folder else '.safetensors'}"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Return steps and paths of all checkpoints, the newest first, whether they are good or not."""
        found = []
        for path in (self.path / "checkpoints").glob("step-*"):
            if match := CHECKPOINT.fullmatch(path.name):
                found.append((int(match[1]), path))
        return sorted(found, reverse=True)

    def sweep(self) -> None:
        """Take away drafts that a killed run left."""
        for folder in (self.path, self.path / "checkpoints"):
            for draft in folder.glob("*.part"):
                _remove(draft)

    def keep_newest(self, count: int) -> None:
        """Take away all checkpoints but the newest `count`."""
        for _, old in self.checkpoints()[count:]:
            _remove(old)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Put a JSON file in place, whole."""
        write_whole(self.path / name, json.dumps(content, indent=2) + "\n")

    def write_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put `model.safetensors` in place, whole."""
        from safetensors.torch import save_file

        path = self.path / WEIGHTS
        draft = path.with_name(f"{path.name}.part")
        try:
            whole = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
            save_file(whole, draft, metadata={"format": "pt"})
            put_in_place(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return what a file of JSON lines holds; a last line that a kill cut off does not count."""
        path = self.path / name
        if not path.exists():
            return []
        found = []
        for line in path.read_bytes().split(b"\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return [line for line in found if isinstance(line, dict)]

    def cut(self, name: str, step: int) -> None:
        """Take away the lines of a file that stand for later steps than `step`: they come again."""
        kept = [line for line in self.lines(name) if line.get("step", 0) <= step]
        if (self.path / name).exists():
            write_whole(self.path / name, "".join(json.dumps(line) + "\n" for line in kept))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Put a text file in place, whole or not at all."""
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        put_in_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def put_in_place(draft: Path, path: Path) -> None:
    """Give a finished draft its name, once it is on the disk."""
    with open(draft, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(draft, path)


def free_name(root: Path, names: Iterable[str]) -> Path:
    """Return the first folder below `root` of this name, or of this name with a number, that is not there."""
    name = "-".join(re.sub(r"[^A-Za-z0-9]+", "-", each).strip("-") for each in names)[:80]
    path, number = root / name, 2
    while path.exists():
        path, number = root / f"{name}-{number}", number + 1
    return path
