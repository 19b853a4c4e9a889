"""A talk with a model of five minutes, as it went: `course evidence talk`.

The model is that of `course train --minutes 5 --optimizer muon --weight-decay 0`; it is asked, greedily, what
held-out stories ask, and then for a story of its own.
"""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path
from typing import Any

from coursekit.corpora import storyworld
from step3_pretrain.trainer.options import Options
from step3_pretrain.trainer.setup import new_run
from step3_pretrain.trainer.view import View
from step4_generate.talk.chatting import Chatting
from step4_generate.talk.opening import open_folder
from step4_generate.talk.settings import Settings

MINUTES = 5.0
SEED = 0
# Stories that are talked about, and what is asked for in the end.
STORIES = 2
REQUEST = "Tell me about Ada, Ben and a red bike."
WIDTH = 100
INDENT = "  "


def evidence() -> dict[str, Any]:
    """Train for five minutes, talk about the first held-out stories that ask something, keep each word."""
    found = talked()
    right, judged = (found["results"][name] for name in ("right", "judged"))
    claims = {"more than half of what it says is right": 2 * right > judged}
    return found | {"seeds": [SEED], "claims": claims}


def talked(**changes: Any) -> dict[str, Any]:
    """Return a talk with a new model; `changes` are options in place of five minutes with Muon."""
    asked: dict[str, Any] = {"minutes": MINUTES, "optimizer": "muon", "weight_decay": 0.0, "samples": 0}
    asked |= {"solution": True, "seed": SEED} | changes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        trainer = new_run(Options(**asked), path, View(quiet=True))
        trainer.train()
        opened = open_folder(path, solution=True)
        lines, verdicts = talk(Chatting(opened, Settings(temperature=0.0)))
        size = sum(parameter.numel() for parameter in opened.model.parameters())
    told = f"Said by the reference decoder, {size:,} parameters, after {trainer.step:,} steps in "
    told += f"{MINUTES:g} minutes; the most probable tokens, no choice of ours."
    right = sum(verdict == "right" for verdict in verdicts)
    return {
        "written": {"text": "\n".join(lines), "told": told},
        "results": {"parameters": size, "steps": trainer.step, "right": right, "judged": len(verdicts)},
    }


def talk(chatting: Chatting) -> tuple[list[str], list[str]]:
    """Return the lines of a talk, each question and answer with what the parser says, and its verdicts."""
    lines: list[str] = []
    verdicts: list[str] = []
    for story, questions in stories():
        chatting.begin(story)
        lines += textwrap.wrap(f"story> {story}", WIDTH, subsequent_indent=INDENT)
        for question in questions:
            lines += said(chatting, question, verdicts)
        lines += [""]
    chatting.begin("")
    return lines + said(chatting, REQUEST, verdicts), verdicts


def said(chatting: Chatting, question: str, verdicts: list[str]) -> list[str]:
    """Return a question, the answer and the verdict on it as lines of a terminal."""
    reply = "".join(chatting.reply(question))
    verdict = chatting.conversation.verdict
    verdicts.append("right" if verdict is not None and verdict.is_right else "wrong")
    told = chatting.after().splitlines() or ["[no end of its turn]"]
    answer = textwrap.wrap(reply, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return [f"{chatting.mark}{question}", *answer, *(f"{INDENT}{line}" for line in told)]


def stories() -> list[tuple[str, list[str]]]:
    """Return the first held-out stories that ask something, each with its questions."""
    found: dict[str, list[str]] = {}
    for question in storyworld.questions(50 * STORIES):
        story = question.prompt.partition(f" {storyworld.USER}")[0].strip()
        if story.startswith(storyworld.USER):
            continue
        if story not in found and len(found) == STORIES:
            break
        found.setdefault(story, []).append(question.question)
    return [(story, list(dict.fromkeys(questions))) for story, questions in found.items()]
