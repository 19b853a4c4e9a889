"""The finale trains, measures and writes by one code path, whatever the budget, whatever is unfinished."""

from __future__ import annotations

import json
import math
import os
import random
import re
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from coursekit.budget import Budget
from coursekit.corpora import Corpus, TextFile, baselines, join, split_by_file
from coursekit.loading import load
from coursekit.mine import State
from coursekit.registry import find_step
from step2_model import finale, model_solution
from step2_model.finale import __main__ as finale_command
from step2_model.finale import training
from step2_model.finale.device import device_named
from step2_model.finale.scoring import as_ids, bits_per_byte, looks_ahead
from step2_model.finale.writing import as_text, sample

ROOT = Path(__file__).parent.parent
SMALL = {"n_layer": 1, "n_head": 2, "n_embd": 32, "block_size": 32}


def made_of_words() -> Corpus:
    """A text whose words take longer than a bigram sees: it cannot tell which word it is in."""
    words = ["banana", "canal", "panama", "manana", "anagram", "salad", "salsa", "nasal", "alas", "lasagna"]
    draw = random.Random(0)
    texts = [" ".join(draw.choice(words) for _ in range(400)) + "\n" for _ in range(40)]
    return split_by_file("words", [TextFile(f"{i}.txt", text.encode()) for i, text in enumerate(texts)], 0.2)


class View:
    """Follows a training and, if asked to, presses Stop or Ctrl-C at a step."""

    def __init__(self, stop_at: int = 0, interrupt_at: int = 0) -> None:
        self.seen: list[float] = []
        self.stop_at, self.interrupt_at, self.said = stop_at, interrupt_at, ""

    @property
    def stopped(self) -> bool:
        return len(self.seen) == self.stop_at

    def add(self, x: float, y: float, fraction: float, text: str) -> None:
        self.seen.append(y)
        if len(self.seen) == self.interrupt_at:
            raise KeyboardInterrupt

    def finish(self, text: str) -> None:
        self.said = text


def prepared(steps: int = 5, **settings: Any) -> finale.Run:
    budget = Budget(steps=steps, held_out_bytes=6_000)
    return finale.prepare(
        model_solution, **({"budget": budget, "shape": SMALL, "corpus": made_of_words()} | settings)
    )


class Fixed(nn.Module):
    """A model that answers with given rows of logits: by the last byte, or by the place in the window."""

    def __init__(self, table: torch.Tensor, size: int, by_place: bool = False) -> None:
        super().__init__()
        self.table = nn.Parameter(table)
        self.config = types.SimpleNamespace(block_size=size)
        self.by_place = by_place

    def forward(self, ids: torch.Tensor) -> model_solution.ModelOutput:
        rows = torch.arange(ids.shape[1]).expand_as(ids) if self.by_place else ids
        return model_solution.ModelOutput(self.table[rows], None, None)


def test_a_model_that_knows_nothing_needs_exactly_8_bits() -> None:
    model = Fixed(torch.zeros(256, 256), size=16)
    assert bits_per_byte(model, b"any text at all, of any length" * 9, before=b"-" * 8) == pytest.approx(
        8.0, abs=1e-9
    )


@pytest.mark.parametrize("size", [2, 7, 16, 64])
@pytest.mark.parametrize("length", [1, 15, 16, 17, 200])
def test_a_bigram_played_as_a_model_scores_the_baselines_own_number(size: int, length: int) -> None:
    train = join(made_of_words().train)
    text = join(made_of_words().held_out)[:length]
    model = Fixed(torch.tensor(baselines.bigram(train)).log(), size)
    assert bits_per_byte(model, text, train) == pytest.approx(
        baselines.bigram_bits(text, train, train), rel=1e-9
    )


