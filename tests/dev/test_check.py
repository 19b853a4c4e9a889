"""`course dev check` says what is missing or stale; `course dev new` begins an exercise."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit.dev.check import problems
from coursekit.dev.markdown import headings, links
from coursekit.dev.new import begin
from coursekit.dev.notebook import BuildError
from coursekit.registry import load_course

STEP = "step9_toy"
STUB, CHAPTER, README = f"{STEP}/model_exercise.py", "docs/tutorials/step9_toy.md", f"{STEP}/README.md"
SOLUTION, TOML = f"{STEP}/model_solution.py", f"{STEP}/exercises.toml"
CHECKS, MISTAKES = f"{STEP}/checks/__init__.py", f"{STEP}/mistakes/__init__.py"
DOCSTRING = '''    """Return 2x.

    Tutorial: docs/tutorials/step9_toy.md#91-doubling
    """
'''
ASK, CHECK, CHECK2, ASK6 = (
    f"```python\n{cell}\n```" for cell in ('ask("9.q")', 'check("9.1")', 'check("9.2")', 'ask("9.q6")')
)
GOAL = '[[goal]]\ntext = "double numbers"\nasks = ["9.q2", "9.1"]\n'
# What is spoiled: the file, the text in it, what stands there instead; and what must be said.
FAULTS = {
    "stale stub": (STUB, "# TODO 9.1", "# TODO", "model_exercise.py must be what its source"),
    "stale notebook": (CHAPTER, "# Step 9", "# Step nine", "tutorial.ipynb must be what its source"),
    "stale table": (TOML, "minutes = 10", "minutes = 11", "README.md must be what its source"),
    "open mark": (README, "<!-- end", "<!-- and", "must end what is generated"),
    "no check": (CHECKS, '@check("9.1")', "", "9.1 must have one check, got 0"),
    "no cases": (CHECKS, '@cases("9.2")', "", "9.2 must have small cases"),
    "two mistakes": (MISTAKES, '@mistake("9.1")', "", "9.1 must have at least 3 known mistakes, got 2"),
    "no variant": (MISTAKES, '@variant("9.1")', "", "9.1 must have at least 1 accepted variant"),
    "no text": (MISTAKES, '"""You square."""', "", "squared must have a docstring"),
    "no milestone mistake": (MISTAKES, '@mistake("9.all")', "", "9.all must have at least 1"),
    "old scoreboard": (
        "docs/checks.md",
        "| 9.2 | Boxes | 3 of 3",
        "| 9.2 | Boxes | 2 of 3",
        "checks.md must say of 9.2:",
    ),
    "no hints": (TOML, '["Look inside."]', "[]", "9.2 must have hints"),
    "open hint": (TOML, "Twice.", "TODO", "9.1: hint 1 must say something"),
    "dead write-up": (TOML, "toy.md#92-boxes", "toy.md#92", "no heading #92"),
    "dead docstring": (SOLUTION, "#91-doubling", "#91", "docstring of double leads to"),
    "no way back": (SOLUTION, "Tutorial: docs/tutorials/step9_toy.md#91-doubling", "x", "end with the path"),
    "no docstring": (SOLUTION, DOCSTRING, "", "must have a docstring"),
    "no cell": (CHAPTER, 'check("9.2")', "2 + 2", "9.2 must have its cell in the chapter"),
    "unknown cell": (CHAPTER, 'check("9.2")', 'check("9.3")', "must check exercises that step9_toy has"),
    "one cell twice": (CHAPTER, 'check("9.all")', 'check("9.2")', "in one block"),
    "long cell": (CHAPTER, "from course", "x = 1\n" * 15 + "from course", "at most 15 lines, got 16"),
    "unasked question": (CHAPTER, 'ask("9.q")', "1", "question 9.q must be asked once"),
    "unknown question": (CHAPTER, 'ask("9.q")', 'ask("9.r")', "ask questions that there are, got 9.r"),
    "no response": (TOML, "That is 2 + 3.", "", "no response to '5'"),
    "two questions": (CHAPTER, 'ask("9.q3")', "1", "the section '9.1 Doubling' must ask at least 3"),
    "no prediction": (CHAPTER, f"{ASK}\n\n{CHECK}", f"{CHECK}\n\n{ASK}", "ask for a prediction before"),
    "no explanation": (CHAPTER, f"{CHECK2}\n\n{ASK6}", f"{ASK6}\n\n{CHECK2}", "explanation after its exer"),
    "no goal": (TOML, GOAL, "", "must say what one can do at the end, got no [[goal]]"),
    "unasked goal": (TOML, '"9.q2", "9.1"', '"9.1"', "'double numbers' must be asked by a question at least"),
    "goal of another step": (TOML, '"9.q2", "9.1"', '"9.q2", "8.1"', "what step9_toy has, got 8.1"),
    "nothing right": (TOML, ", right = true", "", "question 9.q must have a right choice"),
    "circle": (TOML, "needs = []", 'needs = ["9.2"]', "needs must go in no circle, got 9."),
    "unknown need": (TOML, 'needs = ["9.1"]', 'needs = ["9.7"]', "must need exercises that there are"),
    "no points": (TOML, "points = 3", "points = 0", "9.2 must have points of at least 1"),
    "too long a core": (TOML, "minutes = 10", "minutes = 720", "at most 45 exercises and 720"),
    "an id twice": (TOML, 'id = "9.q"', 'id = "9.1"', "the id 9.1 must be used once"),
    "nothing to say on a pass": (TOML, 'why = "x + x is 2 · x."\n', "", "9.1 must have a why, got ''"),
    "dead link": ("docs/more.md", "## Here", "## Here [x](there.md)", "more.md:3 links to there.md"),
    "dead anchor": ("docs/more.md", "## Here", "## There", "no heading with the anchor #here"),
    "long line": (CHECKS, '"""What', '"""' + "x" * 110, "must be at most 110 characters"),
    "long file": (CHECKS, '"""What', "#\n" * 250 + '"""What', "must have at most 250 lines"),
    "long function": (MISTAKES, "    return x\n", "    x = x\n" * 40 + "    return x\n", "at most 40 lines"),
    "upward import": (SOLUTION, '"""Toys."""', '"""Toys."""\nimport coursekit.probe', "downward only"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_or_stale_is_said(course: Any, fault: str) -> None:
    course.build()
    name, old, new, words = FAULTS[fault]
    course.change(name, old, new)
    found = course.problems()
    assert any(words in sentence for sentence in found), found
    assert len(found) <= 4, found


def test_a_missing_stub_is_said(course: Any) -> None:
    course.build()
    (course.root / STUB).unlink()
    found = course.problems()
    assert found[0] == f"{STUB} must be generated, got no such file: course dev build"
    assert all("no such file" in sentence for sentence in found)


def test_a_new_exercise_begins_where_its_id_belongs(course: Any) -> None:
    course.build()
    said = list(begin("9.1b", ("Box.fill",), "model", course.root))
    course.forget()
    (step,) = load_course(course.root)
    assert [exercise.id for exercise in step.exercises] == ["9.1", "9.1b", "9.2"]
    assert f"wrote {STEP}/checks/box_fill.py" in said
    found = course.problems()
    assert all("9.1b" in sentence for sentence in found), found
    assert any("must define Box.fill" in sentence for sentence in found)
    assert sum("TODO" in sentence for sentence in found) >= 8


@pytest.mark.parametrize(
    ("item", "target", "words"),
    [
        ("9.1", "more", "must be new"),
        ("7.1", "more", "number of a step"),
        ("9.x", "more", "must be like"),
        ("9.3", "a.b.c", "must be a function"),
    ],
)
def test_an_exercise_that_cannot_begin_is_refused(course: Any, item: str, target: str, words: str) -> None:
    before = course.read(TOML)
    with pytest.raises(BuildError, match=words):
        list(begin(item, (target,), "model", course.root))
    assert course.read(TOML) == before


def test_anchors_are_githubs() -> None:
    page = "# 2.3a Scores & `q @ k`\n\n## Café — naïve?\n\n# Twice\n\n# Twice\n\n```\n# not one\n```\n"
    assert [h.anchor for h in headings(page)] == ["23a-scores--q--k", "café--naïve", "twice", "twice-1"]


def test_links_in_code_are_none() -> None:
    page = (
        '[a](b.md) `[c](d.md)` <a href="e.md#f">e</a> [g](https://h.i)\n\n```\n[j](k.md)\n```\n\n[l]: m.md\n'
    )
    assert [link.target for link in links(page)] == ["b.md", "e.md#f", "m.md"]
    assert [link.line for link in links(page)] == [1, 1, 7]


def test_the_course_itself_misses_nothing() -> None:
    assert list(problems()) == []
