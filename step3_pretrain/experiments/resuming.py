"""A run that is stopped and goes on: what has to be kept for the next losses to be the same."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch

from step3_pretrain.experiments import small

STEPS, RATE, DROPOUT = 80, 5e-3, 0.1
WAYS = ("everything", "all but the random generators", "all but the number of the step", "the weights alone")


def _begin(module: Any, lesson: small.Lesson) -> tuple[Any, Any, Any]:
    """Return a new decoder with dropout, its optimizer and the numbers of a short run."""
    model = small.decoder(len(lesson.tokenizer), dropout=DROPOUT)
    optimizer = module.AdamW(model.parameters(), RATE)
    args = module.TrainingArgs(
        steps=small.steps(STEPS),
        batch_size=small.BATCH,
        block_size=small.BLOCK,
        learning_rate=RATE,
        warmup=10,
    )
    return model, optimizer, args


def _take(losses: Any, count: int) -> list[float]:
    """Take so many steps of a training that yields its losses."""
    return [loss for loss, _ in zip(losses, range(count))]


def compare(module: Any, lesson: small.Lesson) -> dict[str, list[float]]:
    """Return the losses of a run that never stopped, and of four that were stopped halfway and went on.

    They differ in what was kept: a new model and a new optimizer get that, and nothing else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, optimizer, args = _begin(module, lesson)
        half = args.steps // 2
        before = _take(module.train(model, optimizer, lesson.stream, args), half)
        weights, kept = (copy.deepcopy(each.state_dict()) for each in (model, optimizer))
        generator = torch.get_rng_state()
        found = {"never stopped": before + list(module.train(model, optimizer, lesson.stream, args, half))}
        for way in WAYS:
            model, optimizer, args = _begin(module, lesson)
            model.load_state_dict(weights)
            torch.manual_seed(1)
            if way != WAYS[1] and way != WAYS[3]:
                torch.set_rng_state(generator)
            if way != WAYS[3]:
                optimizer.load_state_dict(copy.deepcopy(kept))
            start = 0 if way in WAYS[2:] else half
            after = module.train(model, optimizer, lesson.stream, args, start)
            found[way] = before + _take(after, args.steps - half)
    return found


def stopped_and_resumed(module: Any, lesson: small.Lesson) -> tuple[list[float], list[float]]:
    """Return the losses of the second half of a run, undisturbed and resumed by the module's own pair."""
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        path = Path(folder) / "checkpoint.safetensors"
        model, optimizer, args = _begin(module, lesson)
        half = args.steps // 2
        _take(module.train(model, optimizer, lesson.stream, args), half)
        module.save_checkpoint(path, model, optimizer, half)
        straight = list(module.train(model, optimizer, lesson.stream, args, half))
        torch.manual_seed(1)
        model, optimizer, args = _begin(module, lesson)
        step, _ = module.load_checkpoint(path, model, optimizer)
        return straight, list(module.train(model, optimizer, lesson.stream, args, step))
