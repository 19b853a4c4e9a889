"""What the parser of the stories says of an answer: right, wrong, or nothing where it cannot tell."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from coursekit.corpora.storyworld import ASSISTANT, END, USER, held_out_story, read

TELL = "Tell me about "


@dataclass(frozen=True)
class Verdict:
    """Whether a reply is right, and in one sentence why."""

    is_right: bool
    sentence: str

    def __str__(self) -> str:
        return f"{'right' if self.is_right else 'wrong'}: {self.sentence}"


def judged(story: str, question: str, reply: str) -> Verdict | None:
    """Return the verdict on a reply to a question about a story, or to a request for one.

    None where the parser cannot tell: the story is not of its grammar, or does not tell what is asked for,
    or the question is none that it knows.
    """
    if question.startswith(TELL):
        return judged_story(question, reply)
    right = right_reply(story, question)
    if right is None:
        return None
    return Verdict(reply.strip() == right, f"the story says {right!r}")


def right_reply(story: str, question: str) -> str | None:
    """Return what the story answers, or None where the parser cannot tell.

    The story is read with the question behind it, and completed by what the grammar expects next until there
    is an answer; by then the reader knows the right one.
    """
    text = start = f"{story.strip()} {USER} {question.strip()} {ASSISTANT}"
    reading = read(text)
    num_answers = len(reading.answers)
    while reading.is_partial and reading.spans[-1].end == len(text):
        if len(reading.answers) > num_answers:
            answer = reading.answers[-1]
            said = text[len(start) : answer.span.start]
            # What a story does not tell has no right answer.
            return f"{said} {answer.right}.".strip() if answer.right else None
        text += reading.expected[0]
        reading = read(text)
    return None


def judged_story(request: str, reply: str) -> Verdict | None:
    """Return whether a story that was asked for is whole, true to itself, and about what was asked."""
    start = f"{USER} {request.strip()} {ASSISTANT} "
    if not read(start).is_partial:
        return None
    reading = read(f"{start}{reply.strip()}{END}\n")
    if not reading.is_grammatical:
        at = len(reading.text) if reading.broken_at is None else reading.broken_at
        expected = " or ".join(repr(each.strip()) for each in reading.expected[:3])
        said = reading.text[max(len(start), at - 20) : at]
        return Verdict(False, f"no whole story: after {said!r} there should be {expected}")
    false = [span for span in reading.spans if not span.is_true]
    if false:
        said, true = false[0].said.strip(), false[0].true.strip()
        told = f"not {true!r}" if said != true else "what its facts exclude"
        return Verdict(False, f"the story is not true to itself: it says {said!r}, {told}")
    return Verdict(True, "a whole story, true to itself")


def drawn_story(number: int) -> tuple[str, int]:
    """Return a held-out story, that of this number or the next without a request in front, less what is asked
    about it; and the number to go on with.
    """
    for each in count(number):
        text = held_out_story(each)
        if not text.startswith(USER):
            return text.partition(f" {USER}")[0].strip(), each + 1
    raise AssertionError("stories never end")
