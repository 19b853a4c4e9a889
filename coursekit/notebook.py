"""What notebooks call: `check`, `learner`, `needs`, `ask` and `show`.

nbgrader runs notebooks with NBGRADER_EXECUTION set. Then a check shows its score as a plain number, which
nbgrader takes as the credit, and the learner's file is never loaded into this process.
"""

from __future__ import annotations

import base64
import io
import math
import os
import re
import secrets
import sys
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from coursekit import registry
from coursekit.loading import InOneSentence, load
from coursekit.registry import Step
from coursekit.render.html import report_html, sentence_html
from coursekit.selection import Item, WrongUsage, find
from coursekit.standing import keep
from coursekit.verdict import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from coursekit.render.question import StaticQuestion

DPI = 150
_STUB = re.compile(r"exercise (\S+) is not written yet: (.+?) in (\S+?)\.? ")


class NoSuchName(InOneSentence):
    """A cell asks for something that no step knows; the message says what there is."""


class NotInGrading(NotImplementedError):
    """Learner code is wanted in the process that grades; only workers run it there."""


def is_grading() -> bool:
    """Tell whether nbgrader runs this notebook."""
    return bool(os.environ.get("NBGRADER_EXECUTION"))


class Check:
    """The verdicts that a check cell shows. True if all pass."""

    def __init__(self, told: list[tuple[Step, Report]], problem: str | None = None) -> None:
        self.told = told
        self.problem = problem

    def __bool__(self) -> bool:
        return all(report.all_passed for _, report in self.told)

    @property
    def credit(self) -> float:
        """The points, a finite number between 0 and what can be reached."""
        points = sum(report.points for _, report in self.told)
        score = sum(report.score for _, report in self.told)
        return min(max(float(score), 0.0), float(points)) if math.isfinite(score) else 0.0

    def __repr__(self) -> str:
        from coursekit.render.terminal import report_text

        texts = [report_text(report, step) for step, report in self.told]
        return "\n\n".join([*texts, *([self.problem] if self.problem else [])])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        html = "".join(report_html(report, step) for step, report in self.told)
        if self.problem:
            html += sentence_html(self.problem)
        return {"text/plain": f"{self.credit:g}" if is_grading() else repr(self), "text/html": html}


def check(*names: str) -> Check:
    """Judge exercises ("2.3a"), groups ("2.3") or a whole step, on the learner's file as it is saved.

    The file is the one beside the notebook if that is a step's folder or a copy of one, else the step's
    own. Without a name the step of this folder is checked.
    """
    from coursekit.judge import judge

    try:
        items = [item for name in names or (_step_here().folder,) for item in find(name)]
    except WrongUsage as error:
        raise NoSuchName(str(error)) from None
    told: list[tuple[Step, Report]] = []
    problem = None
    for step, trio in dict.fromkeys((item.step, item.trio) for item in items):
        chosen = [item for item in items if (item.step, item.trio) == (step, trio)]
        found = registry.find_step(step)
        seed = secrets.randbits(63) if is_grading() else None
        report = judge(found, list(dict.fromkeys(chosen)), file_of(found, trio), seed=seed)
        if not is_grading():
            report, problem = keep(found, report)
        told.append((found, report))
    return Check(told, problem)


def learner(file: str | Path | None = None) -> Any:
    """Return the learner's file as a module, fresh from what is saved: `mine = learner()`.

    Without a name it is the core file of the step in whose folder the notebook stands. Raises CannotLoad,
    shown as one sentence, where the file cannot be run; never returns an older version.
    """
    if os.environ.get("NBGRADER_EXECUTION") == "autograde":
        return _Withheld("learner")
    path = Path(file) if file is not None else file_of(_step_here(), "model")
    return load(path.resolve())


