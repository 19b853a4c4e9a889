"""A conversation: its messages, as many of them as the model can read, and what is said of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from coursekit.corpora.storyworld import END
from step4_generate.talk.errors import CannotWrite, checked_text
from step4_generate.talk.opening import Opened
from step4_generate.talk.settings import Settings
from step4_generate.talk.template import (
    ASSISTANT_ROLE,
    START,
    SYSTEM_ROLE,
    USER_ROLE,
    Message,
    pieces,
)
from step4_generate.talk.verdict import TELL, Verdict, judged
from step4_generate.talk.writer import END_OF_TEXT, Writer

# The share of the context that is kept free for a reply.
FREE = 4


class Conversation:
    """Messages that a model continues in the form of its corpus; `note` says what did not fit, `verdict` what
    the parser says of the newest reply.

    Raises CannotWrite for a model that has never seen the markers of a dialogue.
    """

    def __init__(self, opened: Opened, settings: Settings, story: str = "") -> None:
        if not opened.has_dialogue or opened.special(END) is None:
            raise CannotWrite(
                f"a conversation needs a model that was trained on dialogues ({END}), got {opened.path}: "
                "it can only complete texts"
            )
        self.opened = opened
        self.writer = Writer(opened, settings)
        self.begin(story)

    @property
    def settings(self) -> Settings:
        """How replies are written."""
        return self.writer.settings

    def begin(self, story: str = "") -> None:
        """Forget all messages; what is asked from here on is about this story, if it is not empty."""
        self.story = story.strip()
        self.messages: list[Message] = []
        if self.story:
            self.messages.append({"role": SYSTEM_ROLE, "content": self.story})
        self._forget_reply()

    def _forget_reply(self) -> None:
        self.note = ""
        self.verdict: Verdict | None = None

    def ids(self, messages: list[Message]) -> list[int]:
        """Return the ids of messages, up to where the assistant begins to speak.

        Markers that somebody writes into a message are plain text: they cannot end a turn.
        """
        found: list[int] = []
        plain = ""
        for text, is_marker in pieces(messages):
            if is_marker:
                found += self.opened.tokenizer.encode(plain, refuse=False)
                found.append(self.opened.tokenizer.special_tokens[text])
                plain = ""
            else:
                plain += text
        return found

    def fitting(self) -> list[Message]:
        """Return the messages without as many of the oldest turns as do not fit beside a reply.

        What the conversation is about stays: the story that was given, or the turn that told it. Raises
        CannotWrite where nothing can be left out and it still does not fit.
        """
        context = self.opened.context
        room = context - min(self.settings.max_new_tokens, context // FREE)
        kept = list(self.messages)
        first = self.messages[0]
        about = 1 if first["role"] == SYSTEM_ROLE else 2 if first["content"].startswith(TELL) else 0
        while len(self.ids(kept)) > room:
            if len(kept) < about + 2:
                raise CannotWrite(
                    f"story, question and reply must fit into {context} tokens, got {len(self.ids(kept))} "
                    f"and {context - room} for the reply: take a shorter story, or /reset"
                )
            del kept[about : about + 2]
        return kept

    def reply(self, question: str) -> Generator[str]:
        """Yield the reply to a question, piece by piece; then it is part of the conversation.

        Whoever takes no more pieces, or is interrupted, keeps what was shown. What could not be asked is not
        kept.
        """
        if not checked_text(question).strip():
            raise CannotWrite("a question must not be empty")
        self._forget_reply()
        before = len(self.messages)
        self.messages.append({"role": USER_ROLE, "content": question.strip()})
        written = None
        try:
            kept = self.fitting()
            if left := (len(self.messages) - len(kept)) // 2:
                turns = "turn" if left == 1 else f"{left} turns"
                self.note = f"the oldest {turns} after the story left out: the context is full"
            ends = [self.opened.special(each) for each in (END, START)]
            written = self.writer
            yield from self._stripped(
                self.writer.stream(self.ids(kept), [each for each in ends if each is not None])
            )
        finally:
            said = "" if written is None else written.written.text.strip()
            if said:
                self.messages.append({"role": ASSISTANT_ROLE, "content": said})
                self._judge(question.strip(), said)
            else:
                del self.messages[before:]

    def _stripped(self, stream: Iterator[str]) -> Iterator[str]:
        """Yield the pieces without the space in front of the first."""
        has_begun = False
        for piece in stream:
            shown = piece if has_begun else piece.lstrip()
            has_begun = has_begun or bool(shown)
            if shown:
                yield shown

    def _judge(self, question: str, said: str) -> None:
        """Set the verdict, where the reply is whole and the parser can tell."""
        if self.writer.written.ended == END_OF_TEXT:
            self.verdict = judged(self.story, question, said)
        if question.startswith(TELL) and not self.story:
            self.story = said
