"""The program that writes: prompts from everywhere, every setting, a terminal typed to, and refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.loading import load
from coursekit.registry import COURSE_ROOT, find_step
from coursekit.source import exercise_text, stub_text
from step2_model.exchange import export
from step3_pretrain.run import load_run
from step3_pretrain.trainer import chain as chains
from step4_generate import generate as script
from step4_generate import model_solution as solution
from step4_generate.talk.completion import Completion
from step4_generate.talk.errors import CannotWrite
from step4_generate.talk.opening import open_folder
from step4_generate.talk.settings import Settings
from tests.terminals import CTRL_D, UP, Terminal
from tests.tiny_runs import write_gpt, write_run

USUAL = ("--solution", "--device", "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    write_run(folder)
    return folder


def written(capsys: pytest.CaptureFixture[str], *arguments: Any, status: int = 0) -> tuple[str, str]:
    """Return what the program writes and what it says beside, run in this process."""
    assert script.main([str(each) for each in (*arguments, *USUAL)]) == status
    return capsys.readouterr()


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any, status: int = 1) -> str:
    """Return the one sentence with which the program refuses."""
    said, sentence = written(capsys, *arguments, status=status)
    assert said == ""
    return sentence.strip()


def greedy_text(run: Path, prompt: str, count: int) -> str:
    """Return what the reference writes greedily after a prompt, by its plainest function."""
    model, args, tokenizer = load_run(run)
    ids = torch.tensor([[tokenizer.special_tokens["<|endoftext|>"], *tokenizer.encode(prompt)]])
    found = solution.generate(model, ids, count, args.max_seq_len)[0, ids.shape[1] :].tolist()
    return str(tokenizer.decode(found))


def test_a_prompt_is_gone_on_with_as_the_plain_function_does(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, said = written(capsys, run, "--prompt", "One day", "--temperature", 0, "--max-new-tokens", 12)
    assert found == f"One day{greedy_text(run, 'One day', 12)}\n"
    assert said.startswith("Transformer with ")
    assert f"parameters from {run}, by the reference\n" in said


def test_a_seed_decides_the_text_and_prompts_do_not_disturb_each_other(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines(*arguments: Any) -> list[dict[str, Any]]:
        path = tmp_path / "out.jsonl"
        written(capsys, run, "--output", path, "--max-new-tokens", 15, *arguments)
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    two = lines("--prompt", "One day", "--prompt", "One day")
    assert two[0]["text"] != two[1]["text"], "equal prompts of one call are different draws"
    assert lines("--prompt", "One day", "--prompts", "In spring")[0] == two[0]
    assert lines("--prompt", "One day", "--seed", 1)[0]["text"] == two[1]["text"]
    assert lines("--prompt", "Sadly", "--seed", 7) != lines("--prompt", "Sadly", "--seed", 8)


def test_a_file_becomes_lines_of_json(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, lined, out = (tmp_path / name for name in ("plain.txt", "lined.jsonl", "out.jsonl"))
    plain.write_text("One day\n\nÜber\n", encoding="utf-8")
    lined.write_text('{"prompt": "One\\nday", "more": 1}\n{"prompt": ""}\n', encoding="utf-8")
    for path, prompts in ((plain, ["One day", "Über"]), (lined, ["One\nday", ""])):
        written(capsys, run, "--file", path, "--output", out, "--max-new-tokens", 5)
        found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert [line["prompt"] for line in found] == prompts
        assert all(line["ended"] == "length" and line["tokens"] == 5 and line["text"] for line in found)
        assert [line["seed"] for line in found] == [0, 1]
        assert [line["not_read"] for line in found] == [0, 0]


def test_the_text_ends_where_the_model_ends_it(run: Path) -> None:
    opened = open_folder(run, solution=True, device="cpu")
    completion = Completion(opened, Settings(temperature=0.0, max_new_tokens=8))
    whole = "".join(completion.reply("One day"))
    ids = completion.writer.written.ids
    assert (completion.writer.written.ended, len(ids)) == ("length", 8)
    end = next(each for each in ids if each != ids[0])
    stream = completion.writer.stream(completion.ids("One day"), [end])
    assert whole.startswith("".join(stream))
    assert completion.writer.written.ended == "end of text"
    assert completion.writer.written.ids == ids[: ids.index(end)]


def test_nothing_of_a_stop_string_is_shown(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = greedy_text(run, "One day", 12)
    stop = whole[4:7]
    greedy = ("--prompt", "One day", "--temperature", 0, "--max-new-tokens", 12)
    found, _ = written(capsys, run, *greedy, "--stop", "never there", "--stop", stop)
    assert found == f"One day{whole[: whole.index(stop)]}\n"
    out = tmp_path / "out.jsonl"
    written(capsys, run, *greedy, "--stop", stop, "--output", out)
    assert json.loads(out.read_text(encoding="utf-8"))["ended"] == "stop string"


@pytest.mark.parametrize(
    "setting",
    [
        ("--top-k", "1"),
        ("--top-p", "0.001"),
        ("--min-p", "1"),
        ("--temperature", "1e-30"),
    ],
)
def test_the_narrowest_of_each_cut_is_greedy(
    run: Path, setting: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found, _ = written(capsys, run, "--prompt", "One day", "--max-new-tokens", 12, *setting)
    assert found == f"One day{greedy_text(run, 'One day', 12)}\n"


@pytest.mark.parametrize("name", ["--repetition-penalty", "--frequency-penalty", "--presence-penalty"])
def test_a_huge_penalty_lets_no_token_come_twice(run: Path, name: str, tmp_path: Path) -> None:
    field = name[2:].replace("-", "_")
    opened = open_folder(run, solution=True, device="cpu")
    for value, is_free in ((1e6, False), (float(name.startswith("--rep")), True)):
        settings = Settings(temperature=0.0, max_new_tokens=150, **{field: value})
        completion = Completion(opened, settings)
        for _ in completion.reply("One day"):
            pass
        ids = completion.writer.written.ids
        assert (len(set(ids)) < len(ids)) == is_free, "without the penalty some token comes twice"


def test_a_long_prompt_is_cut_and_that_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "One day, Ada wanted a red bike. " * 40
    found, said = written(capsys, run, "--prompt", prompt, "--max-new-tokens", 3, "--temperature", 0)
    count = 1 + len(load_run(run)[2].encode(prompt))
    assert found.startswith(prompt)
    assert f"[the model reads 256 tokens at once: the first {count - 256:,} tokens are not read]" in said


def test_every_kind_of_folder_writes(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, _, tokenizer = load_run(run)
    export(model, tmp_path / "exported", tokenizer)
    greedy = ("--prompt", "One day", "--temperature", 0, "--max-new-tokens", 12)
    assert written(capsys, tmp_path / "exported", *greedy)[0] == written(capsys, run, *greedy)[0]
    write_gpt(tmp_path / "gpt")
    found, said = written(capsys, tmp_path / "gpt", *greedy)
    assert found.startswith("One day")
    assert said.startswith("GPT with ")
    experts = {"n_experts": 4, "n_experts_per_tok": 2, "moe_intermediate_size": 16, "router": "sigmoid"}
    write_run(tmp_path / "experts", **experts, n_dense_layers=1)
    assert written(capsys, tmp_path / "experts", *greedy)[1].startswith("FullTransformer with ")


def test_a_pipe_is_a_prompt(run: Path) -> None:
    found = piped(run, b"One day\n")
    assert found.returncode == 0, found.stderr
    assert found.stdout.decode() == f"One day{greedy_text(run, 'One day', 6)}\n"
    for given, rule in ((b"", "standard input must hold a prompt"), (b"\xff", "must be UTF-8")):
        found = piped(run, given)
        assert (found.returncode, found.stdout) == (1, b"")
        assert rule in found.stderr.decode()


def piped(run: Path, given: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-W", "error", "-m", "step4_generate.generate", str(run), *USUAL]
    command += ["--temperature", "0", "--max-new-tokens", "6"]
    return subprocess.run(command, cwd=COURSE_ROOT, input=given, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--temperature", "-1"], "temperature must be at least 0, got -1.0"),
        (["--temperature", "nan"], "temperature must be at least 0, got nan"),
        (["--top-k", "0"], "top_k must be None or at least 1, got 0"),
        (["--top-p", "1.5"], "top_p must be None, or above 0 and at most 1, got 1.5"),
        (["--min-p", "2"], "min_p must be from 0 to 1, got 2.0"),
        (["--repetition-penalty", "0"], "repetition_penalty must be above 0, got 0.0"),
        (["--max-new-tokens", "0"], "max_new_tokens must be at least 1, got 0"),
        (["--stop", ""], "stop must not be empty, got ''"),
        (["--seed", "-1"], "seed must be from 0 to 2**63 - 1, got -1"),
        (["--file", "x"], "prompts must come from --prompt or from --file, got both"),
        (["--output", "/"], "--output must be a file that can be written, got /: Is a directory"),
        (["--prompt", "\udcff"], "a prompt must be UTF-8, got '\\udcff' with a stray byte at 0"),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(
    run: Path, arguments: list[str], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, run, "--prompt", "One day", *arguments).splitlines()[-1].startswith(rule)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (None, "--file must name a file that can be read, got "),
        (b"One \xff\n", "invalid start byte at byte 4"),
        (b" \n\n", "--file must have a prompt in it"),
        (b'{"prompt": 3}\n', 'line 1, must be JSON with a text as "prompt", got \'{"prompt": 3}\''),
        (b"{}\n[", 'line 1, must be JSON with a text as "prompt"'),
    ],
)
def test_a_bad_file_is_one_sentence(
    run: Path, data: bytes | None, rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompts.jsonl"
    if data is not None:
        path.write_bytes(data)
    assert rule in refused(capsys, run, "--file", path)


def test_a_bad_folder_is_one_sentence(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = ("--prompt", "One day")
    assert refused(capsys, tmp_path / "none", *prompt).startswith(
        "RUN must be the folder of a run or of an exported model, with config.json, got "
    )
    broken = tmp_path / "broken"
    write_run(broken)
    (broken / "config.json").write_text("{", encoding="utf-8")
    assert "config.json must be JSON" in refused(capsys, broken, *prompt)
    for config, got in (("[]", "a list"), ('{"block_size": 8}', "vocab_size None")):
        (broken / "config.json").write_text(config, encoding="utf-8")
        sentence = f"{broken / 'config.json'} must be the configuration of a model, got {got}"
        assert refused(capsys, broken, *prompt) == sentence
    write_run(broken)
    (broken / "training.json").write_text("[]", encoding="utf-8")
    assert "must be the record that training writes, got a list" in refused(capsys, broken, *prompt)
    write_run(broken, vocab_size=430)
    assert refused(capsys, broken, *prompt) == (
        f"the tokenizer of {broken} must have as many tokens as its model, got 420 and 430"
    )
    write_run(broken)
    (broken / "model.safetensors").write_bytes(b"no")
    assert "must be a whole safetensors file" in refused(capsys, broken, *prompt)
    (broken / "tokenizer.json").unlink()
    write_run(broken)
    (broken / "tokenizer.json").unlink()
    assert "a folder must hold tokenizer.json" in refused(capsys, broken, *prompt)
    write_gpt(tmp_path / "gpt")
    empty = refused(capsys, tmp_path / "gpt", "--prompt", "")
    assert empty.endswith("a prompt must not be empty: this model has no token that begins a text")


def test_an_exported_tokenizer_may_be_smaller_but_not_larger(run: Path, tmp_path: Path) -> None:
    _, _, tokenizer = load_run(run)
    write_run(tmp_path / "wide", vocab_size=500)
    (tmp_path / "wide" / "training.json").unlink()
    wide = load_run_args(tmp_path / "wide")
    export(wide, tmp_path / "out", tokenizer)
    opened = open_folder(tmp_path / "out", solution=True, device="cpu")
    with torch.no_grad():
        # Rows without a token would be the likeliest of all.
        opened.model.embed_tokens.weight[450:] = 100 * opened.model.embed_tokens.weight[:1]
    completion = Completion(opened, Settings(max_new_tokens=30, temperature=5.0))
    assert "".join(completion.reply("One day"))
    assert max(completion.writer.written.ids) < len(tokenizer)
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = 419
    (tmp_path / "out" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises((CannotWrite, ValueError), match="must have"):
        open_folder(tmp_path / "out", solution=True, device="cpu")


def load_run_args(folder: Path) -> Any:
    """Return the model of a folder whatever its tokenizer."""
    from step3_pretrain.trainer.chain import Chain

    return load_run(folder, Chain(is_reference=True))[0]


def test_wrong_usage_is_told_as_such(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], [str(run), "--nothing"], [str(run), "--top-k", "many"]):
        assert script.main(arguments) == 2
        assert capsys.readouterr().err.strip()


def in_terminal(run: Path, tmp_path: Path, *arguments: str) -> Terminal:
    env = {"COURSE_HISTORY": str(tmp_path / "history"), "OMP_NUM_THREADS": "1"}
    return Terminal(COURSE_ROOT, "step4_generate.generate", str(run), *USUAL, *arguments, env=env)


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_in_a_terminal_settings_change_ctrl_c_stops_the_text_and_ctrl_d_ends(
    run: Path, tmp_path: Path
) -> None:
    with in_terminal(run, tmp_path, "--max-new-tokens", "6") as terminal:
        terminal.until("> $")
        terminal.type("/set temperature 0\n")
        assert "temperature         0.0" in terminal.until("> $")
        terminal.type("One day\n")
        assert greedy_text(run, "One day", 6) in terminal.until("> $")
        terminal.type("/set top_q 3\n")
        assert "a setting must be one of temperature, top_k, " in terminal.until("> $")
        terminal.type("/set top-k many\n")
        assert "top_k must be a whole number or off, got 'many'" in terminal.until("> $")
        terminal.type("/nothing\n")
        assert "a command must be one of /reset, /set, /show, /help, /quit" in terminal.until("> $")
        terminal.type("/set max_new_tokens 1000000\n")
        terminal.until("> $")
        terminal.type("/reset\n")
        terminal.until("> $")
        terminal.type("Sadly\n")
        terminal.until("(?s).{200}")
        terminal.interrupt(r"\[stopped\](?s:.*)> $")
        assert "Ctrl-D or /quit ends the talk." in terminal.interrupt("ends the talk.\n> $")
        terminal.type("/show\n")
        assert "max_new_tokens      1000000" in terminal.until("> $")
        terminal.type(CTRL_D)
        assert terminal.status() == 0
        assert "Traceback" not in terminal.said
    with in_terminal(run, tmp_path) as terminal:
        terminal.until("> $")
        terminal.type(f"{UP}\n")
        assert "max_new_tokens      200" in terminal.until("seed.*\n> $"), "the history brings /show back"
        terminal.type("/quit\n")
        assert terminal.status() == 0


def test_lines_join_into_one_text_until_it_is_reset(run: Path) -> None:
    opened = open_folder(run, solution=True, device="cpu")
    completion = Completion(opened, Settings(temperature=0.0, max_new_tokens=6))
    first = "".join(completion.reply("One day"))
    assert completion.text == f"One day{first}"
    second = "".join(completion.reply(", Ada"))
    assert completion.text == f"One day{first}, Ada{second}"
    completion.do("reset", "")
    assert "".join(completion.reply("One day")) == first
    pieces = completion.reply(" and")
    shown = next(pieces)
    pieces.close()
    assert completion.text == f"One day{first} and{shown}", "what was shown before Ctrl-C stays"


def learners(folder: Path, monkeypatch: pytest.MonkeyPatch, text_of: Callable[[Any, str], str]) -> None:
    """Let the chain load learner's files with these texts; files of one folder import each other."""

    def file(step_name: str, trio: str) -> Any:
        step = find_step(step_name)
        own = folder / step.folder
        own.mkdir(exist_ok=True)
        for each in ("model", "further"):
            (own / f"{each}_exercise.py").write_text(text_of(step, each), encoding="utf-8")
        return load(own / f"{trio}_exercise.py", step, trio, stand_in=False)

    monkeypatch.setattr(chains, "_learners", file)


