"""The `storyworld` corpus: short stories about a small world, without end, from a law that is known exactly.

Because every choice of a story has a known probability and is written where it is made, `log_prob` is exact,
`floor` is the loss that no model beats, and `read` says of any text whether it is a story and true to itself.
"""

from coursekit.corpora.storyworld.excess import Excess, split
from coursekit.corpora.storyworld.law import Floor, draw, every_story, floor
from coursekit.corpora.storyworld.lexicon import ASSISTANT, END, USER
from coursekit.corpora.storyworld.questions import Question, questions, requests
from coursekit.corpora.storyworld.reading import Answer, Reading, Span, log_prob, read
from coursekit.corpora.storyworld.sides import (
    held_out_stories,
    held_out_story,
    is_held_out,
    stories,
    story,
    story_corpus,
)
from coursekit.corpora.storyworld.world import DEFAULT_WORLD, World

# The texts that a tokenizer keeps as one token each, so that a dialogue's turns cannot be mistaken.
SPECIAL_TOKENS = (USER, ASSISTANT, END)

__all__ = [
    "ASSISTANT",
    "DEFAULT_WORLD",
    "END",
    "SPECIAL_TOKENS",
    "USER",
    "Answer",
    "Excess",
    "Floor",
    "Question",
    "Reading",
    "Span",
    "World",
    "draw",
    "every_story",
    "floor",
    "held_out_stories",
    "held_out_story",
    "is_held_out",
    "log_prob",
    "questions",
    "read",
    "requests",
    "split",
    "stories",
    "story",
    "story_corpus",
]
