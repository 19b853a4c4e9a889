"""A question in a notebook: radio buttons and responses; a list that folds open where widgets cannot run."""

from __future__ import annotations

import contextlib
import re
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from coursekit.practice import progress
from coursekit.registry import Question
from coursekit.widgets import live

# Code in back quotes; a word between asterisks, but not 2 * 3 nor 2**3. As in question.js.
MARKS = re.compile(r"`([^`]+)`|(?<![\w*])\*(?!\s)([^*]+)(?<!\s)\*(?![\w*])")


class StaticQuestion:
    """A question as text: prompt and choices, no responses. What graders see."""

    def __init__(self, question: Question) -> None:
        self.question = question

    def __repr__(self) -> str:
        return static_text(self.question)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": static_html(self.question)}


class QuestionWidget(anywidget.AnyWidget):
    """The question with its choices. `chosen` is the index of the answer, -1 before there is one.

    Responses travel once, so that an answer is met at once even while a cell runs. Where widgets cannot run,
    each choice folds open to its response.
    """

    _esm = Path(__file__).with_name("question.js")
    _css = Path(__file__).with_name("question.css")
    prompt = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    chosen = traitlets.Int(-1).tag(sync=True)

    def __init__(self, question: Question, **traits: Any) -> None:
        choices = [{"text": c.text, "response": c.response} for c in question.choices]
        super().__init__(prompt=question.prompt, choices=choices, **traits)
        self.question = question

    def __repr__(self) -> str:
        return static_text(self.question)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        html = folded_html(self.question, self.chosen)
        return live.shown({**data, "text/plain": repr(self), "text/html": html}), metadata


def make_question(question: Question, root: Path) -> QuestionWidget:
    """Return the widget of a question; answers are kept in the progress, and the last one is shown again."""
    given = progress.load(root).answers.get(question.id, [])
    last = given[-1] if given and given[-1] < len(question.choices) else -1
    widget = QuestionWidget(question, chosen=last)

    def keep(change: dict[str, Any]) -> None:
        def add(known: progress.Progress) -> None:
            known.answers.setdefault(question.id, []).append(int(change["new"]))

        # An answer that cannot be kept is still answered: the response stands on the page.
        with contextlib.suppress(OSError):
            progress.update(add, root)

    widget.observe(keep, names="chosen")
    return widget


def static_text(question: Question) -> str:
    """Return prompt and choices as lines of text."""
    choices = [f"  {number}. {choice.text}" for number, choice in enumerate(question.choices, start=1)]
    return "\n".join([f"Question: {question.prompt}", *choices])


def static_html(question: Question) -> str:
    """Return prompt and choices as a list."""
    items = "".join(f"<li>{with_marks(choice.text)}</li>" for choice in question.choices)
    return f"<div><p><strong>Question:</strong> {with_marks(question.prompt)}</p><ol>{items}</ol></div>"


def folded_html(question: Question, chosen: int = -1) -> str:
    """Return prompt and choices, each folded over its response; the answer that was given is open."""
    items = "".join(
        f"<li><details{' open' if number == chosen else ''}>"
        f"<summary>{with_marks(choice.text)}{' (your answer)' if number == chosen else ''}</summary>"
        f"{with_marks(choice.response)}</details></li>"
        for number, choice in enumerate(question.choices)
    )
    return (
        f"<div><p><strong>Question:</strong> {with_marks(question.prompt)}</p><ol>{items}</ol>"
        "<p>Choose first, then open your choice.</p></div>"
    )


def with_marks(text: str) -> str:
    """Return text as HTML: what stands in back quotes as code, what stands between asterisks stressed,
    everything else as it is written.
    """
    return MARKS.sub(_marked, escape(text))


def _marked(match: re.Match[str]) -> str:
    return f"<code>{match[1]}</code>" if match[1] else f"<em>{match[2]}</em>"
