r"""The form of a dialogue, as the stories of the corpus have it, for `transformers` and for this course.

    STORY <|user|> Where was the bike? <|assistant|> Near the barn.<|end|> <|user|> ...
    <|user|> Tell me about Ada, Ben and a red bike. <|assistant|> One day, ...<|end|> <|user|> ...

A story that is given is the system's message; one that is asked for is the assistant's first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from coursekit.corpora.storyworld import ASSISTANT, END, USER
from step4_generate.talk.errors import CannotWrite

SYSTEM_ROLE, USER_ROLE, ASSISTANT_ROLE = "system", "user", "assistant"
START = "<|endoftext|>"
Message = Mapping[str, str]

# What `tokenizer_config.json` holds. Whoever writes a message cannot end a turn: `pieces` keeps its text
# apart from the markers, which a template, being text alone, cannot.
TEMPLATE = (
    "<|endoftext|>"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'system' and loop.first %}"
    "{{- message['content'] | trim }}"
    "{%- elif message['role'] == 'user' %}"
    "{{- ('' if loop.first else ' ') + '<|user|> ' + message['content'] | trim + ' ' }}"
    "{%- elif message['role'] == 'assistant' and not loop.first %}"
    "{{- '<|assistant|> ' + message['content'] | trim + '<|end|>' }}"
    "{%- else %}"
    "{{- raise_exception('a system message must come first, an assistant message after one of a user') }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def pieces(messages: Sequence[Message], add_generation_prompt: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield the text of a dialogue piece by piece, and whether a piece is a marker; joined, it is what the
    template gives.

    With `add_generation_prompt` it ends where the assistant begins to speak. Raises CannotWrite for a system
    message that is not the first, and an assistant's that is.
    """
    yield START, True
    for number, message in enumerate(messages):
        role, text = message["role"], message["content"].strip()
        if role == SYSTEM_ROLE and number == 0:
            yield text, False
        elif role == USER_ROLE:
            yield "" if number == 0 else " ", False
            yield USER, True
            yield f" {text} ", False
        elif role == ASSISTANT_ROLE and number > 0:
            yield ASSISTANT, True
            yield f" {text}", False
            yield END, True
        else:
            rule = "a system message must come first, an assistant message after one of a user"
            raise CannotWrite(f"{rule}, got {role!r} at place {number}")
    if add_generation_prompt:
        yield ASSISTANT, True


def dialogue_text(messages: Sequence[Message], add_generation_prompt: bool = True) -> str:
    """Return a dialogue as one text, `<|endoftext|>` in front."""
    return "".join(text for text, _ in pieces(messages, add_generation_prompt))
