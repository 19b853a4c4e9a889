"""What all cells of a notebook go by: which step and file they mean, and how they show a sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from coursekit import registry
from coursekit.loading import InOneSentence
from coursekit.registry import Step
from coursekit.render.html import sentence_html


class NoSuchName(InOneSentence):
    """A cell asks for something that no step knows; the message says what there is."""


def is_grading() -> bool:
    """Tell whether nbgrader runs this notebook."""
    return bool(os.environ.get("NBGRADER_EXECUTION"))


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
    show_both(sentence, sentence_html(sentence))


def step_here() -> Step:
    """Return the step in whose folder, or a copy of it, the notebook stands; elsewhere the first."""
    steps = registry.load_course()
    if not steps:
        raise NoSuchName("there is nothing to check: no step has exercises yet")
    return next((step for step in steps if step.folder == Path.cwd().name), steps[0])


def show_both(plain: str, html: str) -> None:
    """Show text and HTML in a notebook, the text alone in a plain Python session."""
    shell = sys.modules.get("IPython")
    if shell is None or shell.get_ipython() is None:
        print(plain)
        return
    from IPython.display import display

    display({"text/plain": plain, "text/html": html}, raw=True)
