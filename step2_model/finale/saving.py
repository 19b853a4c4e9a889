"""A finished run as a folder: weights, configuration, and the loss of every step."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from coursekit.registry import COURSE_ROOT

if TYPE_CHECKING:
    from step2_model.finale import Run

FOLDER = COURSE_ROOT / "runs" / "step2-finale"


def save(run: Run, folder: Path = FOLDER) -> Path:
    """Write model.safetensors, config.json and metrics.jsonl, in place of an earlier run's, and return the
    folder.

    The last line of metrics.jsonl holds what `measure` last found, bits per byte on the held-out sample.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in run.model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(asdict(run.config), indent=2) + "\n", encoding="utf-8")
    lines = [json.dumps(asdict(step)) for step in run.history]
    lines.append(json.dumps({"seed": run.seed, "ended": run.ended, "bits_per_byte": run.levels}))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