@pytest.mark.parametrize("size", [2, 7, 16, 64])
@pytest.mark.parametrize("length", [1, 15, 16, 17, 200])
def test_no_byte_is_scored_with_less_than_half_a_window_before_it(size: int, length: int) -> None:
    # Only positions that have read half a window know that every byte is an "a"; the others are sure of "b".
    table = torch.full((size, 256), -50.0)
    table[: size // 2 - 1, ord("b")] = 50.0
    table[size // 2 - 1 :, ord("a")] = 50.0
    model = Fixed(table, size, by_place=True)
    assert bits_per_byte(model, b"a" * length, before=b"a" * size) == pytest.approx(0.0, abs=1e-9)


def test_scoring_without_a_past_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 bytes before it, got 3 and 7"):
        bits_per_byte(Fixed(torch.zeros(256, 256), size=16), b"abc", before=b"-" * 7)


def test_training_beats_the_bigram_and_gzip_on_words_that_need_a_longer_memory() -> None:
    run = prepared(steps=250)
    view = View()
    finale.train(run, lambda levels: view)
    levels = finale.measure(run)
    assert run.ended == "budget used up"
    assert view.seen == [step.bits for step in run.history]
    assert levels["the reference GPT"] < levels["bigram"] < levels["unigram"]
    assert levels["the reference GPT"] < levels[finale.GZIP]
    assert (
        levels["the reference GPT"] > math.log2(10) / 8
    )  # ten equally likely words of at most 8 bytes: nothing can do better


def test_equal_seeds_train_alike_and_other_seeds_do_not() -> None:
    def losses(seed: int) -> list[float]:
        run = prepared(seed=seed)
        finale.train(run, lambda levels: View())
        return [step.loss for step in run.history]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_the_default_shape_trains_on_the_machines_own_library_within_the_environments_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COURSE_BUDGET", "steps=6,bytes=3000")
    run = finale.prepare(model_solution)
    finale.train(run, lambda levels: View())
    assert len(run.history) == 6
    assert run.history[-1].bits < run.history[0].bits - 0.5
    assert finale.measure(run)["the reference GPT"] < 7


def test_a_clock_that_has_run_out_ends_training_after_one_step() -> None:
    run = prepared(budget=Budget(seconds=1e-9, held_out_bytes=6_000))
    finale.train(run, lambda levels: View())
    assert len(run.history) == 1
    assert run.history[0].fraction == 1.0


@pytest.mark.parametrize(
    ("view", "ended"), [(View(stop_at=3), "stopped"), (View(interrupt_at=3), "interrupted")]
)
def test_stop_and_an_interrupt_end_training_and_keep_the_model(view: View, ended: str) -> None:
    run = prepared(steps=1000)
    fresh = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    finale.train(run, lambda levels: view)
    assert run.ended == ended
    assert len(run.history) == 3
    assert f"({ended}) after 3 steps" in view.said
    assert not run.model.training
    assert all(not weight.equal(fresh[name]) for name, weight in run.model.state_dict().items())
    assert "the reference GPT" in finale.measure(run)


def test_training_twice_starts_anew() -> None:
    run = prepared()
    finale.train(run, lambda levels: View())
    first = [step.loss for step in run.history]
    finale.train(run, lambda levels: View())
    assert [step.loss for step in run.history] == first


def test_an_unfinished_exercise_says_so_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfinished(*_: Any) -> None:
        raise NotImplementedError("exercise 2.3a attention_scores")

    monkeypatch.setattr(model_solution, "attention_scores", unfinished)
    run = prepared()  # preparing calls no exercise

    def view(levels: dict[str, float]) -> View:
        raise AssertionError("the plot was drawn")

    with pytest.raises(NotImplementedError, match=r"2\.3a"):
        finale.train(run, view)
    with pytest.raises(NotImplementedError, match=r"2\.3a"):
        finale.compare(run)
    with pytest.raises(NotImplementedError, match=r"2\.3a"):
        finale.write(run, "def ")


def test_a_loss_that_is_no_number_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_solution, "next_token_loss", lambda logits, labels: logits.sum() * math.nan)
    with pytest.raises(ValueError, match="loss must be a number"):
        finale.train(prepared(), lambda levels: View())


def test_the_comparison_lists_all_levels_best_first_and_says_by_how_much() -> None:
    run = prepared()
    assert "has not been trained" in str(finale.compare(run))
    finale.train(run, lambda levels: View())
    table = finale.compare(run)
    values = [float(value) for _, value in table.rows]
    assert values == sorted(values)
    assert {name for name, _ in table.rows} == {"the reference GPT", *run.baselines}
    share = run.levels["the reference GPT"] / run.levels[finale.GZIP] - 1
    assert f"{share:.1%} more bits than gzip -9" in str(table)
    bundle = table._repr_mimebundle_()
    assert bundle["text/plain"] == str(table)
    assert "<td" in bundle["text/html"]


def test_a_model_without_a_mask_is_caught_reading_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepared()
    finale.train(run, lambda levels: View())
    assert not looks_ahead(run.model)
    monkeypatch.setattr(model_solution, "apply_causal_mask", lambda scores: scores)
    assert looks_ahead(run.model)
    assert 'check("2.3b")' in str(finale.compare(run))


def test_windows_are_neighboring_tokens_and_reach_both_ends() -> None:
    ids = torch.arange(10, dtype=torch.uint8)
    drawn = training.windows(ids, 4, 300, torch.Generator().manual_seed(0))
    assert drawn.diff(dim=1).eq(1).all()
    assert set(drawn[:, 0].tolist()) == set(range(7))
    with pytest.raises(ValueError, match="at least one window of 11 tokens, got 10"):
        training.windows(ids, 11, 1, torch.Generator())


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_everything_else() -> None:
    model = prepared().model
    muon, adamw = training.optimizers(model)
    of = {id(p): name for name, p in model.named_parameters()}
    matrices = {of[id(p)] for p in muon.param_groups[0]["params"]}
    others = {of[id(p)] for p in adamw.param_groups[0]["params"]}
    assert matrices == {
        f"h.0.{name}.weight" for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    }
    assert matrices | others == set(of.values())
    assert {"wte.weight", "wpe.weight", "ln_f.weight", "h.0.mlp.c_fc.bias"} <= others


def test_muon_in_full_precision_takes_the_same_step_but_for_rounding() -> None:
    def after_a_step(full: bool) -> torch.Tensor:
        weight = nn.Parameter(torch.zeros(16, 48))
        weight.grad = torch.randn(16, 48, generator=torch.Generator().manual_seed(0))
        gradient = weight.grad.clone()
        muon = torch.optim.Muon([weight], lr=1.0, weight_decay=0.0)
        if full:
            with training.FullPrecision():
                muon.step()
        else:
            muon.step()
        assert weight.grad.equal(gradient)
        return weight.detach()

    full, half = after_a_step(True), after_a_step(False)
    assert (full - half).abs().max() < 0.05 * half.abs().max()
    assert not full.equal(half)
    assert not full.equal(full.bfloat16().float())


def test_the_learning_rate_rises_from_little_and_falls_to_zero() -> None:
    rates = [training.rate(i / 1000) for i in range(1001)]
    peak = rates.index(max(rates))
    assert 0 < rates[0] < 0.1
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == 0


@pytest.mark.parametrize("length", range(1, 13))
def test_text_comes_in_whole_characters_and_half_a_character_never(length: int) -> None:
    text = "aé€😀 z"
    pieces = list(as_text(text.encode()[:length]))
    assert "".join(pieces) == text.encode()[:length].decode(errors="ignore")
    assert "�" not in "".join(pieces)


def test_bytes_that_are_no_text_become_one_mark_each() -> None:
    assert "".join(as_text(b"a\xffb\xc3(")) == "a�b�("


def test_the_sample_follows_the_models_law_beyond_the_window_and_its_generator() -> None:
    run = prepared(steps=150)
    finale.train(run, lambda levels: View())

    def text(seed: int, temperature: float) -> bytes:
        generator = torch.Generator().manual_seed(seed)
        return bytes(sample(run.model, b"banana ", 200, generator, temperature))

    assert len(text(0, 0.8)) == 200  # six windows
    assert text(0, 0.8) == text(0, 0.8) != text(1, 0.8)
    cold = text(0, 1e-6)
    with torch.no_grad():
        greedy = list(b"banana ")
        for _ in range(20):
            greedy.append(int(run.model(torch.tensor([greedy[-16:]])).logits[0, -1].argmax()))
    assert cold[:9] == bytes(greedy[7:16])  # until the window first moves
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        next(sample(run.model, b"a", 1, torch.Generator(), 0))


def test_an_empty_prompt_writes_too(capsys: pytest.CaptureFixture[str]) -> None:
    finale.write(prepared(), "", length=8)
    assert capsys.readouterr().out


def test_a_kept_run_holds_the_weights_the_configuration_and_every_step(tmp_path: Path) -> None:
    run = prepared()
    finale.train(run, lambda levels: View())
    finale.compare(run)
    folder = finale.save(run, tmp_path / "runs" / "one")
    config = model_solution.GPTConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    model = model_solution.GPT(config)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), run.model.parameters()))
    *steps, last = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    assert [step["loss"] for step in steps] == [step.loss for step in run.history]
    assert last["bits_per_byte"] == run.levels


