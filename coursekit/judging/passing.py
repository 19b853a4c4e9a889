"""What is said on a pass beyond the verdict. Plain data; only practice has it, a grade never does."""

from __future__ import annotations

from dataclasses import dataclass

# A line of the learner's and its counterpart in the reference; None where there is none.
Row = tuple[str | None, str | None]


@dataclass(frozen=True)
class Beside:
    """The learner's body of one function beside the reference's, in rows."""

    target: str
    rows: tuple[Row, ...]

    @property
    def is_same(self) -> bool:
        return all(mine == reference for mine, reference in self.rows)


@dataclass(frozen=True)
class Following:
    """The exercise or milestone to go on with: where it is written, where it is told of.

    `file` is absolute; `line` is None where nothing is to be written or the function is gone. `page` is the
    notebook that asks for it with the heading as its fragment, absolute too, None where there is none.
    """

    id: str
    title: str
    file: str
    line: int | None
    page: str | None


@dataclass(frozen=True)
class Passing:
    """What a pass makes possible and why, the reference beside it, and where to go on.

    `again` means that this very code has passed before: then little is said. `beside` is empty where the
    reference is not to be shown. `stands` counts what is done on the learner's path.
    """

    enables: str
    why: str
    read: str
    stands: str
    beside: tuple[Beside, ...] = ()
    following: Following | None = None
    again: bool = False
