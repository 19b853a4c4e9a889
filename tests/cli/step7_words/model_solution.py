"""Words: a step without torch."""

from __future__ import annotations


def shout(text: str) -> str:
    """Return the text in upper case with a mark.

    Source: everyday life.
    """
    # 1. Raise the voice.
    return text.upper() + "!"


def count(words: list[str]) -> dict[str, int]:
    """Return how often each word stands there, whatever its case."""
    # 1. Count.
    found: dict[str, int] = {}
    for word in words:
        found[word.lower()] = found.get(word.lower(), 0) + 1
    return found


class Echo:
    """It answers."""

    def say(self, text: str) -> str:
        """Return the text twice."""
        # 1. Repeat.
        return text + text


def call(text: str) -> str:
    """Return what a shouting echo answers."""
    return Echo().say(shout(text))
