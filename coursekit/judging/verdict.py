"""What a check says: one Verdict for each exercise, collected in a Report. Plain data, no torch, no
judgment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from coursekit.judging.passing import Passing


class Status(StrEnum):
    """How an exercise stands. The eight are never merged: "not started" is no failure, "crashed" no wrong
    answer.
    """

    PASSED = "passed"
    FAILED = "failed"
    NOT_STARTED = "not started"
    BLOCKED = "blocked"
    NOT_ALLOWED = "not allowed"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Mistake:
    """A known mistake that was proven: the learner's values equal those of this wrong implementation, all of
    them, or those up to the claim that fails and not beyond.
    """

    name: str
    text: str
    is_all: bool = True


@dataclass(frozen=True)
class Link:
    """One value of a chain: its name, how it compares with the reference's, and whether it differs."""

    name: str
    told: str
    differs: bool = False


@dataclass(frozen=True)
class Trail:
    """The values of one chain up to the first that differs, and the conditions under which they came."""

    title: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Verdict:
    """The judgment of one exercise or milestone, with everything its message needs.

    `claim` is the first claim that does not hold; `got` and `expected` describe the values there, `where` the
    place. `message` is the main sentence where no claim is concerned (an error, a timeout, a missing
    function). `detail` is longer text: a traceback of the learner's own frames, or a note on the code around.
    `printed` is what the learner's code printed, capped. `next` is the next step, always there.

    In practice only: `passing` is what a pass is answered with, `smallest` the smallest failing input printed
    whole, `trail` the values on the way to the first that differs, `inside` how to look inside;
    `claim_number` and `case_number` say which claim and which small case failed, counted from 0.
    """

    id: str
    status: Status
    score: float
    points: int
    next: str
    claim: str | None = None
    got: str | None = None
    expected: str | None = None
    where: str | None = None
    mistake: Mistake | None = None
    known_mistakes: int = 0
    message: str | None = None
    detail: str | None = None
    printed: str | None = None
    location: str | None = None
    smallest: str | None = None
    trail: Trail | None = None
    claim_number: int | None = None
    case_number: int | None = None
    inside: str | None = None
    passing: Passing | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that `course check --json` promises."""
        return {
            "id": self.id,
            "status": str(self.status),
            "score": self.score,
            "points": self.points,
            "claim": self.claim,
            "got": self.got,
            "expected": self.expected,
            "mistake": None if self.mistake is None else self.mistake.name,
            "mistake_text": None if self.mistake is None else self.mistake.text,
            "message": self.message,
            "next": self.next,
        }


@dataclass(frozen=True)
class FileFault:
    """A fault outside every exercise's body: said once for the file, with the exercises that it costs."""

    message: str
    costs: tuple[str, ...]
    detail: str | None = None


@dataclass(frozen=True)
class Report:
    """The verdicts on one learner's file."""

    file: str
    sha256: str
    verdicts: tuple[Verdict, ...]
    faults: tuple[FileFault, ...] = ()

    @property
    def score(self) -> float:
        return sum(verdict.score for verdict in self.verdicts)

    @property
    def points(self) -> int:
        return sum(verdict.points for verdict in self.verdicts)

    @property
    def all_passed(self) -> bool:
        return all(verdict.status is Status.PASSED for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `course check --json` prints."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "exercises": [verdict.to_json() for verdict in self.verdicts],
            "faults": [{"message": f.message, "costs": list(f.costs)} for f in self.faults],
            "total": {"score": self.score, "points": self.points},
        }
