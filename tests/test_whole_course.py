"""The whole course, played: from empty files to a talk with a model, and its export opened elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit.corpora.storyworld import read
from coursekit.registry import COURSE_ROOT, load_course

pytestmark = pytest.mark.slow
Run = Callable[..., str]

# What `transformers` alone makes of the exported folder, away from the course.
ELSEWHERE = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = (kind.from_pretrained(sys.argv[1]) for kind in (AutoModelForCausalLM, AutoTokenizer))
ids = tokenizer("<|endoftext|>" + sys.argv[2], return_tensors="pt").input_ids
out = model.generate(ids, max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0)
print(tokenizer.decode(out[0, ids.shape[1] :]), end="")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that is handed out, with nothing written in it and nothing remembered."""
    root = tmp_path_factory.mktemp("learner") / "course"
    ignored = shutil.ignore_patterns("__pycache__", ".course", ".git", ".venv", "runs", "tests", ".*_cache")
    shutil.copytree(COURSE_ROOT, root, ignore=ignored)
    shutil.copy(COURSE_ROOT / "tests" / "whole_course.py", root / "play.py")
    return root


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    def python(*arguments: str, given: str = "", cwd: Path = place) -> str:
        """Run Python in the copy and return what it prints; a failure shows its errors."""
        environment = os.environ | {"PYTHONPATH": str(place) if cwd == place else "", "COLUMNS": "110"}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            input=given,
            capture_output=True,
            encoding="utf-8",
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-1500:]}{done.stderr[-3000:]}"
        return done.stdout

    return python


def test_a_learner_goes_from_empty_files_to_a_talk(run: Run, place: Path, tmp_path: Path) -> None:
    played = [json.loads(line) for line in run("play.py").splitlines() if line.startswith("{")]
    assert [each["id"] for each in played] == [e.id for s in load_course() for e in s.of_trio("model")]
    for each in played:
        assert set(each["before"]) == {"not started"}, each
        assert set(each["after"]) == {"passed"}, each

    course = ("-m", "coursekit.cli.app")
    run(*course, "train", "--minutes", "1", "--output", "runs/first", "--seed", "0")
    written = run(
        *course, "generate", "runs/first", "--prompt", "One day, Ada wanted a", "--temperature", "0"
    )
    assert re.search(r"(red|blue|green|white|black|brown|pink|gray) \w+\.", written)
    story = "One day, Ada wanted a red bike. But Ben had hidden the red bike near the barn. "
    story += "Now Ada had the red bike. Ada was glad."
    assert read(story + "\n").is_true
    talk = run(*course, "chat", "runs/first", "--story", story, given="Who wanted the bike?\n")
    assert "<|" not in talk
    assert re.search(r"\b(right|wrong)\b", talk)

    run(*course, "export", "runs/first", str(tmp_path / "exported"))
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"the learner's own \| (\d+) \| 1\.1, 1\.2, .*, 2\.11b, 3\.1, .*, 3\.8 \|", card)
    assert "reference" not in card

    prompt, lines = "One day, Ada wanted", tmp_path / "ours.jsonl"
    options = ("--temperature", "0", "--max-new-tokens", "24", "--output", str(lines))
    run(*course, "generate", "runs/first", "--prompt", prompt, *options)
    (ours,) = (json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines())
    theirs = run("-c", ELSEWHERE, str(tmp_path / "exported"), prompt, cwd=tmp_path)
    assert len(ours["text"]) > 20
    assert theirs.startswith(ours["text"])
