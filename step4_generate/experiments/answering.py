"""What a model answers to questions about stories that it has never read, and whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coursekit.corpora import storyworld
from coursekit.widgets import Table
from step4_generate.experiments.speaking import Speaker

# The longest answers have some ten tokens.
MOST = 30


@dataclass(frozen=True)
class Answered:
    """A question about a held-out story, and what came back."""

    asked: storyworld.Question
    reply: str

    @property
    def is_right(self) -> bool:
        """Whether the reply is the answer and nothing else."""
        return self.asked.is_right(self.reply)


def answers(mine: Any, speaker: Speaker, count: int, seed: int = 0) -> list[Answered]:
    """Ask the model so many questions about held-out stories; `mine.write` replies, greedily."""
    return [
        Answered(asked, reply(mine, speaker, asked.prompt)) for asked in storyworld.questions(count, seed)
    ]


def reply(mine: Any, speaker: Speaker, prompt: str) -> str:
    """Return what the model says after a prompt, up to the end of its turn."""
    args, stops = mine.SamplingArgs(temperature=0.0), (storyworld.END, speaker.special_tokens[0])
    pieces = mine.write(
        speaker.model, speaker.tokenizer, speaker.special_tokens[0] + prompt, MOST, args, stops
    )
    return "".join(pieces)


def told(found: Sequence[Answered]) -> Table:
    """Return which share is right, in all and for each kind of question."""
    kinds: dict[str, list[bool]] = {}
    for each in found:
        kinds.setdefault(each.asked.question.split()[0], []).append(each.is_right)
    rows = [(f"{kind} ...?", f"{sum(of)} of {len(of)}") for kind, of in sorted(kinds.items())]
    right = sum(each.is_right for each in found)
    return Table("Right answers", [*rows, ("all questions", f"{right} of {len(found)}")])
