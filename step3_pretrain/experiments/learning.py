"""What five minutes of training are worth: own tokenizer, own decoder, storyworld, three seeds.

    course evidence learning

Each run is one of the training script, `--minutes 5 --optimizer muon`, judged as `course run inspect` does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from step3_pretrain.run.folder import METRICS, RunFolder
from step3_pretrain.run.inspecting import look
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.setup import new_run
from step3_pretrain.trainer.view import View

SEEDS = (0, 1, 2)
MINUTES = 5.0
# Held-out stories that are asked about, and stories that the model writes, for each seed.
NUM_ANSWERS, NUM_SAMPLES = 200, 200
# The bars: the loss above the floor, samples without a fault in form, of these true to their own facts.
MOST_ABOVE, LEAST_GRAMMATICAL, LEAST_TRUE = 0.15, 0.95, 0.80


def evidence() -> dict[str, Any]:
    """Train and judge every seed, and hold the worst of them to the bars."""
    found = {str(seed): learned(seed) for seed in SEEDS}
    worst = {
        "above": max(run["judged"]["loss"]["above"] for run in found.values()),
        "grammatical": min(run["judged"]["samples"]["grammatical"] for run in found.values()),
        "true": min(run["judged"]["samples"]["true"] for run in found.values()),
        "right": min(run["judged"]["answers"]["right"] for run in found.values()),
    }
    return {
        "seeds": list(SEEDS),
        "results": {"minutes": MINUTES, "worst": worst, "runs": found},
        "claims": {
            f"at most {MOST_ABOVE:.0%} above the floor": worst["above"] <= MOST_ABOVE,
            f"at least {LEAST_GRAMMATICAL:.0%} grammatical": worst["grammatical"] >= LEAST_GRAMMATICAL,
            f"of these at least {LEAST_TRUE:.0%} true": worst["true"] >= LEAST_TRUE,
        },
    }


def learned(
    seed: int, answers: int = NUM_ANSWERS, samples: int = NUM_SAMPLES, **changes: Any
) -> dict[str, Any]:
    """Return what one run has learned: its curve, and what the parser says of it.

    `changes` are options of the script in place of five minutes with Muon.
    """
    asked: dict[str, Any] = {"minutes": MINUTES, "optimizer": "muon", "samples": 0, "solution": True}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        trainer = new_run(Options(**(asked | {"seed": seed} | changes)), path, View(quiet=True))
        trainer.train()
        seen = look(RunFolder(path), answers, samples, seed)
        lines = RunFolder(path).lines(METRICS)
    steps = [line for line in lines if "loss" in line]
    return {
        "steps": len(steps),
        "parameters": seen.training["num_parameters"],
        "tokens_per_second": sorted(line["tokens_per_second"] for line in steps)[len(steps) // 2],
        "curve": [[line["step"], line["bits_per_byte"]] for line in lines if "bits_per_byte" in line],
        "seconds": steps[-1]["seconds"],
        "judged": seen.judged,
        "story": seen.samples[0],
    }
