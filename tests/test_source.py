"""The one source: stubs, reset, solve and isolation, also of files that do not parse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coursekit import source
from coursekit.registry import Exercise, Step
from coursekit.source.stub import StubError
from coursekit.source.text import compiles

# A slow or busy machine is no fault.
ANY_PACE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SOLUTION = (Path(__file__).parent / "source" / "solution.py").read_text(encoding="utf-8")
IDS = {"9.1": ("Box.double",), "9.2": ("Box.show",), "9.3": ("add",), "9.4": ("scale",)}
TARGETS = [target for targets in IDS.values() for target in targets]
BODIES = {
    "returns": ["        return 7"],
    "trailing comment": ["        return 7", "        # done", "", "            # really"],
    "nested function": ["        def scale(a):", "            return a", "        return scale(7)"],
    "long string": ['        return """', "left: 7", '"""'],
    "form feed": ["        x = 7", "\f", "        return x  # type: ignore[no-any-return]"],
    "syntax error": ["        return ) 7"],
    "open bracket": ["        return (7"],
    "open string": ['        return """7'],
    "wrong indentation": ["        x = 7", "          return x"],
    "dedented return": ["        x = 7", "    return x"],
    "return at the margin": ["        x = 7", "return x"],
    "tab": ["        x = 7", "\treturn x"],
    "not UTF-8": ["        return '\udce9'"],
    "NUL": ["        return 7  # \0"],
    "nothing": [],
    "conflict marks": ["<<<<<<< ours", "        return 7", "=======", "        return 8", ">>>>>>> theirs"],
}
HEADERS = {
    "plain": None,
    "decorated": ["    @helper", "    @(lambda f: f)"],
    "defined twice": ["    def NAME(*args):", "        return 0", "", "    # again"],
    "async": ["    async def NAME(*args):", "        return 0", ""],
}


def make_step(ids: dict[str, tuple[str, ...]] = IDS) -> Step:
    exercises = tuple(
        Exercise(i, i, t, 1, 1, 1, (), (), "docs/x.md#x", step="step9_toy") for i, t in ids.items()
    )
    return Step("step9_toy", 9, "Toy", "Why?", "docs/x.md", exercises, ())


EXERCISE = source.exercise_text(SOLUTION, make_step(), "model")
STUB = source.stub_text(SOLUTION, make_step(), "model")


def rewrite(text: str, target: str, body: str, header: str = "plain") -> str:
    """Return the text with another body (and lines before the header) for one target."""
    span = source.find_spans(text, [target], STUB)[target]
    lines = source.split_lines(text)
    out = 0 if span.prefix else 4
    new = [line[out:] if line.startswith("    ") else line for line in BODIES[body]]
    above = [line[out:].replace("NAME", target.split(".")[-1]) for line in HEADERS[header] or []]
    lines[span.body_first - 1 : span.last] = [line + "\n" for line in new]
    lines[span.header - 1 : span.header - 1] = [line + "\n" for line in above]
    return "".join(lines)


@st.composite
def learner_files(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from([STUB, EXERCISE]))
    for target in draw(st.permutations(TARGETS)):
        body = draw(st.sampled_from([None, *BODIES]))
        if body is not None:
            text = rewrite(text, target, body, draw(st.sampled_from(list(HEADERS))))
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))
    return text.rstrip("\r\n") if draw(st.booleans()) else text


@ANY_PACE
@given(learner_files())
def test_keeping_every_exercise_changes_nothing(text: str) -> None:
    composed = source.isolate(text, EXERCISE, TARGETS, TARGETS)
    assert composed.text == text
    assert list(composed.lines) == list(range(1, len(source.split_lines(text)) + 1))


@ANY_PACE
@given(learner_files(), st.sets(st.sampled_from(TARGETS), min_size=1))
def test_isolating_leaves_every_line_outside_the_other_bodies(text: str, keep: set[str]) -> None:
    composed = source.isolate(text, EXERCISE, keep, TARGETS)
    lines, out = source.split_lines(text), source.split_lines(composed.text)
    assert len(out) == len(composed.lines)
    for line, number in zip(out, composed.lines, strict=True):
        assert number is None or lines[number - 1].rstrip("\r\n") == line.rstrip("\r\n")
    others = source.find_spans(text, [t for t in TARGETS if t not in keep], STUB).values()
    replaced = {n for span in others for n in range(span.header, span.last + 1)}
    kept = [n for n in composed.lines if n is not None]
    assert kept == sorted(kept)
    gone = set(range(1, len(lines) + 1)) - set(kept)
    assert gone >= replaced  # and earlier definitions of the same names
    assert any(n is None for n in composed.lines) == (set(TARGETS) != keep)


@ANY_PACE
@given(learner_files())
def test_solving_undoes_a_reset_and_a_reset_undoes_solving(text: str) -> None:
    assert source.solve(source.reset(text, STUB, TARGETS), EXERCISE, TARGETS) == source.solve(
        text, EXERCISE, TARGETS
    )
    assert source.reset(source.solve(text, EXERCISE, TARGETS), STUB, TARGETS) == source.reset(
        text, STUB, TARGETS
    )


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("base", [STUB, EXERCISE], ids=["stub", "solved"])
def test_a_fault_in_one_body_costs_that_exercise_alone(base: str, body: str, header: str) -> None:
    for broken in TARGETS:
        text = rewrite(base, broken, body, header)
        for target in TARGETS:
            isolated = source.isolate(text, EXERCISE, [target], TARGETS)
            moved = source.transplant(text, EXERCISE, [target], TARGETS)
            assert isolated.missing == moved.missing == ()
            if target != broken:
                assert compiles(isolated.text)
                assert compiles(moved.text)
        if header == "plain":
            assert source.solve(text, EXERCISE, [broken]) == base.replace(*_bodies(base, broken))


