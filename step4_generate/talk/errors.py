"""What ends a talk before its time, each in one sentence: rule, value, next step."""

from __future__ import annotations

from coursekit.loading import InOneSentence


class CannotWrite(InOneSentence):
    """A text cannot be written as it was asked for."""


def checked_text(text: str) -> str:
    """Return the text. Raises CannotWrite for one that has bytes in it which are no UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CannotWrite(
            f"a prompt must be UTF-8, got {text!r} with a stray byte at {error.start}"
        ) from None
    return text
