"""Questions about held-out stories, and requests for new ones, as prompts for a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from coursekit.corpora.storyworld.lexicon import ASSISTANT, END, USER
from coursekit.corpora.storyworld.reading import read
from coursekit.corpora.storyworld.sides import held_out_stories


@dataclass(frozen=True)
class Question:
    """A story up to and with `<|assistant|>`, and the text that rightly follows up to `<|end|>`.

    `distance` is how many bytes before the answer its last word was last said: how far a model must look
    back.
    """

    prompt: str
    question: str
    answer: str
    distance: int

    def is_right(self, reply: str) -> bool:
        """Whether a model's reply, up to its `<|end|>`, is the answer and nothing else."""
        return reply.split(END)[0].strip() == self.answer.strip()


def questions(num_questions: int, seed: int = 0) -> Iterator[Question]:
    """Yield questions about held-out stories; earlier questions in a prompt are rightly answered."""
    return islice(_questions(seed), num_questions)


def requests(num_requests: int, seed: int = 0) -> Iterator[str]:
    """Yield requests for a story about given people and things, up to and with `<|assistant|>`.

    `read` judges the prompt and a model's reply together, as one text.
    """
    asked = (text for text in held_out_stories(seed) if text.startswith(USER))
    return islice((text[: text.index(ASSISTANT) + len(ASSISTANT)] for text in asked), num_requests)


def _questions(seed: int) -> Iterator[Question]:
    for text in held_out_stories(seed):
        if f"{END}\n" not in text or text.count(ASSISTANT) == text.startswith(USER):
            continue
        reading = read(text)
        distances = {span: distance for span, distance in reading.recalls() if span.is_answer}
        for answer in reading.answers:
            start = text.rindex(ASSISTANT, 0, answer.span.start) + len(ASSISTANT)
            end = text.index(END, start)
            yield Question(text[:start], answer.question, text[start:end], distances[answer.span])