def _bodies(base: str, target: str) -> tuple[str, str]:
    """Return the definition of the target in the base, and in the solution."""
    texts = []
    for text in (base, EXERCISE):
        span = source.find_spans(text, [target])[target]
        texts.append("".join(source.split_lines(text)[span.header - 1 : span.last]))
    return texts[0], texts[1]


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("def add(", "def plus(", {"add"}),
        ("    def double(self)", "    def doubled(self)", {"Box.double"}),
        ("class Box:", "class Bix:", {"Box.double", "Box.show"}),
        ("def scale(a):", "def _():", {"scale"}),
    ],
)
def test_what_is_missing_is_named_and_given_to_the_other_exercises(
    old: str, new: str, missing: set[str]
) -> None:
    text = EXERCISE.replace(old, new)
    for target in TARGETS:
        composed = source.isolate(text, EXERCISE, [target], TARGETS)
        assert set(composed.missing) == missing & {target}
        if target not in missing:
            defined = source.find_spans(composed.text, TARGETS)
            assert compiles(composed.text)
            assert set(defined) == set(TARGETS)


def test_a_missing_definition_goes_where_the_solution_has_it() -> None:
    text = EXERCISE.replace(_bodies(EXERCISE, "add")[0], "")
    assert re.findall(r"^def (\w+)", source.solve(text, EXERCISE, ["add"]), re.M) == ["add", "given", "scale"]


def test_a_renamed_parameter_of_another_exercise_costs_nothing() -> None:
    text = STUB.replace("def scale(a):", "def scale(number):")
    composed = source.isolate(text, EXERCISE, ["add"], TARGETS)
    assert "def scale(a):" in composed.text
    assert "def scale(number):" in source.isolate(text, EXERCISE, ["scale"], TARGETS).text


def test_a_fault_in_a_hidden_definition_costs_that_exercise_alone() -> None:
    text = STUB.replace("def scale(a):", "def scale(a):\n    return ) a\n\n\ndef scale(a):")
    assert compiles(source.isolate(text, EXERCISE, ["add"], TARGETS).text)


def test_a_misspelled_def_costs_only_its_own_exercise() -> None:
    text = STUB.replace("    def double(", "    de double(")
    assert compiles(source.isolate(text, EXERCISE, ["add"], TARGETS).text)
    assert not compiles(source.isolate(text, EXERCISE, ["Box.double"], TARGETS).text)


def test_a_learners_constant_survives_under_a_broken_body() -> None:
    text = rewrite(STUB, "add", "open bracket").replace("def given", "FACTOR = 3\n\n\ndef given")
    assert "FACTOR = 3" in source.isolate(text, EXERCISE, ["scale"], TARGETS).text


def test_a_file_of_tabs_takes_the_solutions_bodies() -> None:
    text = re.sub(r"^( {4})+", lambda m: "\t" * (len(m[0]) // 4), STUB, flags=re.M)
    composed = source.isolate(text, EXERCISE, ["Box.double"], TARGETS)
    assert compiles(composed.text)
    assert "\n\tdef show(" in composed.text
    assert compiles(source.transplant(text, EXERCISE, ["Box.double"], TARGETS).text)


def test_the_last_of_two_definitions_counts() -> None:
    text = EXERCISE.replace("def given", "def scale(a):\n    return 0\n\n\ndef given")
    spans = source.find_spans(text, ["scale"])
    assert "3 * a" in source.split_lines(text)[spans["scale"].last - 1]


def test_the_stub_is_the_learners_plan() -> None:
    bodies = {t: _bodies(STUB, t)[0] for t in TARGETS}
    assert bodies["Box.show"].splitlines() == [
        "    def show(self, past=None):",
        '        """Return x as text."""',
        "        # 1. Read x.",
        "        # 2. The past comes first.",
        "        # TODO 9.2: write the numbered steps, then delete the next statement.",
        "        raise NotImplementedError(",
        '            "exercise 9.2 is not written yet: Box.show in step9_toy/model_exercise.py. "',
        '            "Write it, or run: course solve 9.2"',
        "        )",
        "        if past is not None:  # given",
        "            x = past + x  # given",
        "        # 3. Write it down.",
        "        # 4. Only once.",
    ]
    assert "        #    whatever it is.\n        # 2. Double it.\n        # TODO 9.1" in bodies["Box.double"]
    assert "from step1_toy.model_exercise import helper" in STUB
    assert STUB.endswith(
        'if __name__ == "__main__":\n    from coursekit.selfcheck import main\n\n    main(__file__)\n'
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('        """Return 2x."""\n', "", "must have a docstring"),
        ("def scale(a)", "def scaled(a)", "must define scale"),
        ("text = str(x)", "text = str(x)  # given", "given whole"),
        ("return a + b", "return a +", "must be valid Python"),
    ],
)
def test_a_solution_without_a_stub_is_refused_in_a_sentence(old: str, new: str, words: str) -> None:
    with pytest.raises(StubError, match=words):
        source.stub_text(SOLUTION.replace(old, new), make_step(), "model")
