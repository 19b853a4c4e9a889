"""A talk in a notebook: a story to edit, questions, answers that stream, and what the parser says of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from coursekit.loading import InOneSentence
from coursekit.widgets import live, sheets
from step4_generate.talk.conversation import Conversation
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.opening import Opened
from step4_generate.talk.settings import Settings
from step4_generate.talk.verdict import drawn_story

HERE = Path(__file__).parent


class TalkWidget(anywidget.AnyWidget):
    """A conversation about a story, on the streaming generator of the terminal.

    `turns` is what the page shows: question, answer, verdict, note. A question with another story than
    before begins anew. Where no widget can live, and in plain code, `ask` prints the answer as it comes.
    """

    story = traitlets.Unicode().tag(sync=True)
    turns: traitlets.List[Any] = traitlets.List().tag(sync=True)
    running = traitlets.Bool(False).tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    whose = traitlets.Unicode().tag(sync=True)
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    def __init__(self, opened: Opened, settings: Settings, story: str | None = None, whose: str = "") -> None:
        self.number = settings.seed
        self.conversation = Conversation(opened, settings)
        self.is_stopped = threading.Event()
        self.thread: threading.Thread | None = None
        super().__init__(
            whose=whose or f"{opened}.",
            _anywidget_id=__name__,
            _esm=(HERE / "talk.js").read_text(encoding="utf-8"),
            _css=sheets.joined(sheets.PAGE, HERE / "talk.css"),
        )
        self.begin(self.drawn() if story is None else story)
        self.on_msg(self._heard)

    def drawn(self) -> str:
        """Return a story that no training has seen, another each time."""
        text, self.number = drawn_story(self.number)
        return text

    def begin(self, story: str) -> None:
        """Talk about this story from here on."""
        self.conversation.begin(story)
        self.story, self.turns, self.problem = self.conversation.story, [], ""

    def ask(self, question: str, story: str | None = None) -> None:
        """Print the answer to a question while it is written, and what the parser says of it."""
        for piece in self.answer(question, story):
            print(piece, end="", flush=True)
        if self.problem:
            print(self.problem)
            return
        turn = self.turns[-1]
        print("".join(f"\n[{turn[name]}]" for name in ("note", "verdict") if turn[name]))

    def answer(self, question: str, story: str | None = None) -> Iterator[str]:
        """Yield the answer piece by piece; then it is the last of `turns`, or `problem` says why not."""
        if story is not None and story.strip() != self.story:
            self.begin(story)
        self.problem = ""
        self.is_stopped.clear()
        said = self.conversation
        shown = ""
        try:
            with closing(said.reply(question)) as pieces:
                for piece in pieces:
                    shown += piece
                    yield piece
                    if self.is_stopped.is_set():
                        break
        except CannotWrite as error:
            self.problem = str(error)
            return
        verdict = said.verdict
        turn: dict[str, Any] = {"question": question.strip(), "answer": shown, "note": said.note}
        turn |= {"verdict": str(verdict or ""), "is_right": None if verdict is None else verdict.is_right}
        self.turns = [*self.turns, turn]

    def _heard(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Do what the page asks for; an answer is written beside, so that Stop is heard meanwhile."""
        if content.get("stop"):
            self.is_stopped.set()
        elif self.running:
            return
        elif content.get("draw"):
            self.begin(self.drawn())
        elif "ask" in content:
            self.running = True
            wanted = str(content["ask"]), str(content.get("story", self.story))
            self.thread = threading.Thread(target=self._stream, args=wanted, daemon=True)
            self.thread.start()

    def _stream(self, question: str, story: str) -> None:
        try:
            for piece in self.answer(question, story):
                self.send({"piece": piece})
        except (InOneSentence, NotImplementedError) as error:
            self.problem = str(error)
        except BaseException as error:
            # The page says it, and the thread's own end shows where.
            self.problem = f"The code stopped with {type(error).__name__}: {error}"
            raise
        finally:
            self.running = False

    def __repr__(self) -> str:
        lines = [f"{turn['question']} {turn['answer']}" for turn in self.turns]
        return "\n".join([f"[a talk about: {self.story or 'no story'}]", *lines])

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return live.shown({**data, "text/plain": repr(self)}), metadata
