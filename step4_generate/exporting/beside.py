"""An exported model opened by `transformers`, beside ours: do both compute and write the same?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

from coursekit.corpora.storyworld import USER, questions
from step2_model.exchange.compare import Comparison, compare
from step2_model.exchange.greedy import continued
from step4_generate.exporting.folder import ends_of
from step4_generate.talk.conversation import Conversation
from step4_generate.talk.opening import Opened
from step4_generate.talk.settings import Settings
from step4_generate.talk.template import START, SYSTEM_ROLE, USER_ROLE, Message

PROMPT = "One day"
TOKENS = 40
# Questions among which one is looked for that is short enough.
MOST = 20


@dataclass(frozen=True)
class Beside:
    """The same prompt in both: its ids, how the logits differ, and what each writes."""

    are_ids_equal: bool
    prompt: str
    comparison: Comparison
    ours: str
    theirs: str

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs that should not."""
        return self.are_ids_equal and self.comparison.first is None and self.ours == self.theirs

    def __str__(self) -> str:
        ids = "the same ids" if self.are_ids_equal else "OTHER ids"
        same = "the same text" if self.ours == self.theirs else "ANOTHER text"
        lines = [
            f"transformers reads {ids} and writes {same}. {self.comparison}",
            f"  prompt        {self.prompt!r}",
        ]
        return "\n".join([*lines, f"  ours          {self.ours!r}", f"  transformers  {self.theirs!r}"])


def beside(opened: Opened, folder: Path) -> Beside:
    """Open a folder as `transformers` does and let both go on with a prompt, greedily.

    The prompt is a question about a story where the model knows dialogues, in the form that the chat template
    gives it.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids, their_ids, prompt = prompts(opened, tokenizer)
    count = min(TOKENS, opened.context - len(ids))
    ends = ends_of(opened)
    given = torch.tensor([ids])
    model = opened.model
    # Without mask and end it would warn: the mask is all ones, and the ends stand in generation_config.json.
    written = theirs.generate(
        given, attention_mask=torch.ones_like(given), max_new_tokens=count, do_sample=False, pad_token_id=0
    )
    ours = list(takewhile(lambda each: each not in ends, continued(model, ids, count)))
    found = list(takewhile(lambda each: each not in ends, written[0, len(ids) :].tolist()))
    comparison = compare(model, theirs, given)
    texts = opened.tokenizer.decode(ours), str(tokenizer.decode(found))
    return Beside(ids == their_ids, prompt, comparison, *texts)


def prompts(opened: Opened, tokenizer: Any) -> tuple[list[int], list[int], str]:
    """Return the ids of a prompt by our tokenizer and by theirs, and the prompt's text."""
    if opened.has_dialogue:
        conversation = Conversation(opened, Settings())
        for messages in dialogues():
            found = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
            ours, theirs = conversation.ids(messages), found["input_ids"]
            if len(ours) <= opened.context // 2:
                return ours, theirs, tokenizer.decode(theirs)
    text = PROMPT if opened.end_of_text is None else f"{START}{PROMPT}"
    ours = opened.tokenizer.encode(text, opened.tokenizer.special_tokens)
    return ours, tokenizer(text)["input_ids"], text


def dialogues() -> Iterator[list[Message]]:
    """Yield questions about held-out stories, and last a request, which is short."""
    for question in questions(MOST):
        story, *turns = question.prompt.split(f" {USER}")
        if len(turns) == 1 and not story.startswith(USER):
            yield [
                {"role": SYSTEM_ROLE, "content": story},
                {"role": USER_ROLE, "content": question.question},
            ]
    yield [{"role": USER_ROLE, "content": "Tell me about Ada, Ben and a red bike."}]
