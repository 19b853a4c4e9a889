"""What notebooks call: `check`, `ask` and `show`; `learner` and `needs` stand in running.py.

nbgrader runs notebooks with NBGRADER_EXECUTION set. Then a check shows its score as a plain number, which
nbgrader takes as the credit, and the learner's file is never loaded into this process.
"""

from __future__ import annotations

import base64
import io
import math
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit import registry
from coursekit.cells import NoSuchName, file_of, is_grading, show_both, step_here
from coursekit.judging.verdict import Report
from coursekit.lab.replies import mend_this_kernel
from coursekit.mine import note_passes
from coursekit.practice.selection import WrongUsage, find
from coursekit.practice.standing import keep
from coursekit.registry import Step
from coursekit.render.html import report_html, sentence_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from coursekit.render.question import StaticQuestion

DPI = 150
mend_this_kernel()


class Check:
    """The verdicts that a check cell shows. True if all pass."""

    def __init__(
        self,
        told: list[tuple[Step, Report]],
        problem: str | None = None,
        rests_on: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.told = told
        self.problem = problem
        self.rests_on = rests_on

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

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        from coursekit.practice.origin import metadata

        html = "".join(report_html(report, step) for step, report in self.told)
        if self.problem:
            html += sentence_html(self.problem)
        data = {"text/plain": f"{self.credit:g}" if is_grading() else repr(self), "text/html": html}
        return data, metadata(*self.rests_on)


def check(*names: str) -> Check:
    """Judge exercises ("2.3a"), groups ("2.3") or a whole step, on the learner's file as it is saved.

    The file is the one beside the notebook if that is a step's folder or a copy of one, else the step's
    own. Without a name the step of this folder is checked.
    """
    from coursekit.judging.judge import judge
    from coursekit.practice.origin import origin

    try:
        items = [item for name in names or (step_here().folder,) for item in find(name)]
    except WrongUsage as error:
        raise NoSuchName(str(error)) from None
    told: list[tuple[Step, Report]] = []
    rests_on = []
    problem = None
    for step, trio in dict.fromkeys((item.step, item.trio) for item in items):
        chosen = [item for item in items if (item.step, item.trio) == (step, trio)]
        found = registry.find_step(step)
        seed = secrets.randbits(63) if is_grading() else None
        report = judge(found, list(dict.fromkeys(chosen)), file_of(found, trio), seed=seed)
        if not is_grading():
            report, problem = keep(found, report)
            note_passes(found, report)
            rests_on.append(origin(found, [v.id for v in report.verdicts], Path(report.file), report.sha256))
        told.append((found, report))
    return Check(told, problem, rests_on)


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
    show_both(plain, f'<figure style="margin:8px 0">{image}{below}</figure>')