class _Withheld(ModuleType):
    """Stands for the learner's module where learner code must not run."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotInGrading(f"{name} is the learner's own code: in grading only the checks run it")


class needs:
    """Let a cell that needs unfinished exercises end with one sentence: `with needs("2.3a", shows="..."):`.

    It catches the stub's own exception alone. Any other exception of the learner's code is shown as it is.
    """

    def __init__(self, *ids: str, shows: str = "its result") -> None:
        try:
            self.items = [item for name in ids for item in find(name)]
        except WrongUsage as error:
            raise NoSuchName(str(error)) from None
        self.shows = shows

    def __enter__(self) -> needs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, NotInGrading):
            display_sentence(f"In grading this cell shows nothing: {error}.")
            return True
        stub = _STUB.match(str(error)) if kind is NotImplementedError else None
        if stub is None or not _is_known(stub[1]):
            return False
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        line = f", line {trace.tb_lineno}" if trace is not None else ""
        display_sentence(
            f"{stub[1]} {stub[2]} is not written yet: this cell shows {self.shows} once it is. "
            f"({Path(stub[3]).name}{line})"
        )
        return True


def ask(question_id: str) -> StaticQuestion | Any:
    """Ask a question of the step: its choices, and a response to the one that is chosen. Never points."""
    from coursekit.render.question import StaticQuestion, make_question

    for step in registry.load_course():
        for question in step.questions:
            if question.id == question_id:
                return StaticQuestion(question) if is_grading() else make_question(question, step.root)
    ids = ", ".join(q.id for step in registry.load_course() for q in step.questions) or "none yet"
    raise NoSuchName(f"there is no question {question_id!r}; there is {ids}")


def show(figure: Figure, alt: str, caption: str | None = None) -> None:
    """Show a figure with the text that stands for it where it cannot be seen, and close it."""
    from html import escape

    if not alt.strip():
        raise ValueError(f"alt must say what the figure shows, got {alt!r}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", facecolor="white")
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)
    png = buffer.getvalue()
    # The width stands in bytes 16 to 19 of a PNG file; a page counts 96 pixels to the inch.
    width = round(int.from_bytes(png[16:20], "big") * 96 / DPI)
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    image = f'<img alt="{escape(alt)}" width="{width}" style="max-width:100%;height:auto" src="{source}">'
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    plain = f"[figure: {alt}]" + (f"\n{caption}" if caption else "")
    _display(plain, f'<figure style="margin:8px 0">{image}{below}</figure>')


def file_of(step: Step, trio: str) -> Path:
    """Return the learner's file: beside the notebook in (a copy of) a step's folder, else the step's own.

    While a class is graded it is the file beside the notebook, there or not: the course's own file earns
    nobody points.
    """
    own = step.trio_files(trio)[0]
    beside = Path.cwd() / own.name
    if is_grading():
        return beside
    elsewhere = {other.path for other in registry.load_course()} - {step.path}
    is_other = Path.cwd().resolve() in elsewhere or Path.cwd().name in {path.name for path in elsewhere}
    return beside if beside.exists() and not is_other else own


def display_sentence(sentence: str) -> None:
    """Show one sentence beneath the cell."""
    _display(sentence, sentence_html(sentence))


def _step_here() -> Step:
    """Return the step in whose folder, or a copy of it, the notebook stands; elsewhere the first."""
    steps = registry.load_course()
    if not steps:
        raise NoSuchName("there is nothing to check: no step has exercises yet")
    return next((step for step in steps if step.folder == Path.cwd().name), steps[0])


def _is_known(item_id: str) -> bool:
    items: list[Item] = [item for step in registry.load_course() for item in step.items]
    return any(item.id == item_id for item in items)


def _display(plain: str, html: str) -> None:
    """Show text and HTML in a notebook, the text alone in a plain Python session."""
    shell = sys.modules.get("IPython")
    if shell is None or shell.get_ipython() is None:
        print(plain)
        return
    from IPython.display import display

    display({"text/plain": plain, "text/html": html}, raw=True)
