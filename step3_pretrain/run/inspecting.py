"""`course run inspect`: look at a run, write what is seen into its folder, and say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from step3_pretrain.run.curves import plot_run
from step3_pretrain.run.folder import METRICS, TRAINING, RunFolder, write_whole
from step3_pretrain.run.loading import load_run
from step3_pretrain.run.pages import card, report
from step3_pretrain.run.parts import by_author, used
from step3_pretrain.run.record import read_record
from step3_pretrain.trainer.chain import Chain
from step3_pretrain.trainer.errors import CannotTrain
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.samples import continuations
from step3_pretrain.trainer.tokenizers import encoder_for

REPORT, CARD, CURVES, FOUND = "REPORT.md", "MODEL_CARD.md", "curves.png", "report.json"
# Held-out stories on which the loss is split into its kinds.
STORIES = 200


@dataclass(frozen=True)
class Seen:
    """What was seen of a run: the record of its training, its metrics, its samples, a parser's words."""

    name: str
    training: dict[str, Any]
    lines: list[dict[str, Any]]
    samples: list[str]
    parts: dict[str, list[str]]
    # Only of `storyworld`: samples, answers, loss and floor.
    judged: dict[str, Any] | None

    @property
    def last(self) -> dict[str, Any]:
        """The last line with the bits per byte, or an empty one."""
        return next((line for line in reversed(self.lines) if "bits_per_byte" in line), {})


def inspected(path: Path, answers: int = 200, samples: int = 8, seed: int = 0) -> str:
    """Write REPORT.md, MODEL_CARD.md, curves.png and report.json into a run's folder; return the report.

    Raises CannotTrain for what is no run, ValueError for a damaged one.
    """
    run = RunFolder(path.expanduser())
    if not run.is_run:
        raise CannotTrain(f"RUN must be the folder of a run, with {TRAINING}, got {path}")
    seen = look(run, answers, samples, seed)
    floor = seen.judged["floor"]["bits_per_byte"] if seen.judged else None
    plot_run(seen.lines, run.path / CURVES, floor)
    text = report(seen)
    write_whole(run.path / REPORT, text)
    write_whole(run.path / CARD, card(seen))
    found = {"bits_per_byte": seen.last.get("bits_per_byte"), "parts": seen.parts, "judged": seen.judged}
    run.write_json(FOUND, found)
    return f"{text}\nWritten into {run.path}: {REPORT}, {CARD}, {CURVES}, {FOUND}"


def look(run: RunFolder, answers: int, samples: int, seed: int) -> Seen:
    """Load a run, let it write, and judge it where there is a judge."""
    training = read_record(run.path)
    options = Options.from_json(training["options"])
    chain = Chain(options.solution)
    model, args, tokenizer = load_run(run.path, chain)
    end_of_text = tokenizer.special_tokens[chain.core.END_OF_TEXT]
    generator = torch.Generator().manual_seed(seed)
    prompts = [[end_of_text]] * max(1, samples)
    texts = [tokenizer.decode(ids) for ids in continuations(model, prompts, end_of_text, generator)]
    states = training["parts"]
    judged = None
    if options.corpus == "storyworld":
        encoder = encoder_for(chain, tokenizer, options.corpus)
        judged = judge(model, encoder, end_of_text, texts, answers, seed)
    parts = by_author(used(options, args, states), states)
    return Seen(run.path.resolve().name, training, run.lines(METRICS), texts, parts, judged)


def judge(
    model: Any, encoder: Any, end_of_text: int, texts: list[str], answers: int, seed: int
) -> dict[str, Any]:
    """Return what the parser of the stories says of a model."""
    from step3_pretrain.run import judged

    lost = judged.judged_loss(model, encoder, end_of_text, STORIES)
    return {
        "samples": judged.judged_samples(texts),
        "answers": judged.judged_answers(model, encoder, end_of_text, answers, seed),
        "floor": judged.exact_floor(),
        "loss": {
            "bits_per_byte": lost.bits_per_byte,
            "floor": lost.floor_bits_per_byte,
            "above": lost.share,
            "form": lost.form / lost.floor,
            "choice": lost.choice / lost.floor,
            "recall": lost.recall / lost.floor,
            "nats_per_recall": lost.nats_per_recall,
        },
    }
