"""What notebook cells show: verdicts, the learner's module, one sentence where something is not written."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from coursekit import ask, check, learner, needs, notebook, show
from coursekit.judging.verdict import Report, Status, Verdict
from coursekit.loading import CannotLoad, InOneSentence
from coursekit.practice import progress
from coursekit.render.question import with_marks

RIGHT = 'return text.upper() + "!"'


def test_check_judges_the_file_beside_the_notebook(here: Any, tmp_path: Path, monkeypatch: Any) -> None:
    assert not check("7.1a")
    copy = tmp_path / "handed_in"
    copy.mkdir()
    (copy / "model_exercise.py").write_text(here.solution, encoding="utf-8")
    monkeypatch.chdir(copy)
    assert check("7.1a", "7.2")
    assert progress.load(here.root).done == set()
    monkeypatch.chdir(tmp_path)
    assert not check("7.1a")


def test_check_shows_text_and_html_and_records_the_pass(here: Any) -> None:
    here.write(shout=RIGHT)
    told = check("7.1")
    bundle, metadata = told._repr_mimebundle_()
    assert metadata["course"]["rests_on"][0]["versions"].keys() == {"7.1a", "7.1b"}
    assert "7.1a" in bundle["text/plain"]
    assert "passed" in bundle["text/html"]
    assert repr(told) == bundle["text/plain"]
    assert progress.load(here.root).done == {"7.1a"}


def test_check_without_a_name_checks_the_step_of_this_folder(here: Any) -> None:
    assert len(check().told[0][1].verdicts) == len(here.step.items)


def test_a_name_that_nobody_knows_is_one_sentence_without_a_traceback(here: Any) -> None:
    for call in (lambda: check("7.9"), lambda: needs("7.9"), lambda: ask("7.q-none")):
        with pytest.raises(InOneSentence, match=r"there is no") as caught:
            call()
        assert caught.value._render_traceback_() == [str(caught.value)]


def test_in_grading_a_check_shows_its_score_alone(here: Any, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    seeds = []

    def judge(step: Any, items: Any, path: Any, *, seed: int | None = None) -> Report:
        seeds.append(seed)
        verdicts = tuple(Verdict(i.id, Status.FAILED, 1.5 * (i.points > 0), i.points, "n") for i in items)
        return Report(str(path), "0", verdicts)

    monkeypatch.setattr("coursekit.judging.judge.judge", judge)
    bundles = [check("7.1")._repr_mimebundle_()[0] for _ in range(2)]
    assert [bundle["text/plain"] for bundle in bundles] == ["3", "3"]
    assert "failed" in bundles[0]["text/html"]
    assert None not in seeds
    assert seeds[0] != seeds[1]
    assert capfd.readouterr() == ("", "")
    assert not progress.progress_file(here.root).exists()


@pytest.mark.parametrize(
    ("score", "shown"), [(7.0, "2"), (-1.0, "0"), (math.nan, "0"), (math.inf, "0"), (0.5, "0.5")]
)
def test_a_credit_is_a_finite_number_within_the_points(
    here: Any, monkeypatch: Any, score: float, shown: str
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    report = Report("f", "0", (Verdict("7.1a", Status.PASSED, score, 2, "n"),))
    assert notebook.Check([(here.step, report)])._repr_mimebundle_()[0]["text/plain"] == shown


def test_in_grading_the_learners_file_is_not_run_here(here: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    here.file.write_text("raise SystemExit('run')", encoding="utf-8")
    mine = learner()
    with needs("7.1a"):
        mine.shout("a")
    assert "In grading this cell shows nothing" in capsys.readouterr().out


def test_learner_is_the_file_as_saved_and_older_modules_keep_their_behavior(here: Any) -> None:
    here.write(shout="return 'old'")
    old = learner(stand_in=False)
    here.write(shout="return 'new'")
    new = learner(stand_in=False)
    assert (old.shout(""), new.shout("")) == ("old", "new")
    assert old.Echo is not new.Echo
    assert sys.modules[new.__name__] is new


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f():\n    return (1,\n", ["line 2: '(' was never closed", "    return (1,\n           ^"]),
        ("x = 1\n\tif x:\n", ["line 2: unexpected indent"]),
        ("import math\n\nprint(math.pii)\n", ["in line 3", "AttributeError", "line 3: print(math.pii)"]),
        ("import nothing_of_this_name\n", ["line 1", "ModuleNotFoundError"]),
        ("exit(3)\n", ["SystemExit: 3"]),
        ("x = '\0'\n", ["cannot be read by Python"]),
        ("x = 'é'\n".encode("latin-1"), ["UTF-8", "0xe9"]),
    ],
)
def test_a_file_that_cannot_run_is_one_sentence_and_never_older_code(
    here: Any, text: str | bytes, said: list[str]
) -> None:
    learner()
    here.file.write_bytes(text if isinstance(text, bytes) else text.encode())
    modules = set(sys.modules)
    with pytest.raises(CannotLoad) as caught:
        learner()
    assert all(part in str(caught.value) for part in said)
    assert "coursekit" not in str(caught.value)
    assert {name for name in set(sys.modules) - modules if "exercise" in name} == set()


def test_needs_tells_what_is_not_written_with_its_line(here: Any, capsys: Any) -> None:
    mine = learner(stand_in=False)
    with needs("7.1a", shows="a shout"):
        mine.shout("a")
    line = here.stub[: here.stub.index("raise NotImplementedError")].count("\n") + 1
    told = "7.1a shout is not written yet: this cell shows a shout once it is."
    assert capsys.readouterr().out == f"{told} (model_exercise.py, line {line})\n"


def test_needs_lets_every_other_exception_through(here: Any) -> None:
    here.write(shout="raise NotImplementedError('later')")
    mine = learner(stand_in=False)
    with pytest.raises(NotImplementedError, match="later"), needs("7.1a"):
        mine.shout("a")
    with pytest.raises(ValueError, match="mine"), needs("7.1a"):
        raise ValueError("mine")
    with pytest.raises(NotImplementedError), needs("7.1a"):
        raise NotImplementedError("exercise 9.9 is not written yet: f in g.py. Write it")
    here.file.write_text("(", encoding="utf-8")
    with pytest.raises(CannotLoad), needs("7.1a"):
        learner()


def test_needs_says_whose_code_ran(here: Any, capsys: Any) -> None:
    here.write(shout=RIGHT)
    with needs("7.1a", shows="a shout"):
        print(learner().shout("a"))
    told = "Computed by the reference: 7.1a has not passed yet. Once all is yours, this cell shows a shout."
    assert capsys.readouterr().out == f"A!\n{told}\n"
    assert check("7.1a")
    with needs("7.1a", shows="a shout"):
        print(learner().shout("a"))
    assert capsys.readouterr().out == "A!\nComputed by your code (7.1a).\n"


def folded(question: Any) -> str:
    return str(question._repr_mimebundle_()[0]["text/html"])


def test_a_question_folds_each_choice_over_its_response_where_widgets_cannot_run(here: Any) -> None:
    bundle = ask("7.q-case")._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == "Question: Is `A` a <letter>?\n  1. Yes\n  2. No"
    assert "Is <code>A</code> a &lt;letter&gt;?" in data["text/html"]
    assert "Look again" not in data["text/plain"]
    assert "<summary>No</summary>Look again.</details>" in data["text/html"], "a choice folds open"
    assert "open" not in data["text/html"].replace("then open your choice", "")
    ask("7.q-case").chosen = 1
    assert "<details open><summary>No (your answer)</summary>" in folded(ask("7.q-case"))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("All *other* files", "All <em>other</em> files"),
        ("`a*b` and *both of* them", "<code>a*b</code> and <em>both of</em> them"),
        ("2 * 3 * 4 and 12**3**2 and a*b*c", "2 * 3 * 4 and 12**3**2 and a*b*c"),
        ("*<b>*", "<em>&lt;b&gt;</em>"),
    ],
)
def test_stress_and_code_are_marked_and_products_are_not(text: str, html: str) -> None:
    assert with_marks(text) == html


def test_where_widgets_cannot_run_what_stands_for_them_is_shown_alone(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_WIDGETS", "off")
    assert set(ask("7.q-case")._repr_mimebundle_()[0]) == {"text/plain", "text/html"}


def test_a_grader_sees_a_question_without_its_responses(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert "Look again" not in str(ask("7.q-case")._repr_mimebundle_())


def test_an_answer_is_kept_and_shown_again(here: Any) -> None:
    widget = ask("7.q-case")
    widget.chosen = 1
    widget.chosen = 0
    assert progress.load(here.root).answers == {"7.q-case": [1, 0]}
    assert ask("7.q-case").chosen == 0


def test_a_figure_carries_its_description_and_is_closed(capsys: Any) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    figure, _ = plt.subplots(figsize=(2, 1))
    shown: list[tuple[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebook, "show_both", lambda plain, html: shown.append((plain, html)))
        show(figure, alt='A line that "rises"', caption="One & only")
    plain, html = shown[0]
    assert plain == '[figure: A line that "rises"]\nOne & only'
    assert 'alt="A line that &quot;rises&quot;"' in html
    assert "<figcaption>One &amp; only</figcaption>" in html
    assert not plt.fignum_exists(figure.number)
    with pytest.raises(ValueError, match="alt must say"):
        show(figure, alt=" ")


def test_in_a_real_notebook_each_cell_shows_one_output_and_errors_are_one_sentence(
    here: Any, monkeypatch: Any
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(here.root))
    here.write(shout="return text")
    sources = [
        "from coursekit import ask, check, learner, needs",
        'check("7.1a")',
        'ask("7.q-case")',
        'with needs("7.1b"):\n    learner().count([])',
        'open("model_exercise.py", "w").write("x = (") and learner()',
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client = nbclient.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(here.step.path)}}
    )
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        client.execute()
    outputs = [cell.outputs for cell in book.cells]
    assert [len(shown) for shown in outputs] == [0, 1, 1, 1, 1]
    assert "failed" in outputs[1][0].data["text/html"]
    assert "Computed by the reference: 7.1b is not yours yet." in outputs[3][0].data["text/plain"]
    assert (
        outputs[4][0].traceback[0]
        == "model_exercise.py cannot be read by Python, line 1: '(' was never closed"
    )
    assert len(outputs[4][0].traceback) == 4


def test_while_a_class_is_graded_only_the_file_beside_the_notebook_counts(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert notebook.file_of(here.step, "model") == here.file
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert notebook.file_of(here.step, "model") == tmp_path / "model_exercise.py"