def test_evidence_trains_every_seed_and_holds_each_claim_against_the_figures() -> None:
    budget = Budget(steps=250, held_out_bytes=6_000)
    made = finale.evidence(budget, seeds=(0, 3), shape=SMALL, corpus=made_of_words())
    assert [result["seed"] for result in made["results"]] == [0, 3]
    assert all(made["claims"].values())
    assert len(made["claims"]) == 3
    assert made["written"]["text"].startswith("def ")
    assert "250 steps" in made["written"]["told"]
    short = finale.evidence(
        Budget(steps=1, held_out_bytes=6_000), seeds=(3,), shape=SMALL, corpus=made_of_words()
    )
    assert list(short["claims"].values()) == [False, False, True]


def test_a_device_is_what_this_machine_has_and_auto_takes_the_fastest_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert (device_named("auto"), device_named("cpu")) == ("cpu", "cpu")
    with pytest.raises(ValueError, match=r"must be one that this machine has \(cpu\), got cuda"):
        device_named("cuda")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert (device_named("auto"), device_named("mps")) == ("mps", "mps")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert device_named("auto") == "cuda"


def in_terminal(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "step2_model.finale", *arguments],
        cwd=ROOT,
        env=os.environ | {"COURSE_BUDGET": "steps=2,bytes=3000", "PYTHONIOENCODING": "utf-8"} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


