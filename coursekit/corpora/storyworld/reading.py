"""Reads any text as a story: whether it is grammatical, true to its own facts, answered right; and its exact
probability.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coursekit.corpora.storyworld.plot import tell
from coursekit.corpora.storyworld.telling import Options
from coursekit.corpora.storyworld.world import DEFAULT_WORLD, World

FORM, CHOICE, RECALL = "form", "choice", "recall"


class Span(NamedTuple):
    """A piece of the text: bytes `start` to `end`, and what kind of piece the grammar makes of it.

    `kind` is "form" (certain given the grammar), "choice" (free; `log_prob` in nats is the floor of a model's
    loss there) or "recall" (certain given the facts, which say `true`). `name` is what was chosen or
    recalled: "person", "place", ... A choice that the facts exclude has `log_prob` -inf.
    """

    start: int
    end: int
    kind: str
    name: str = ""
    log_prob: float = 0.0
    said: str = ""
    true: str = ""
    is_answer: bool = False

    @property
    def is_true(self) -> bool:
        """Whether the facts allow what is said."""
        return self.log_prob > -math.inf and self.said == self.true


@dataclass(frozen=True)
class Answer:
    """A question that a text asks, what it answers, and what would be right; `span` is the answer's place."""

    question: str
    said: str
    right: str
    span: Span

    @property
    def is_right(self) -> bool:
        """Whether the answer is what the story said."""
        return self.said == self.right


@dataclass(frozen=True)
class Reading:
    """What a text is, read as one document of the corpus, from its first byte to its last.

    A text that only breaks off (`is_partial`) is not grammatical yet, and not wrong either: something can
    follow that makes it so. Otherwise `broken_at` is the byte at which it leaves the grammar, and `expected`
    shows what could stand there. Spans and answers are those before that byte.
    """

    text: str
    spans: tuple[Span, ...]
    answers: tuple[Answer, ...]
    is_grammatical: bool
    is_partial: bool
    broken_at: int | None
    expected: tuple[str, ...]

    @property
    def is_true(self) -> bool:
        """Whether all that was read is true to the text's own facts, answers included."""
        return all(span.is_true for span in self.spans)

    @property
    def is_right(self) -> bool | None:
        """Whether all answers are right; None where nothing is answered."""
        return all(answer.is_right for answer in self.answers) if self.answers else None

    @property
    def log_prob(self) -> float:
        """The probability of the text as a whole document, as a logarithm in nats; -inf if it is none."""
        if not (self.is_grammatical and self.is_true):
            return -math.inf
        return math.fsum(span.log_prob for span in self.spans)

    def recalls(self) -> Iterator[tuple[Span, int]]:
        """Yield every recalled fact with its distance: the bytes since its last word was last said."""
        for span in self.spans:
            if span.kind == RECALL and span.true:
                word = re.escape(span.true.split()[-1])
                said = [match.start() for match in re.finditer(rf"\b{word}\b", self.text[: span.start])]
                yield span, span.start - said[-1] if said else 0


class _Break(Exception):
    """The text does not go on as the grammar does."""

    def __init__(self, expected: Sequence[str]) -> None:
        super().__init__()
        self.expected = tuple(expected)


class _Reader:
    """An oracle that finds every choice in a text; a false fact is noted, and the story goes on as if it
    were told right.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.spans: list[Span] = []
        self.answers: list[Answer] = []
        self.question = ""

    def say(self, text: str) -> None:
        """Demand what is certain."""
        if not self.text.startswith(text, self.place):
            same = next(
                i for i in range(len(text)) if self.text[self.place + i : self.place + i + 1] != text[i]
            )
            if same:
                self._add(FORM, text[:same])
            raise _Break([text[same:]])
        self._add(FORM, text)

    def choose(self, options: Options, without: Sequence[str] = (), only: Sequence[str] = ()) -> str:
        """Find which option stands there, allowed by the facts or not."""
        chosen = self._find(options)
        if options.kind == "question":
            self.question = chosen.strip()
        self._add(CHOICE, chosen, options.kind, options.log_share(chosen, without, only), chosen)
        return chosen

    def recall(self, options: Options, true: str, is_answer: bool = False) -> str:
        """Find which option stands there, and hold it against the truth."""
        chosen = self._find(options)
        self._add(RECALL, chosen, options.kind, 0.0, true, is_answer)
        if is_answer:
            self.answers.append(Answer(self.question, chosen.strip(), true.strip(), self.spans[-1]))
        return chosen

    def _find(self, options: Options) -> str:
        found = options.pattern.match(self.text, self.place)
        if not found:
            raise _Break(options.texts)
        return found.group()

    def _add(
        self,
        kind: str,
        said: str,
        name: str = "",
        log_prob: float = 0.0,
        true: str = "",
        is_answer: bool = False,
    ) -> None:
        end = self.place + len(said)
        true = true if kind == RECALL else said
        self.spans.append(Span(self.place, end, kind, name, log_prob, said, true, is_answer))
        self.place = end


def read(text: str, world: World = DEFAULT_WORLD) -> Reading:
    """Read a text as one document: every text has at most one reading, and a drawn story has itself as one.

    Reading stops where the grammar is left; whoever generates text with a limit of tokens looks at
    `is_partial` to tell a document that was cut from one that went wrong.
    """
    reader = _Reader(text)
    expected: tuple[str, ...] = ()
    broken_at: int | None = None
    try:
        tell(reader, world)
        if reader.place < len(text):
            broken_at = reader.place
    except _Break as error:
        broken_at, expected = reader.place, error.expected
    rest = text[reader.place :]
    is_partial = broken_at is not None and any(option.startswith(rest) for option in expected)
    return Reading(
        text,
        tuple(reader.spans),
        tuple(reader.answers),
        is_grammatical=broken_at is None,
        is_partial=is_partial,
        broken_at=None if is_partial else broken_at,
        expected=expected,
    )


def log_prob(text: str, world: World = DEFAULT_WORLD) -> float:
    """Return the logarithm of the probability, in nats, that the law draws just this text as a document.

    It is exact, and includes that the document ends where the text does: the end-of-text token after it is
    certain. -inf for a text that cannot be drawn.
    """
    return read(text, world).log_prob
