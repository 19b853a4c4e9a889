"""What a chapter must ask: three questions a section, before and after each exercise; every goal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coursekit.dev.markdown import Heading, headings, prose
from coursekit.dev.notebook import CHECK
from coursekit.registry import Question, Step

LEAST = 3
FINALE = "The finale"
ASK = re.compile(r"\bask\(\s*[\"']([^\"']+)[\"']\s*\)")
_CELLS = re.compile(rf"{ASK.pattern}|{CHECK.pattern}")


@dataclass(frozen=True)
class Section:
    """A heading of level 2 or 3 and what stands beneath it, up to the next one; `line` is the heading's."""

    heading: Heading
    line: int
    text: str

    @property
    def asked(self) -> list[str]:
        """The questions of the section, in order."""
        return ASK.findall(self.text)

    @property
    def checked(self) -> list[str]:
        """The exercises and milestones that have their check cell here."""
        return CHECK.findall(self.text)


def sections(text: str) -> list[Section]:
    """Return the sections of a chapter in order; what stands before the first is in none."""
    lines = text.split("\n")
    starts = [n for n, line, is_prose in prose(text) if is_prose and re.match(r"#{2,3} ", line)]
    named = [heading for heading in headings(text) if heading.level in (2, 3)]
    ends = [*(start - 1 for start in starts[1:]), len(lines)]
    return [
        Section(heading, start, "\n".join(lines[start:end]))
        for heading, start, end in zip(named, starts, ends, strict=True)
    ]


def question_faults(step: Step) -> Iterator[str]:
    """Yield what questions lack, which sections ask too little, and which goals nobody asks for."""
    for question in step.questions:
        yield from _whole_faults(question)
    texts = [(chapter.source, chapter.source.read_text(encoding="utf-8")) for chapter in step.chapters]
    asked = Counter(name for _, text in texts for name in ASK.findall(text))
    known = {question.id for question in step.questions}
    for name in sorted(set(asked) - known):
        yield f"{step.folder}'s chapters must ask questions that there are, got {name}"
    for question in step.questions:
        if asked[question.id] != 1:
            yield f"question {question.id} must be asked once in the chapter, got {asked[question.id]}"
    exercises = {exercise.id for exercise in step.exercises}
    for source, text in texts:
        for section in _asking(sections(text)):
            yield from _section_faults(section, source, exercises)
    yield from _goal_faults(step)


def _whole_faults(question: Question) -> Iterator[str]:
    if "TODO" in question.prompt or not question.prompt.strip():
        yield f"question {question.id} must ask something, got {question.prompt!r}"
    if len(question.choices) < 2:
        yield f"question {question.id} must have at least 2 choices, got {len(question.choices)}"
    if not any(choice.right for choice in question.choices):
        yield f"question {question.id} must have a right choice, got none"
    for choice in question.choices:
        if not choice.response.strip() or "TODO" in choice.response:
            yield f"question {question.id} must answer each choice, got no response to {choice.text!r}"
    if len({choice.text for choice in question.choices}) != len(question.choices):
        yield f"question {question.id} must have choices that differ, got one twice"


def _asking(found: list[Section]) -> list[Section]:
    """Return the sections that must ask: the opening, those with a check, the finale."""
    return [
        section
        for number, section in enumerate(found)
        if number == 0 or section.checked or section.heading.text == FINALE
    ]


def _section_faults(section: Section, source: Path, exercises: set[str]) -> Iterator[str]:
    """Yield what a section lacks: three questions, one before its first exercise, one after its last."""
    where = f"{source.name}:{section.line} the section {section.heading.text!r}"
    if len(section.asked) < LEAST:
        yield f"{where} must ask at least {LEAST} questions, got {len(section.asked)}"
    cells = ["" if found[1] else found[2] for found in _CELLS.finditer(section.text)]
    order = [bool(cell) for cell in cells if not cell or cell in exercises]
    if not any(order) or len(section.asked) < LEAST:
        return
    if order[0]:
        yield f"{where} must ask for a prediction before its exercise, got no question there"
    if order[-1]:
        yield f"{where} must ask for an explanation after its exercise, got no question there"


def _goal_faults(step: Step) -> Iterator[str]:
    """Yield what is wrong with the list of what one can do at the end."""
    if not step.goals:
        yield f"{step.folder}/exercises.toml must say what one can do at the end, got no [[goal]]"
    questions = {question.id for question in step.questions}
    known = questions | {item.id for item in step.items}
    for goal in step.goals:
        for name in goal.asks:
            if name not in known:
                yield f"the goal {goal.text!r} must be asked by what {step.folder} has, got {name}"
        if not questions & set(goal.asks):
            yield f"the goal {goal.text!r} must be asked by a question at least, got none"
