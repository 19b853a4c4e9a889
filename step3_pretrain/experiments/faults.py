"""Runs with one fault each, in a part that the chapter asks for: what does the curve say?

Each fault puts a wrong function in the place of a right one, in a module that holds step 3's functions. The
rest of the run is the same for all: stories, model, seed, batches.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn

from step3_pretrain import model_solution
from step3_pretrain.experiments import small, wrong

COPY = "step3_pretrain.faulty_solution"
STEPS, RATE, WARMUP, LOOKS, LOOKED_AT = 150, 5e-3, 15, 10, 16
# Which fault each letter of the hunt stands for.
ORDER = (3, 0, 5, 2, 4, 1)


@dataclass(frozen=True)
class Fault:
    """What is wrong, in which section it belongs, what its curve shows, and the functions that do it."""

    name: str
    section: str
    shows: str
    parts: Callable[[Any], wrong.Parts]


def reference_copy() -> ModuleType:
    """Return a new copy of the reference, in which functions may be exchanged."""
    spec = importlib.util.spec_from_file_location(COPY, model_solution.__file__)
    if spec is None or spec.loader is None:
        raise ValueError(f"the reference must be a Python file, got {model_solution.__file__!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[COPY] = module  # dataclasses look their own module up while it is being loaded
    spec.loader.exec_module(module)
    return module


def plant(module: Any, fault: Fault | None) -> Any:
    """Put the fault into the module, and return it."""
    for name, part in (fault.parts(module) if fault else {}).items():
        setattr(module, name, part)
    return module


FAULTS = (
    Fault(
        "The same batch at every step",
        "3.2",
        "The loss falls far below what any model can reach on new text, and the held-out one rises: one "
        "batch is learned by heart.",
        wrong.one_batch,
    ),
    Fault(
        "Labels shifted a second time",
        "3.3",
        "The loss falls, above the sound one, while the held-out one turns and climbs: the "
        "model learns to name the token after the next.",
        wrong.shifted_twice,
    ),
    Fault(
        "Padding counted by the evaluation",
        "3.4",
        "The curve is the sound one, and each dot stands above it by the same factor: it is the measure that "
        "is wrong, not the training.",
        wrong.padding_counted,
    ),
    Fault(
        "The schedule asked for step 0 each time",
        "3.5",
        "The loss falls almost in a straight line, far too slowly: the rate never leaves the first step of "
        "the warm-up.",
        wrong.stuck_at_step_0,
    ),
    Fault(
        "The root of the mean square forgotten",
        "3.7",
        "The loss leaps far above guessing and then comes down to what the frequencies of tokens give: "
        "where gradients are small, the moves are huge.",
        wrong.without_root,
    ),
    Fault(
        "Decay not multiplied by the rate",
        "3.7",
        "The loss falls for a few steps and then goes back toward guessing: every step takes a tenth of "
        "every weight away.",
        wrong.decay_without_rate,
    ),
)

UNSEEN = (
    Fault("every tensor clipped by itself", "3.6", "The direction changes a little.", wrong.each_tensor),
    Fault("means not corrected", "3.7", "The first moves are too short.", wrong.uncorrected),
)


def run(module: Any, lesson: small.Lesson, total: int) -> Iterator[tuple[float, float | None]]:
    """Train a small decoder with the module's own loop; yield each loss, and with some the held-out one.

    Both are in nats per token. What is held out is measured by the reference, without the fault.
    """
    model = small.decoder(len(lesson.tokenizer))
    optimizer = module.AdamW(model.parameters(), RATE)
    args = module.TrainingArgs(
        steps=total, batch_size=small.BATCH, block_size=small.BLOCK, learning_rate=RATE, warmup=WARMUP
    )
    every = max(1, total // LOOKS)
    for step, loss in enumerate(module.train(model, optimizer, lesson.stream, args), start=1):
        yield loss, held_out_nats(module, model, lesson) if step % every == 0 else None


def held_out_nats(module: Any, model: nn.Module, lesson: small.Lesson) -> float:
    """Return the loss in nats per token on held-out stories, from the bits that `module.evaluate` finds."""
    documents = lesson.held_out_documents[:LOOKED_AT]
    rows = list(module.document_batches(documents, lesson.end_of_text, small.BLOCK))
    predicted = sum(int((labels[:, 1:] != -100).sum()) for _, labels in rows)
    num_bytes = sum(len(text.encode()) for text in lesson.held_out[:LOOKED_AT])
    return float(module.evaluate(model, rows, num_bytes)) * num_bytes * math.log(2) / predicted


@dataclass
class Record:
    """One run: its losses and, at equal distances, its losses on held-out stories, in nats per token."""

    losses: list[float]
    held_out: list[float]


def record(lesson: small.Lesson, fault: Fault | None) -> Record:
    """Train with the fault in a copy of the reference, or without any, and return what the curves show."""
    module = plant(reference_copy(), fault)
    points = list(run(module, lesson, small.steps(STEPS)))
    return Record([loss for loss, _ in points], [other for _, other in points if other is not None])


def exhibits(lesson: small.Lesson) -> dict[str, Record]:
    """Return the runs of the hunt under letters, in an order of its own, and the sound one as "sound"."""
    order = [FAULTS[i] for i in ORDER]
    found = {"ABCDEF"[i]: record(lesson, fault) for i, fault in enumerate(order)}
    return found | {"sound": record(lesson, None)}


def unseen(lesson: small.Lesson) -> dict[str, Record]:
    """Return runs with faults that their curves hardly show."""
    return {fault.name: record(lesson, fault) for fault in UNSEEN}
