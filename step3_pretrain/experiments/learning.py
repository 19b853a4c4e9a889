"""What five minutes of training are worth: own tokenizer, own decoder, storyworld, three seeds.

    course evidence learning

Each run is one of the training script, `--minutes 5 --optimizer muon --weight-decay 0`, judged as `course run
inspect` does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coursekit.registry import COURSE_ROOT
from coursekit.widgets.canvas import COLORS, MARKERS, STYLES, canvas
from step3_pretrain.run.folder import METRICS, RunFolder
from step3_pretrain.run.inspecting import look
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.setup import new_run
from step3_pretrain.trainer.view import View

PICTURE = COURSE_ROOT / "docs" / "images" / "learning.png"
SEEDS = (0, 1, 2)
MINUTES = 5.0
# Held-out stories that are asked about, and stories that the model writes, for each seed.
NUM_ANSWERS = 200
NUM_SAMPLES = 400
# The bars: the loss above the floor, samples without a fault in form, of these true to their own facts,
# questions rightly answered.
MOST_ABOVE, LEAST_GRAMMATICAL, LEAST_TRUE, LEAST_RIGHT = 0.15, 0.95, 0.80, 0.70


def evidence() -> dict[str, Any]:
    """Train and judge every seed, draw the curves, and hold the worst of the seeds to the bars."""
    found = {str(seed): learned(seed) for seed in SEEDS}
    draw(found).savefig(PICTURE, dpi=120, metadata={"Software": None})
    judged = [run["judged"] for run in found.values()]
    worst = {
        "above": max(one["loss"]["above"] for one in judged),
        "grammatical": min(one["samples"]["grammatical"] for one in judged),
        "true": min(one["samples"]["true"] for one in judged),
        "right": min(one["answers"]["right"] for one in judged),
    }
    return {
        "seeds": list(SEEDS),
        "table": table(found),
        "results": {"minutes": MINUTES, "worst": worst, "runs": found},
        "claims": {
            f"at most {MOST_ABOVE:.0%} above the floor": worst["above"] <= MOST_ABOVE,
            f"at least {LEAST_GRAMMATICAL:.0%} of the samples are grammatical": worst["grammatical"]
            >= LEAST_GRAMMATICAL,
            f"of these, at least {LEAST_TRUE:.0%} are true": worst["true"] >= LEAST_TRUE,
            f"at least {LEAST_RIGHT:.0%} of the answers are right": worst["right"] >= LEAST_RIGHT,
        },
    }


def learned(
    seed: int, answers: int = NUM_ANSWERS, samples: int = NUM_SAMPLES, **changes: Any
) -> dict[str, Any]:
    """Return what one run has learned: its curve, and what the parser says of it.

    `changes` are options of the script in place of five minutes with Muon.
    """
    asked: dict[str, Any] = {"minutes": MINUTES, "optimizer": "muon", "weight_decay": 0.0, "samples": 0}
    asked |= {"solution": True, "seed": seed} | changes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        trainer = new_run(Options(**asked), path, View(quiet=True))
        trainer.train()
        seen = look(RunFolder(path), answers, samples, seed)
        lines = RunFolder(path).lines(METRICS)
    steps = [line for line in lines if "loss" in line]
    seconds = {line["step"]: line["seconds"] for line in steps}
    return {
        "steps": len(steps),
        "parameters": seen.training["num_parameters"],
        "tokens_per_second": sorted(line["tokens_per_second"] for line in steps)[len(steps) // 2],
        "curve": [
            [round(seconds[line["step"]], 1), line["bits_per_byte"]]
            for line in lines
            if "bits_per_byte" in line
        ],
        "seconds": steps[-1]["seconds"],
        "judged": seen.judged,
        "story": seen.samples[0],
    }


def table(runs: dict[str, Any]) -> dict[str, Any]:
    """Return what the runs have learned as head and rows of a table, a column for each seed."""
    judged = [run["judged"] for run in runs.values()]
    losses = [one["loss"] for one in judged]
    rows = [["steps", *(f"{run['steps']:,}" for run in runs.values())]]
    rows += [["tokens a second", *(f"{run['tokens_per_second']:,.0f}" for run in runs.values())]]
    rows += [["bits per byte", *(f"{loss['bits_per_byte']:.4f}" for loss in losses)]]
    rows += [["the floor of these stories", *(f"{loss['floor']:.4f}" for loss in losses)]]
    rows += [["above the floor", *(f"{loss['above']:.1%}" for loss in losses)]]
    for kind in ("form", "choice", "recall"):
        rows += [[f"of this, {kind}", *(f"{loss[kind]:.1%}" for loss in losses)]]
    rows += [["nats for a recalled fact", *(f"{loss['nats_per_recall']:.3f}" for loss in losses)]]
    rows += [["samples that are grammatical", *(f"{one['samples']['grammatical']:.1%}" for one in judged)]]
    rows += [["of these, true to their facts", *(f"{one['samples']['true']:.1%}" for one in judged)]]
    rows += [["right answers", *(f"{one['answers']['right']:.1%}" for one in judged)]]
    for place, name in enumerate(("nearest", "second", "third", "farthest")):
        groups = [one["answers"]["by_distance"][place] for one in judged]
        rows += [[f"of the {name} quarter of facts", *(f"{group['right']:.0%}" for group in groups)]]
    return {"head": ["", *(f"Seed {seed}" for seed in runs)], "rows": rows}


def draw(runs: dict[str, Any]) -> Figure:
    """Draw the held-out loss of each run over minutes of training, and the law's floor."""
    figure, (ax,) = canvas()
    for i, (seed, run) in enumerate(runs.items()):
        seconds, bits = zip(*run["curve"])
        minutes = [second / 60 for second in seconds]
        ax.plot(
            minutes, bits, color=COLORS[i], linestyle=STYLES[i], marker=MARKERS[i], ms=4, label=f"seed {seed}"
        )
    known = next(iter(runs.values()))["judged"]["floor"]
    ax.axhline(known["bits_per_byte"], color="#444444", linewidth=1, label="the floor")
    ax.set(xlabel="minutes of training", ylabel="held-out bits per byte")
    ax.legend(frameon=False, fontsize=9)
    return figure
