"""Hints, the weakest first: which one comes next, and what there is behind the last."""

from __future__ import annotations

import os
from dataclasses import dataclass

from coursekit.loading import InOneSentence
from coursekit.practice import progress
from coursekit.practice.progress import Progress
from coursekit.practice.selection import Item, WrongUsage, find_one
from coursekit.registry import Step


class NoHint(InOneSentence):
    """There is no hint to give; the message says why, and what to do."""


@dataclass(frozen=True)
class Hint:
    """One hint, as it is told. `problem` is a sentence where it could not be remembered that it was seen."""

    item: Item
    number: int
    is_repeated: bool = False
    problem: str | None = None

    @property
    def head(self) -> str:
        again = ", once more" if self.is_repeated else ""
        return f"{self.item.id} {self.item.title}: hint {self.number} of {len(self.item.hints)}{again}"

    @property
    def text(self) -> str:
        return self.item.hints[self.number - 1]

    def onward(self, in_notebook: bool = False) -> list[str]:
        """Return what to do with it, and where the next help is."""
        item_id = self.item.id
        check, hint = (
            (f'check("{item_id}")', f'hint("{item_id}")')
            if in_notebook
            else (
                f"course check {item_id}",
                f"course hint {item_id}",
            )
        )
        if self.number < len(self.item.hints):
            return [f"Try it, then: {check}   (the next hint: {hint})"]
        return [
            f"This is the last hint. To read on: {self.item.writeup}",
            f"To see where your values part from the reference's: course debug {item_id}",
            f"Or let the course write it: course solve {item_id} (counts as solved for you, not as earned; "
            f"your own code is kept as a copy, and course reset {item_id} takes it out again)",
        ]

    def __repr__(self) -> str:
        problem = [self.problem] if self.problem else []
        return "\n".join([self.head, "", self.text, "", *self.onward(in_notebook=True), *problem])


def next_hint(step: Step, item: Item) -> Hint:
    """Return the first hint that has not been seen, the last one once more behind it, and remember it.

    Raises WrongUsage where the exercise has none.
    """
    if not item.hints:
        way = f"it needs {', '.join(item.needs)}" if item.is_milestone else f"read {item.writeup}"
        raise WrongUsage(f"{item.id} {item.title} has no hints: {way}")
    seen = progress.load(step.root).note(item.id).hints
    number = min(seen + 1, len(item.hints))
    if number == seen:
        return Hint(item, number, is_repeated=True)

    def count(state: Progress) -> None:
        state.note(item.id).hints = number

    try:
        progress.update(count, step.root)
    except OSError as error:
        return Hint(item, number, problem=f"Your progress could not be kept: {error.strerror or error}.")
    return Hint(item, number)


def hint(name: str) -> Hint:
    """Return the next hint on an exercise, for a notebook: `hint("2.3a")`. Raises NoHint in one sentence."""
    if os.environ.get("NBGRADER_EXECUTION"):
        raise NoHint("In grading there are no hints.")
    try:
        return next_hint(*find_one(name))
    except WrongUsage as error:
        raise NoHint(str(error)) from None