def test_in_a_terminal_the_reference_trains_compares_writes_and_keeps_the_run(tmp_path: Path) -> None:
    done = in_terminal("--solution", "--device", "cpu", "--prompt", "class ", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    for part in ("held out", "after 2 steps", "gzip -9, one stream", "class ", f"Kept in {tmp_path / 'run'}"):
        assert part in done.stdout
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "model.safetensors",
        "config.json",
        "metrics.jsonl",
    }
    assert done.stderr == ""


def test_wrong_usage_in_a_terminal_is_a_sentence_and_status_2() -> None:
    done = in_terminal("--seconds", "0")
    assert done.returncode == 2
    assert "seconds must be above 0, got 0.0" in done.stderr
    assert "Traceback" not in done.stderr


def a_learners_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> int:
    """Run the command with this text as the learner's file, and return the exit status."""
    (tmp_path / "model_exercise.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(finale_command, "LEARNERS", tmp_path / "model_exercise.py")
    monkeypatch.setenv("COURSE_BUDGET", "steps=2,bytes=3000")
    return finale_command.main(["--device", "cpu", "--out", str(tmp_path / "run")])


def solution() -> str:
    return Path(model_solution.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "return [GrowingCache()",
            "return [GrowingCaches()",
            "NameError in line \\d+ \\(.*\\) of model_exercise.py.*course check",
        ),
        (
            "class MLP(nn.Module):",
            "class MLP(nn.Module)",
            "cannot be read by Python, line \\d+: expected ':'",
        ),
        ("import math\n", "import maths\n", "No module named 'maths'"),
    ],
)
def test_what_is_wrong_with_the_learners_file_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    said: str,
) -> None:
    assert solution().count(old) == 1
    assert a_learners_file(monkeypatch, tmp_path, solution().replace(old, new)) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(said, error, re.DOTALL), error


def test_the_reference_stands_in_for_what_is_not_the_learners_and_the_table_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "    scores = q @ k.transpose(-2, -1)"
    assert solution().count(line) == 1
    unfinished = solution().replace(line, '    raise NotImplementedError("exercise 2.3a is not written yet")')
    assert a_learners_file(monkeypatch, tmp_path, unfinished) == 0
    said = capsys.readouterr().out
    assert "Computed by the reference: 11 parts are not yours yet." in said
    assert "the reference GPT" in said
    assert "your GPT" not in said
    mine = load(tmp_path / "model_exercise.py", find_step("step2_model"))
    parts = tuple(
        replace(part, state=State.YOURS) if part.id != "2.3a" else part for part in mine.__parts__.all
    )
    mine.__dict__["__parts__"] = replace(mine.__parts__, all=parts)
    assert (
        finale.prepare(mine, shape=SMALL, corpus=made_of_words(), budget=Budget(held_out_bytes=6_000)).name
        == "the GPT with 10 of 11 parts yours"
    )


def test_ids_are_the_bytes_themselves() -> None:
    assert as_ids("é\n".encode()).tolist() == [0xC3, 0xA9, 0x0A]