def solved(step: Any, trio: str) -> str:
    return exercise_text(step.trio_files(trio)[1].read_text(encoding="utf-8"), step, trio)


def stub(step: Any, trio: str) -> str:
    return stub_text(step.trio_files(trio)[1].read_text(encoding="utf-8"), step, trio)


def test_the_learners_own_functions_write_a_run_of_the_reference(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def loud(step: Any, trio: str) -> str:
        return solved(step, trio).replace("            yield said\n", "            yield said.upper()\n")

    learners(tmp_path, monkeypatch, loud)
    asked = [str(run), "--prompt", "One day", "--temperature", "0", "--max-new-tokens", "12"]
    assert script.main(asked) == 0
    found, said = capsys.readouterr()
    assert "by the reference, its text by your files as they are saved" in said
    assert found == f"One day{greedy_text(run, 'One day', 12).upper()}\n"
    assert script.main([*asked, "--solution"]) == 0
    assert capsys.readouterr().out == f"One day{greedy_text(run, 'One day', 12)}\n"


def test_an_unfinished_exercise_ends_it_in_its_own_sentence_and_only_if_it_is_needed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def core_alone(step: Any, trio: str) -> str:
        return solved(step, trio) if trio == "model" else stub(step, trio)

    learners(tmp_path, monkeypatch, core_alone)
    asked = [str(run), "--prompt", "One day", "--max-new-tokens", "3"]
    assert script.main(asked) == 0
    capsys.readouterr()
    assert script.main([*asked, "--min-p", "0.1"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("exercise 4.7 is not written yet")
    learners(tmp_path, monkeypatch, stub)
    assert script.main(asked) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("exercise 4.5 is not written yet")


def test_what_the_learners_code_raises_is_told_with_its_line(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(step: Any, trio: str) -> str:
        return solved(step, trio).replace("    cache, new = model.new_cache()", "    cache, new = 1 / 0")

    learners(tmp_path, monkeypatch, broken)
    assert script.main([str(run), "--prompt", "One day"]) == 1
    said = capsys.readouterr().err
    assert "model_exercise.py stopped with ZeroDivisionError" in said
    assert said.strip().endswith("Next: course check step4_generate")
    assert "talk/writer.py" not in said


def test_a_setting_is_typed_as_it_is_shown() -> None:
    settings = Settings().changed("stop", "The end").changed("stop", r'"\n\n"').changed("top-k", "5")
    assert settings.stop == ("The end", "\n\n")
    assert r"stop                'The end' '\n\n'" in str(settings)
    assert settings.changed("stop", "off").stop == ()
    assert settings.changed("top_k", "off").top_k is None
    with pytest.raises(CannotWrite, match="in quotes must be as Python writes it"):
        settings.changed("stop", '"open')
