"""A chat in a terminal: a story, questions about it, answers, and what the parser says of them."""

from __future__ import annotations

from collections.abc import Generator

from step4_generate.talk.conversation import Conversation
from step4_generate.talk.opening import Opened
from step4_generate.talk.settings import Settings
from step4_generate.talk.verdict import drawn_story

COMMANDS = {
    "story": "draw another story, or take yours, as in /story One day, ...",
    "reset": "forget the questions, and the story with them",
}


class Chatting:
    """A conversation as a terminal holds it; it begins with a story that the model has never seen."""

    mark = "you> "
    commands = COMMANDS

    def __init__(self, opened: Opened, settings: Settings, story: str | None = None) -> None:
        self.number = settings.seed
        self.conversation = Conversation(opened, settings)
        self.writer = self.conversation.writer
        self.begin(self.drawn() if story is None else story)

    def drawn(self) -> str:
        """Return a held-out story, another each time."""
        text, self.number = drawn_story(self.number)
        return text

    def begin(self, story: str) -> None:
        """Talk about this story from here on."""
        self.conversation.begin(story)

    def reply(self, line: str) -> Generator[str]:
        """Yield the answer to a question."""
        return self.conversation.reply(line)

    def after(self) -> str:
        """Return the verdict on the answer, where there is one, and what was left out."""
        said = (self.conversation.note, self.conversation.verdict)
        return "\n".join(f"[{each}]" for each in said if each)

    def do(self, name: str, rest: str) -> str:
        """Begin with another story, or with none."""
        self.begin(rest or self.drawn() if name == "story" else "")
        return self.greeting

    @property
    def greeting(self) -> str:
        """The story, or how to ask for one."""
        if self.conversation.story:
            return f"{self.conversation.story}\n[ask about this story]"
        return "[no story: /story draws one; or ask for one: Tell me about Ada, Ben and a red bike.]"
