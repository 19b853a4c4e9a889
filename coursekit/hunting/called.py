"""The line by which a mistake is called among others, made from the text that a learner is told."""

from __future__ import annotations

import re

LONGEST = 100
SHORTEST = 20


def call(text: str, called: str = "") -> str:
    """Return one line on a mistake that speaks of nobody's code: "The scores are not divided by √D".

    It is `called` where an author gave that, else the first sentence of the text; of one longer than LONGEST
    characters remarks in brackets are left out, and what follows a colon.
    """
    if called:
        return called
    sentence = re.split(r"\.\s", " ".join(text.split()), maxsplit=1)[0].rstrip(". ")
    sentence = re.sub(r"\byour\b", "the", re.sub(r"\bYour\b", "The", sentence))
    if len(sentence) <= LONGEST:
        return sentence
    sentence = re.sub(r" \([^()]{15,}\)", "", sentence)
    end = sentence.find(": ", SHORTEST)
    return sentence if len(sentence) <= LONGEST or end < 0 else sentence[:end]
