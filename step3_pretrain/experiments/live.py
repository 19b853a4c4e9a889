"""A run with a fault that nobody named, watched while it trains, and the question which one it is."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coursekit.contents import Choice, Question
from coursekit.render.question import QuestionWidget
from coursekit.widgets import loss_view
from step3_pretrain.experiments import faults, small

SOUND = "Nothing: the run is sound"


@dataclass
class Case:
    """A run of `module` with one of the faults planted, or with none; its name is kept back until asked."""

    module: Any
    lesson: small.Lesson
    fault: faults.Fault | None
    record: faults.Record = field(default_factory=lambda: faults.Record([], []))

    def __repr__(self) -> str:
        return "A run of your loop. What is wrong with it? train() shows its curve, ask() asks."

    def train(self, view: Callable[[dict[str, float]], Any] = loss_view) -> None:
        """Train, with the curve and a Stop button; losses are drawn in bits per byte of the stories."""
        self.record = faults.Record([], [])
        per_byte = bits_per_nat(self.lesson)
        total = small.steps(faults.STEPS)
        guessing = per_byte * math.log(len(self.lesson.tokenizer))
        curve, begin = view({"guessing": guessing}), time.perf_counter()
        ended = "stopped"
        try:
            for loss, held_out in faults.run(self.module, self.lesson, total):
                self.record.losses.append(loss)
                if held_out is not None:
                    self.record.held_out.append(held_out)
                told = self._told(per_byte)
                seconds = time.perf_counter() - begin
                curve.add(seconds, per_byte * loss, len(self.record.losses) / total, told)
                if curve.stopped:
                    break
            else:
                ended = "done"
        except KeyboardInterrupt:
            ended = "interrupted"
        curve.finish(f"Training ended ({ended}): {self._told(per_byte)}")

    def _told(self, per_byte: float) -> str:
        last = f"{per_byte * self.record.losses[-1]:.2f}" if self.record.losses else "nothing yet"
        held_out = f", held out {per_byte * self.record.held_out[-1]:.2f}" if self.record.held_out else ""
        return f"step {len(self.record.losses)}: {last}{held_out} bits per byte"

    def ask(self) -> QuestionWidget:
        """Ask what is wrong; every choice says what its curve would have looked like."""
        choices = [
            Choice(fault.name, _response(fault.name, fault.shows, fault == self.fault), fault == self.fault)
            for fault in faults.FAULTS
        ]
        shows = "The loss falls fast, then slowly, and the held-out one goes with it."
        choices.append(Choice(SOUND, _response(SOUND, shows, self.fault is None), self.fault is None))
        return QuestionWidget(Question("3.live", "What is wrong with this run?", tuple(choices)))


def draw(module: Any, lesson: small.Lesson, seed: int | None = None) -> Case:
    """Draw a fault, or none, and plant it in `module`, which must be one of its own, as of `learner()`."""
    fault = random.Random(seed).choice([*faults.FAULTS, None])
    return Case(faults.plant(module, fault), lesson, fault)


def bits_per_nat(lesson: small.Lesson) -> float:
    """Return how many bits per byte a loss of one nat per token is, over the lesson's stories."""
    num_bytes = sum(len(text.encode()) for text in lesson.train)
    return len(lesson.stream) / num_bytes / math.log(2)


def _response(name: str, shows: str, is_right: bool) -> str:
    return f"{'Right' if is_right else 'No'}. {name}: {shows[0].lower()}{shows[1:]}"
