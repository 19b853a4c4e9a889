"""The running model whose parts become the learner's: whose code runs, as saved now, and never older code."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from coursekit import check, learner
from coursekit.loading import CannotLoad, InOneSentence
from coursekit.practice import progress
from coursekit.stale import old_in
from coursekit.whose import named, whose

SHOUT, ECHO = 'return text.upper() + "!"', "return text + text"


def told(mine: Any) -> list[str]:
    return repr(mine).split("\n")


def test_before_anything_is_written_all_of_it_is_the_reference(here: Any) -> None:
    mine = learner()
    assert (mine.shout("a"), mine.count(["A", "a"]), mine.Echo().say("b")) == ("A!", {"a": 2}, "bb")
    assert mine.call("a") == "A!A!"
    assert told(mine) == [
        "0 of 3 parts of words are yours  [···]",
        "not written yet: 7.1a, 7.1b, 7.2",
        'Next: write 7.1a, save, then check("7.1a")',
    ]
    assert whose(mine, "7.1") == "Computed by the reference: 7.1a and 7.1b are not yours yet."
    assert whose(mine, "7.all") == "Computed by the reference: 7.1a and 7.2 are not yours yet."


def test_a_part_becomes_the_learners_when_its_check_passes_and_not_before(here: Any) -> None:
    here.write(shout="word = text.upper()\nreturn word + '!'")
    assert "not passed yet: 7.1a" in told(learner())
    assert "word" not in learner().shout.__code__.co_varnames
    assert check("7.1a")
    mine = learner()
    assert told(mine)[:2] == ["1 of 3 parts of words are yours  [#··]", "yours: 7.1a"]
    assert "word" in mine.shout.__code__.co_varnames
    assert mine.call("a") == "A!A!"
    assert whose(mine, "7.1a") == "Computed by your code (7.1a)."
    assert whose(mine, "7.1") == "Computed by your code (7.1a) and the reference: 7.1b is not yours yet."
    assert named(mine, "echo") == "the echo with 1 of 3 parts yours"
    assert named(mine, "echo", "7.1") == "the echo with 1 of 2 parts yours"
    assert named(mine, "echo", "7.1a") == "your echo", "it is made of nothing else"
    assert named(mine, "echo", "7.1b") == "the reference echo"


def test_what_passed_and_has_changed_is_stood_in_for_and_said_so_until_it_passes_again(
    here: Any, capsys: Any
) -> None:
    here.write(shout=SHOUT)
    assert check("7.1a")
    learner()
    assert capsys.readouterr().out == ""
    here.write(shout="return text")
    mine = learner()
    said = '7.1a has changed since it passed: the reference stands in until check("7.1a") passes.\n'
    assert capsys.readouterr().out == said
    assert mine.shout("a") == "A!"
    assert whose(mine, "7.1a") == "Computed by the reference: 7.1a has changed since it passed."
    assert not check("7.1a")
    assert "changed since it passed: 7.1a" in told(learner())
    here.write(shout="return f'{text.upper()}!'")
    assert check("7.1a")
    assert "yours: 7.1a" in told(learner())


def test_what_was_solved_for_the_learner_counts_apart(here: Any) -> None:
    assert here.run("solve", "7.1a").returncode == 0
    mine = learner()
    assert told(mine)[:2] == ["0 of 3 parts of words are yours  [···]", "solved for you: 7.1a"]
    assert whose(mine, "7.1a") == "Computed by code solved for you (7.1a)."
    assert check("7.1a")
    assert "solved for you: 7.1a" in told(learner())


def test_without_a_stand_in_the_file_runs_as_it_is(here: Any) -> None:
    here.write(shout="return text")
    mine = learner(stand_in=False)
    assert mine.shout("a") == "a"
    assert "without a stand-in" in told(mine)[0]
    assert whose(mine, "7.1a") == "Computed by your file as it is saved: 7.1a has not passed yet."
    with pytest.raises(NotImplementedError):
        mine.count([])


def test_all_of_it_in_a_notebook_is_a_bar_with_words(here: Any) -> None:
    here.write(shout=SHOUT)
    check("7.1a")
    bundle = learner()._repr_mimebundle_()
    assert bundle["text/plain"] == repr(learner())
    assert 'role="img" aria-label="1 of 3 parts of words are yours"' in bundle["text/html"]
    assert 'title="7.1a Shouting: yours"' in bundle["text/html"]
    assert 'title="7.2 An echo: not written yet"' in bundle["text/html"]


def frames(error: BaseException) -> list[tuple[str, int, str]]:
    found = traceback.extract_tb(error.__traceback__)
    return [(Path(f.filename).name, f.lineno or 0, f.line or "") for f in found if "words" in f.filename]


def test_every_line_of_a_traceback_is_that_of_the_file_it_names(here: Any) -> None:
    here.write(Echo__say="loud = text + text\nreturn loud")
    assert check("7.2")
    mine = learner()
    text = here.file.read_text(encoding="utf-8")
    with pytest.raises(TypeError) as caught:
        mine.Echo().say(None)
    line = text[: text.index("loud = ")].count("\n") + 1
    assert frames(caught.value) == [("model_exercise.py", line, "loud = text + text")]
    with pytest.raises(AttributeError) as caught:
        mine.call(None)
    (first, second) = frames(caught.value)
    assert first == ("model_exercise.py", text[: text.index("return Echo()")].count("\n") + 1, first[2])
    assert first[2].startswith("return Echo()")
    assert second[0] == "model_solution.py"
    assert second[2] == 'return text.upper() + "!"'


@pytest.mark.parametrize("change", ["crlf", "bom", "tabs", "no end of line", "moved"])
def test_a_file_saved_in_another_way_is_stood_in_for_just_the_same(here: Any, change: str) -> None:
    here.write(Echo__say="return text + text  # mine")
    assert check("7.2")
    text = here.file.read_text(encoding="utf-8")
    if change == "tabs":
        text = re.sub("^( {4})+", lambda found: "\t" * (len(found[0]) // 4), text, flags=re.MULTILINE)
    if change == "moved":
        text = text.replace("class Echo:", "# A remark.\n\n\nclass Echo:")
    text = text.rstrip("\n") if change == "no end of line" else text
    raw = text.replace("\n", "\r\n" if change == "crlf" else "\n").encode()
    here.file.write_bytes((b"\xef\xbb\xbf" if change == "bom" else b"") + raw)
    assert check("7.2")
    mine = learner()
    assert mine.call("a") == "A!A!"
    assert "yours: 7.2" in told(mine)
    with pytest.raises(TypeError) as caught:
        mine.Echo().say(None)
    assert frames(caught.value)[0][2] == "return text + text  # mine"


def test_given_code_and_helpers_are_the_learners_also_where_the_reference_stands_in(here: Any) -> None:
    text = here.stub.replace("return Echo().say(shout(text))", "return Echo.mark + Echo().say(shout(text))")
    here.file.write_text(text.replace('"""It answers."""', 'mark = ">"'), encoding="utf-8")
    assert learner().call("a") == ">A!A!"


def test_a_function_that_was_renamed_or_a_class_that_was_deleted_is_the_references(here: Any) -> None:
    text = here.stub.replace("def shout(text", "def shoot(text")
    text = text[: text.index("class Echo")] + text[text.index("def call") :]
    here.file.write_text(text, encoding="utf-8")
    mine = learner()
    assert mine.call("a") == "A!A!"
    assert "not in your file: 7.1a, 7.2" in told(mine)


def test_a_syntax_error_in_a_body_is_one_sentence_with_exercise_line_and_caret(here: Any) -> None:
    learner()
    here.write(Echo__say="return (text +")
    with pytest.raises(CannotLoad) as caught:
        learner()
    line = here.file.read_text(encoding="utf-8")
    number = line[: line.index("return (text +")].count("\n") + 1
    said = (
        f"model_exercise.py cannot be read by Python, line {number} (in Echo.say, 7.2): '(' was never closed"
    )
    assert caught.value._render_traceback_()[0] == said
    assert caught.value._render_traceback_()[2].strip() == "^"


def test_a_deleted_file_is_one_sentence(here: Any) -> None:
    mine = learner()
    here.file.unlink()
    with pytest.raises(CannotLoad, match="cannot be read: No such file"):
        learner()
    assert old_in("mine.shout('a')", {"mine": mine})[0].endswith("the file is gone since.")


def test_a_file_is_found_by_step_by_path_and_by_folder(here: Any, tmp_path: Path, monkeypatch: Any) -> None:
    here.write(shout=SHOUT)
    check("7.1a")
    monkeypatch.chdir(tmp_path)
    for mine in (learner(), learner(7), learner("step7"), learner("step7_words"), learner(here.file)):
        assert "yours: 7.1a" in told(mine)
    with pytest.raises(InOneSentence, match=r"there is no step 'step8' .* or name a file"):
        learner("step8")
    with pytest.raises(CannotLoad, match=r"none\.py cannot be read"):
        learner("none.py")


def test_in_a_copy_of_the_folder_what_passes_there_becomes_the_learners(
    here: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    copy = tmp_path / "handed_in"
    copy.mkdir()
    monkeypatch.chdir(copy)
    here.write(shout="return 'own'")
    (copy / "model_exercise.py").write_text(here.stub.replace("# 1.", "# one:"), encoding="utf-8")
    here.write(shout="loud = text.upper()\nreturn loud + '!'")
    (copy / "model_exercise.py").write_bytes(here.file.read_bytes())
    here.write()
    assert "not passed yet: 7.1a" in told(learner())
    assert check("7.1a")
    assert "yours: 7.1a" in told(learner())
    assert progress.load(here.root).done == set()
    (copy / "model_exercise.py").write_text(here.stub, encoding="utf-8")
    assert "not written yet: 7.1a, 7.1b, 7.2" in told(learner())


def test_a_file_that_imports_another_exercise_file_gets_it_as_saved_with_the_reference_in_it(
    here: Any,
) -> None:
    further = here.step.path / "further_exercise.py"
    further.write_text(
        "from step7_words.model_exercise import shout\n\n\ndef loud(t):\n    return shout(t)\n"
    )
    try:
        mine = learner(further)
        assert mine.loud("a") == "A!"
        assert "step7_words.model_exercise" not in sys.modules
        here.write(shout="return 'changed'")
        assert "model_exercise.py has changed since" in old_in("mine", {"mine": mine})[0]
    finally:
        further.unlink()


def test_objects_survive_pickling(here: Any) -> None:
    mine = learner()
    assert pickle.loads(pickle.dumps(mine.Echo())).say("a") == "aa"


def test_loading_imports_nothing_that_the_file_does_not(here: Any) -> None:
    code = "import sys; from coursekit import learner; learner(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here.step.path,
        env=os.environ | {"PYTHONPATH": str(here.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_a_cell_is_told_which_of_its_names_were_built_before_the_file_changed(here: Any) -> None:
    mine = learner()
    names = {"mine": mine, "echo": mine.Echo(), "say": mine.shout, "held": [mine.Echo()], "n": 3}
    names |= {"kept": {"e": mine.Echo}, "bound": names["echo"].say}
    cells = ("echo", "say('a')", "held[0]", "kept", "bound", "with needs('7.1a'):\n    x = echo.say('b')")
    assert not [cell for cell in ("mine", *cells) if old_in(cell, names)]
    stat = here.file.stat()
    here.write(shout=SHOUT)
    os.utime(here.file, (stat.st_atime + 5, stat.st_mtime + 5))
    for cell in cells:
        (said,) = old_in(cell, names)
        pattern = (
            r"`\w+` was built from model_exercise\.py as saved at \d\d:\d\d; the file has changed since\."
        )
        assert re.match(pattern + " Run the cell that builds it again", said)
    assert "mine = learner()" in old_in("mine.shout('a')", names)[0]
    assert old_in("mine = learner()\nmine.shout('a')", names) == []
    assert old_in("[echo for echo in n]; (lambda say: say)(n)", names) == []
    assert old_in("not Python (", names) == []


def test_a_file_saved_again_without_a_change_makes_nothing_old(here: Any) -> None:
    names = {"mine": learner()}
    digest = hashlib.sha256(here.file.read_bytes()).digest()
    os.utime(here.file, (1, 1))
    assert hashlib.sha256(here.file.read_bytes()).digest() == digest
    assert old_in("mine", names) == []


def test_a_module_loaded_before_a_check_passed_says_that_the_reference_stands_in(here: Any) -> None:
    here.write(shout=SHOUT)
    names = {"mine": learner()}
    assert check("7.1a")
    said = "`mine` was loaded before 7.1a passed: the reference stands in there."
    assert old_in("mine.shout", names) == [f"{said} Load it again: mine = learner()."]


def test_in_a_real_notebook_old_objects_are_told_of_before_the_cell_runs(here: Any, monkeypatch: Any) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(here.root))
    save = (
        "text = open('model_exercise.py').read()\n_ = open('model_exercise.py', 'w').write(text + '# new\\n')"
    )
    sources = [
        "%load_ext autoreload\n%autoreload 2\nfrom coursekit import learner, needs",
        "mine = learner()\necho = mine.Echo()\nmine",
        "echo.say('a')",
        save,
        "echo.say('b')",
        "mine = learner()\nmine.Echo().say('c')",
        "echo = mine.Echo()",
        "with needs('7.2'):\n    print(echo.say('d'))",
        "_ = open('model_exercise.py', 'w').write('(')",
        "echo.say('e')",
        "import inspect\nprint(inspect.getsource(mine.shout)[:9])",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(here.step.path)}}
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [
        ["".join(o.get("text", "") or o.data["text/plain"]) for o in cell.outputs] for cell in book.cells
    ]
    assert outputs[1][0].startswith("0 of 3 parts of words are yours")
    assert outputs[2] == ["'aa'"]
    assert len(outputs[4]) == 2
    assert outputs[4][0].startswith("`echo` was built from model_exercise.py as saved at")
    assert outputs[4][1] == "'bb'"
    assert outputs[5] == ["'cc'"]
    assert outputs[6] == []
    assert outputs[7][0] == "dd\n"
    assert outputs[7][1].startswith("Computed by the reference: 7.2 is not yours yet.")
    assert outputs[9][0].startswith("`echo` was built")
    assert outputs[9][1:] == ["'ee'"]
    assert outputs[10][1:] == ["def shout\n"]
