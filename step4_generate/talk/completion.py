"""Texts that a model goes on with: one prompt after the other, or many from a file."""

from __future__ import annotations

from collections.abc import Generator

from step4_generate.talk.errors import CannotWrite, checked_text
from step4_generate.talk.opening import Opened
from step4_generate.talk.settings import Settings
from step4_generate.talk.writer import END_OF_TEXT, LENGTH, STOPPED, Writer

COMMANDS = {"reset": "forget the text and begin another"}


class Completion:
    """Goes on with a text that grows line by line, until it has ended or is reset; then comes another."""

    def __init__(self, opened: Opened, settings: Settings) -> None:
        self.opened, self.writer = opened, Writer(opened, settings)
        self.text = ""
        self.cut = 0

    mark = "> "
    commands = COMMANDS

    def reply(self, line: str) -> Generator[str]:
        """Yield what follows the text with this line behind it; an empty line adds nothing."""
        before = self.text
        ids = self.ids(before + line)
        self.cut = max(0, len(ids) - self.opened.context)
        try:
            yield from self.writer.stream(ids, self.ends)
        finally:
            self.text = before + line + self.writer.written.text

    def after(self) -> str:
        """Say how the text ended, and what of it the model has not read."""
        ended = self.writer.written.ended
        said = [cut_sentence(self.cut, self.opened.context)] if self.cut else []
        if ended == END_OF_TEXT:
            self.text = ""
            said.append("[end of text: the next line begins another]")
        elif ended in (LENGTH, STOPPED):
            said.append("[the next line goes on with this text; an empty one lets it go on; /reset]")
        return "\n".join(said)

    def do(self, name: str, rest: str) -> str:
        """Forget the text."""
        self.text = ""
        return "[a new text]"

    @property
    def ends(self) -> set[int]:
        """The ids that end a text."""
        end = self.opened.end_of_text
        return set() if end is None else {end}

    def ids(self, text: str) -> list[int]:
        """Return the ids of a prompt, behind the token between documents: there the model has seen texts
        begin. Special tokens in a prompt are such. Raises CannotWrite for an empty one where there is no
        such token.
        """
        tokenizer, start = self.opened.tokenizer, self.opened.end_of_text
        ids = [
            *([] if start is None else [start]),
            *tokenizer.encode(checked_text(text), tokenizer.special_tokens),
        ]
        if not ids:
            raise CannotWrite("a prompt must not be empty: this model has no token that begins a text")
        return ids


def cut_sentence(cut: int, context: int) -> str:
    """Say what of a prompt the model does not read."""
    tokens = "token is" if cut == 1 else f"{cut:,} tokens are"
    return f"[the model reads {context:,} tokens at once: the first {tokens} not read]"
