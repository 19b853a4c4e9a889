"""What a step is made of, as `exercises.toml` says it: exercises, milestones, questions, goals, programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartialCredit:
    """Part of the points: earned when every claim before the one whose text begins with `until` holds."""

    until: str
    points: int


@dataclass(frozen=True)
class Exercise:
    """One function or method (or a pair with one contract) that the learner writes, and what is known about
    it.

    On a pass, `enables` says what one can do now that this code is there, and `why` why it is so.
    """

    id: str
    title: str
    targets: tuple[str, ...]
    points: int
    minutes: int
    difficulty: int
    needs: tuple[str, ...]
    hints: tuple[str, ...]
    writeup: str
    quick: bool = False
    forbidden: tuple[str, ...] = ()
    partial: PartialCredit | None = None
    trio: str = "model"
    timeout: float = 10.0
    step: str = ""
    enables: str = ""
    why: str = ""

    @property
    def is_milestone(self) -> bool:
        return False


@dataclass(frozen=True)
class Milestone:
    """A whole that runs the learner's file as it is; it needs the exercises it names, and carries no
    points.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    writeup: str
    promise: str
    trio: str = "model"
    timeout: float = 30.0
    step: str = ""
    targets: tuple[str, ...] = ()
    points: int = 0
    hints: tuple[str, ...] = ()

    @property
    def is_milestone(self) -> bool:
        return True


@dataclass(frozen=True)
class Choice:
    """One answer to a question, and what is said to whoever chooses it."""

    text: str
    response: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A prediction asked before a result or an explanation asked after an exercise; never points."""

    id: str
    prompt: str
    choices: tuple[Choice, ...]
    step: str = ""


@dataclass(frozen=True)
class Goal:
    """What a learner can do at the end of a step, and the questions and exercises that ask for it."""

    text: str
    asks: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A program of the step that `course` can start by name: a command, a benchmark or a piece of
    evidence.
    """

    name: str
    module: str
    help: str
    kind: str = "command"
    step: str = ""
    inputs: tuple[str, ...] = ()
